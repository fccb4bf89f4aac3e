// Sums within a block and over the chunks of a picture: pieces.cu, components.cu.

constexpr int THREADS = 256;
constexpr int EACH = 8;  // words or pieces of a thread in the kernels that count
constexpr int CHUNK = THREADS * EACH;

// Turn values into sums of all up to and with their own. An even number of steps ends where it
// began, in the first of the two rows.
DEVICE void sum_up(u32 (*values)[THREADS]) {
    int from = 0;
    for (int step = 1; step < THREADS; step *= 2) {
        EACH_THREAD(t) {
            values[1 - from][t] = values[from][t] + (t >= step ? values[from][t - step] : 0);
        }
        from = 1 - from;
    }
}

// What the chunks of a picture before this block's counted (sums[0]), and what all did (sums[1]).
DEVICE void sum_chunks(const u32* counted, int chunks, u32* sums) {
    EACH_THREAD(t) {
        if (t < 2) sums[t] = 0;
    }
    EACH_THREAD(t) {
        u32 before = 0, all = 0;
        for (int chunk = t; chunk < chunks; chunk += THREADS) {
            const u32 count = counted[chunk];
            all += count;
            if (chunk < (int)blockIdx.x) before += count;
        }
        if (before) atomicAdd(&sums[0], before);
        if (all) atomicAdd(&sums[1], all);
    }
}
