// Orders of discs along Morton curves through random projections of their invariants:
// kernels/morton.py. All orders are made side by side; the second side of a grid is the order.
//
// The sums that the projections are scaled by are of integers, so they do not depend on the order
// in which threads add. The sort goes through the 30 bits of a key in six steps of five, least
// significant first, and is stable (Satish, Harris, Garland, "Designing efficient sorting
// algorithms for manycore GPUs", IPDPS 2009, without the sort within a block), so that discs of one
// cell stand in the order they came in.
#include "zernike.cuh"

constexpr int THREADS = 256;
constexpr int EACH = 8, CHUNK = THREADS * EACH;  // keys of a thread and of a block
constexpr int DIMENSIONS = 6, BITS = 5;          // of the curve: kernels/morton.py
constexpr int DIGITS = 32;                       // of a step of the sort: five bits
constexpr int SEGMENTS = THREADS / DIGITS;       // threads that a digit is counted over together
constexpr int PORTION = 1024;                    // discs of a block of `add_up`

// Sums of the features and of the products of two: what means and spreads are made of.
struct Sums {
    u64 of[LANES], products[LANES][LANES];
};

// One order's projection and where its cells begin.
struct Curve {
    float projection[LANES][DIMENSIONS], start[DIMENSIONS];
};

struct Scales {
    float mean[LANES], scale[DIMENSIONS];
};

// Add up a portion of the discs; `sums` are 0 before. A thread has one pair of features.
// THREADS = LANES * LANES. Grid: (ceil(count / PORTION), 1).
KERNEL void add_up(const Traits* traits, int count, Sums* sums) {
    EACH_THREAD(t) {
        const int i = t / LANES, j = t % LANES;
        const i64 first = (i64)blockIdx.x * PORTION, end = min(first + PORTION, (i64)count);
        u32 sum = 0, product = 0;  // 255 * 255 * PORTION fits
        for (i64 n = first; n < end; ++n) {
            const u32 one = traits[n].lane[i], other = traits[n].lane[j];
            sum += one;
            product += one * other;
        }
        if (j == 0) atomicAdd(&sums->of[i], (u64)sum);
        atomicAdd(&sums->products[i][j], (u64)product);
    }
}

// The mean of each feature, and what turns a projection into cells. Grid: (orders, 1).
KERNEL void measure(const Sums* sums, int count, const Curve* curves, float cells, Scales* scales) {
    EACH_THREAD(t) {
        Scales& made = scales[blockIdx.x];
        if (t < LANES) made.mean[t] = (float)((double)sums->of[t] / count);
        if (t >= DIMENSIONS) continue;
        const Curve& curve = curves[blockIdx.x];
        double variance = 0.0;
        for (int i = 0; i < LANES; ++i) {
            for (int j = 0; j < LANES; ++j) {
                const double shared = (double)sums->of[i] * (double)sums->of[j] / count;
                const double weight = (double)curve.projection[i][t] * curve.projection[j][t];
                variance += weight * (((double)sums->products[i][j] - shared) / count);
            }
        }
        made.scale[t] = cells / (float)max(sqrt(max(variance, 0.0)), 1e-3);
    }
}

// The keys of all discs, and their numbers. Grid: (ceil(count / threads), orders).
//
// keys, numbers  u32 (orders, count), filled
KERNEL void keys(const Traits* traits, int count, const Curve* curves, const Scales* scales,
                 u32* made, u32* numbers) {
    SHARED Curve curve;
    SHARED Scales scale;
    EACH_THREAD(t) {
        if (t != 0) continue;
        curve = curves[blockIdx.y];
        scale = scales[blockIdx.y];
    }
    EACH_THREAD(t) {
        const i64 n = (i64)blockIdx.x * blockDim.x + t;
        if (n >= count) continue;
        const Traits disc = traits[n];
        float along[DIMENSIONS];
        for (int d = 0; d < DIMENSIONS; ++d) along[d] = 0.0f;
#pragma unroll
        for (int k = 0; k < LANES; ++k) {
            const float value = (float)disc.lane[k] - scale.mean[k];
#pragma unroll
            for (int d = 0; d < DIMENSIONS; ++d) along[d] += value * curve.projection[k][d];
        }
        u32 cells[DIMENSIONS];
#pragma unroll
        for (int d = 0; d < DIMENSIONS; ++d) {
            const float middle = (float)(1 << (BITS - 1)) + curve.start[d];
            const float cell = along[d] * scale.scale[d] + middle;
            cells[d] = (u32)min(max(cell, 0.0f), (float)((1 << BITS) - 1));
        }
        u32 key = 0;
#pragma unroll
        for (int bit = BITS - 1; bit >= 0; --bit) {
#pragma unroll
            for (int d = 0; d < DIMENSIONS; ++d) key = key << 1 | (cells[d] >> bit & 1);
        }
        made[blockIdx.y * (i64)count + n] = key;
        numbers[blockIdx.y * (i64)count + n] = (u32)n;
    }
}

