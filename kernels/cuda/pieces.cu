// From masks that lie as bits, column after column, to their pieces: runs of set pixels within a
// column, listed in column-major order, for a whole batch. What components.cu begins with; the
// buffers are described there.

#include "batch.cuh"
#include "sums.cuh"

struct Columns {
    int height, per_column;  // rows, and words of a column
    i64 count;               // words
};

DEVICE Columns columns_of(const Image& image) {
    const int per_column = (image.height + 31) / 32;
    return {image.height, per_column, (i64)per_column * image.width};
}

DEVICE i64 first_chunk(const Image& image, u32 number) {
    return image.word_offset / CHUNK + number;
}

// The bits of a word whose pixel is set and the one above it is not.
DEVICE u32 starts_in(u32 word, u32 above) { return word & ~(word << 1 | above >> 31); }

// The bits of a word whose pixel is set and the one below it is not.
DEVICE u32 lasts_in(u32 word, u32 below) { return word & ~(word >> 1 | below << 31); }

DEVICE u32 count_from(const u32* words, const Columns& columns, i64 first) {
    u32 count = 0;
    const i64 end = min(first + EACH, columns.count);
    int in_column = (int)(first % columns.per_column);
    for (i64 k = first; k < end; ++k) {
        count += __popc(starts_in(words[k], in_column ? words[k - 1] : 0));
        if (++in_column == columns.per_column) in_column = 0;
    }
    return count;
}

// Count the pieces that start in each chunk of words. Grid: (most chunks of a picture, pictures).
KERNEL void count_starts(const Image* images, const u32* packed, u32* chunks) {
    const Image image = images[blockIdx.y];
    const Columns columns = columns_of(image);
    const u32* words = packed + image.word_offset;
    if ((i64)blockIdx.x * CHUNK >= columns.count) return;
    SHARED u32 total;
    EACH_THREAD(t) {
        if (t == 0) total = 0;
    }
    EACH_THREAD(t) {
        const i64 first = (i64)blockIdx.x * CHUNK + t * EACH;
        const u32 count = count_from(words, columns, first);
        if (count) atomicAdd(&total, count);
    }
    EACH_THREAD(t) {
        if (t == 0) chunks[first_chunk(image, blockIdx.y) + blockIdx.x] = total;
    }
}

// List the pieces. The k-th start and the k-th end of a picture belong to the same piece, whichever
// words they are in: the ends before a word are the starts before it, less one if a piece goes on
// from the word above. Grid: as before.
KERNEL void list_pieces(const Image* images, const u32* packed, const u32* chunks, u32 most,
                        u32* firsts, int* starts, int* ends, int* parents, u32* areas,
                        u32* found) {
    const u32 number = blockIdx.y;
    const Image image = images[number];
    const Columns columns = columns_of(image);
    const u32* words = packed + image.word_offset;
    const i64 chunk_start = (i64)blockIdx.x * CHUNK;
    if (chunk_start >= columns.count) return;
    SHARED u32 sums[2];
    sum_chunks(chunks + first_chunk(image, number), (int)((columns.count + CHUNK - 1) / CHUNK),
               sums);
    u32* first_of = firsts + image.word_offset + number;
    EACH_THREAD(t) {
        if (t == 0 && blockIdx.x == 0) {
            found[2 * number] = sums[1];
            found[2 * number + 1] = 0;
            first_of[image.width] = sums[1];
        }
    }
    if (sums[1] > most) return;
    SHARED u32 counts[2][THREADS];
    EACH_THREAD(t) { counts[0][t] = count_from(words, columns, chunk_start + t * EACH); }
    sum_up(counts);
    const i64 base = (i64)number * most;
    EACH_THREAD(t) {
        const i64 first = chunk_start + t * EACH;
        const i64 end = min(first + EACH, columns.count);
        i64 piece = base + sums[0] + (t ? counts[0][t - 1] : 0);
        int column = (int)(first / columns.per_column);
        int in_column = (int)(first % columns.per_column);
        for (i64 k = first; k < end; ++k) {
            const u32 word = words[k];
            const u32 above = in_column ? words[k - 1] : 0;
            const u32 below = in_column + 1 < columns.per_column ? words[k + 1] : 0;
            const int position = column * columns.height + in_column * 32;
            if (in_column == 0) first_of[column] = (u32)(piece - base);
            i64 ended = piece - (above >> 31 & word);
            for (u32 bits = starts_in(word, above); bits; bits &= bits - 1) {
                starts[piece] = position + __ffs((int)bits) - 1;
                parents[piece] = (int)(piece - base);
                areas[piece] = 0;
                ++piece;
            }
            for (u32 bits = lasts_in(word, below); bits; bits &= bits - 1) {
                ends[ended++] = position + __ffs((int)bits);
            }
            if (++in_column == columns.per_column) {
                in_column = 0;
                ++column;
            }
        }
    }
}
