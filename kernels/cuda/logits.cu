// From the network's logits to bits and a score at full size, without a map at full size: each
// enlarged value is computed anew wherever it is needed, from the small map, which stays in cache.
//
// The value of a rank is found from its highest bits downwards: a pass counts the values by the
// next digit among those that agree so far, and whichever block of a picture ends last picks the
// digit (a radix select; T. Alabi et al., "Fast k-selection algorithms for graphics processing
// units", 2012).
#include "batch.cuh"
#include "bilinear.cuh"

#define COLUMNS 128         // of a block: its threads, a column each
#define WORDS 4             // of a column and a block
#define ROWS (32 * WORDS)   // as many as threads, which compute a row's place each
#define BINS 2048           // 11 bits; the last digit has 10

struct Level {      // kernels/cuda/logits.py, LEVEL
    float score;
    u32 not_finite;
};

struct Search {     // of one picture, from one pass to the next
    i64 left;       // rank among the values that agree with the prefix
    u32 prefix;     // the digits that are known
    u32 done;       // blocks of this pass that are
};

struct Maps {       // where the logits of a picture are
    const float* logits;
    int outputs, height, width;
};

// Bits that are ordered as the floats are. The two zeros are neighbours, so whichever of them has a
// rank, its value is the same.
DEVICE u32 ordered(float value) {
    u32 bits = __float_as_uint(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

DEVICE float unordered(u32 bits) {
    return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

// The highest of the channels of a pixel.
DEVICE float enlarged(Maps maps, Place row, Place column) {
    float highest = 0.0f;
    for (int channel = 0; channel < maps.outputs; ++channel) {
        const float* map = maps.logits + (i64)channel * maps.height * maps.width;
        const float* upper = map + (i64)row.first * maps.width;
        const float* lower = map + (i64)row.second * maps.width;
        float value = between(between(upper[column.first], upper[column.second], column.weight),
                              between(lower[column.first], lower[column.second], column.weight),
                              row.weight);
        if (channel == 0 || value > highest) highest = value;
    }
    return highest;
}

DEVICE int blocks_across(Image image) { return (image.width + COLUMNS - 1) / COLUMNS; }

DEVICE int blocks_of(Image image) {
    return blocks_across(image) * ((image.height + ROWS - 1) / ROWS);
}

// Counts of one value after the other. Down a column the digits of neighbours are mostly equal, so
// the shared counter is asked only where they change.
struct Counter {
    u32* counts;
    u32 digit, run;
};

DEVICE void flush(Counter* counter) {
    if (counter->run) atomicAdd(&counter->counts[counter->digit], counter->run);
    counter->run = 0;
}

DEVICE void count_one(Counter* counter, u32 digit) {
    if (digit != counter->digit) flush(counter);
    counter->digit = digit;
    ++counter->run;
}

// The bits of the digit of a pass, from the lowest: 11 from 21, 11 from 10, 10 from 0.
DEVICE int shift_of(int pass) { return pass == 0 ? 21 : pass == 1 ? 10 : 0; }
DEVICE u32 digit_of(u32 key, int pass) { return (key >> shift_of(pass)) & (pass == 2 ? 1023u : 2047u); }
DEVICE bool agrees(u32 key, u32 prefix, int pass) {
    return pass == 0 || (key >> shift_of(pass - 1)) == (prefix >> shift_of(pass - 1));
}

// One pass over the pictures of a batch. Pass 0 also writes the words of the masks and looks for
// logits that are not finite. Passes are launched one after the other.
//
// rows      Image, one per picture
// logits    float32 (N, outputs, height, width), the view of a picture at the top left
// words     u32, see kernels/cuda/batch.py
// levels    Level, one per picture; zero before pass 0
// searches  Search, one per picture; zero before pass 0
// counts    u32 (N, BINS); zero before pass 0, and zero again after every pass
KERNEL void finish(const Image* rows, const float* logits, int outputs, int height, int width,
                   u32* words, Level* levels, Search* searches, u32* counts, int pass) {
    SHARED Image image;
    SHARED Search search;
    SHARED Place places[ROWS];
    SHARED u32 bins[BINS];
    SHARED i64 totals[COLUMNS];
    SHARED int last;

    int number = blockIdx.y, block = blockIdx.x;
    EACH_THREAD(t) {
        if (t != 0) continue;
        image = rows[number];
        search = searches[number];
    }
    if (block >= blocks_of(image)) return;

    int left = block % blocks_across(image) * COLUMNS, top = block / blocks_across(image) * ROWS;
    Maps maps = {logits + (i64)number * outputs * height * width, outputs, height, width};
    EACH_THREAD(t) {
        for (int bin = t; bin < BINS; bin += COLUMNS) bins[bin] = 0;
        places[t] = place_of(top + t, image.view_height, image.height);
    }

    EACH_THREAD(t) {
        int column = left + t;
        if (column >= image.width) continue;
        Place across = place_of(column, image.view_width, image.width);
        Counter counter = {bins, 0, 0};
        int words_down = (image.height + 31) / 32;
        for (int word = top / 32; word < min(top / 32 + WORDS, words_down); ++word) {
            u32 bits = 0;
            int end = min(32, image.height - 32 * word);
            for (int row = 0; row < end; ++row) {
                float value = enlarged(maps, places[32 * word + row - top], across);
                u32 key = ordered(value);
                if (value >= image.limit) bits |= 1u << row;
                if (agrees(key, search.prefix, pass)) count_one(&counter, digit_of(key, pass));
            }
            if (pass == 0) words[image.word_offset + (i64)column * words_down + word] = bits;
        }
        flush(&counter);
    }

    if (pass == 0) {
        // The small map shared out among the blocks: where it shrinks, not every value of it is
        // looked at above.
        EACH_THREAD(t) {
            i64 count = (i64)outputs * image.view_height * image.view_width;
            for (i64 i = (i64)block * COLUMNS + t; i < count; i += (i64)blocks_of(image) * COLUMNS) {
                i64 line = i / image.view_width, x = i % image.view_width;
                i64 channel = line / image.view_height, y = line % image.view_height;
                float value = maps.logits[(channel * height + y) * width + x];
                if ((__float_as_uint(value) & 0x7f800000u) == 0x7f800000u)
                    atomicOr(&levels[number].not_finite, 1u);
            }
        }
    }

    u32* all = counts + (i64)number * BINS;
    EACH_THREAD(t) {
        for (int bin = t; bin < BINS; bin += COLUMNS)
            if (bins[bin]) atomicAdd(&all[bin], bins[bin]);
        __threadfence();
    }
    EACH_THREAD(t) {
        if (t == 0) last = atomicAdd(&searches[number].done, 1u) + 1 == (u32)blocks_of(image);
    }
    if (!last) return;

    // The exchange reads what the other blocks added, wherever that is cached, and clears it.
    const int share = BINS / COLUMNS;
    EACH_THREAD(t) {
        i64 total = 0;
        for (int bin = t * share; bin < (t + 1) * share; ++bin) {
            bins[bin] = atomicExch(&all[bin], 0u);
            total += bins[bin];
        }
        totals[t] = total;
        if (t == 0 && pass == 0) search.left = image.rank;
    }
    EACH_THREAD(t) {
        i64 before = 0;
        for (int i = 0; i < t; ++i) before += totals[i];
        i64 wanted = search.left - before;
        if (wanted < 0 || wanted >= totals[t]) continue;
        int bin = t * share;
        while (wanted >= bins[bin]) wanted -= bins[bin++];
        u32 prefix = search.prefix | (u32)bin << shift_of(pass);
        Search next = {wanted, prefix, 0};
        searches[number] = next;
        if (pass == 2) levels[number].score = unordered(prefix);
    }
}