// --------------------------------------------------------------------------------- one step of sort

DEVICE u32 digit_of(u32 key, int shift) { return key >> shift & (DIGITS - 1); }

// How often each digit is met in each chunk. Grid: (chunks, orders).
//
// counts  u32 (orders, DIGITS, chunks), filled
KERNEL void count_digits(const u32* keys, int count, int shift, u32* counts) {
    SHARED u32 found[DIGITS];
    EACH_THREAD(t) {
        if (t < DIGITS) found[t] = 0;
    }
    EACH_THREAD(t) {
        const i64 first = (i64)blockIdx.x * CHUNK, end = min(first + CHUNK, (i64)count);
        for (i64 n = first + t; n < end; n += THREADS) {
            atomicAdd(&found[digit_of(keys[blockIdx.y * (i64)count + n], shift)], 1u);
        }
    }
    EACH_THREAD(t) {
        if (t < DIGITS) counts[((i64)blockIdx.y * DIGITS + t) * gridDim.x + blockIdx.x] = found[t];
    }
}

// Counts become the sums of all before them: where a chunk's keys of a digit go. Grid: (orders, 1).
KERNEL void sum_digits(u32* counts, int chunks) {
    SHARED u32 before[THREADS];
    EACH_THREAD(t) {
        const u32* own = counts + (i64)blockIdx.x * DIGITS * chunks;
        const int size = DIGITS * chunks, each = (size + THREADS - 1) / THREADS;
        u32 total = 0;
        for (int k = t * each; k < min((t + 1) * each, size); ++k) total += own[k];
        before[t] = total;
    }
    EACH_THREAD(t) {
        if (t != 0) continue;
        u32 sum = 0;
        for (int thread = 0; thread < THREADS; ++thread) {
            const u32 here = before[thread];
            before[thread] = sum;
            sum += here;
        }
    }
    EACH_THREAD(t) {
        u32* own = counts + (i64)blockIdx.x * DIGITS * chunks;
        const int size = DIGITS * chunks, each = (size + THREADS - 1) / THREADS;
        u32 sum = before[t];
        for (int k = t * each; k < min((t + 1) * each, size); ++k) {
            const u32 here = own[k];
            own[k] = sum;
            sum += here;
        }
    }
}

// Move keys and numbers to where they go. A thread has EACH that follow one another. Grid: (chunks,
// orders).
KERNEL void move_digits(const u32* keys, const u32* numbers, int count, int shift,
                        const u32* counts, u32* new_keys, u32* new_numbers) {
    SHARED unsigned short ranks[THREADS][DIGITS];  // among the chunk's keys of a digit
    SHARED unsigned short segments[SEGMENTS][DIGITS];
    SHARED u32 starts[DIGITS];
    EACH_THREAD(t) {
        for (int k = t; k < THREADS * DIGITS; k += THREADS) ranks[k / DIGITS][k % DIGITS] = 0;
        if (t < DIGITS)
            starts[t] = counts[((i64)blockIdx.y * DIGITS + t) * gridDim.x + blockIdx.x];
    }
    EACH_THREAD(t) {
        const i64 first = (i64)blockIdx.x * CHUNK + t * EACH, end = min(first + EACH, (i64)count);
        for (i64 n = first; n < end; ++n)
            ++ranks[t][digit_of(keys[blockIdx.y * (i64)count + n], shift)];
    }
    EACH_THREAD(t) {
        const int segment = t / DIGITS, digit = t % DIGITS;
        u32 total = 0;
        for (int thread = segment * DIGITS; thread < (segment + 1) * DIGITS; ++thread)
            total += ranks[thread][digit];
        segments[segment][digit] = (unsigned short)total;
    }
    EACH_THREAD(t) {
        const int segment = t / DIGITS, digit = t % DIGITS;
        u32 before = 0;
        for (int other = 0; other < segment; ++other) before += segments[other][digit];
        for (int thread = segment * DIGITS; thread < (segment + 1) * DIGITS; ++thread) {
            const u32 here = ranks[thread][digit];
            ranks[thread][digit] = (unsigned short)before;
            before += here;
        }
    }
    EACH_THREAD(t) {
        const i64 first = (i64)blockIdx.x * CHUNK + t * EACH, end = min(first + EACH, (i64)count);
        const i64 base = blockIdx.y * (i64)count;
        for (i64 n = first; n < end; ++n) {
            const u32 key = keys[base + n], digit = digit_of(key, shift);
            const i64 to = base + starts[digit] + ranks[t][digit]++;
            new_keys[to] = key;
            new_numbers[to] = numbers[base + n];
        }
    }
}
