// Connected components of masks that lie as bits, column after column, for a whole batch.
//
// The nodes are pieces: runs of set pixels within a column. They are listed in column-major order
// (pieces.cu), joined to trees whose roots are the first pieces of their components (`hang`,
// `shorten`, `join`), summed up (`measure`), and those of components that are large enough are
// copied, still in column-major order (`count_kept`, `copy_kept`).
//
// Block-based labelling, which looks at 2 x 2 pixels at once, is made for 8-connectivity, where
// such a block is always one component. With 4-connectivity it is not. A run within a column is
// one with both, it stands for dozens of pixels of a usual mask, and it is what is wanted in the
// end. Trees of runs: He, Chao, Suzuki, "A run-based two-scan labeling algorithm", 2008. Joining
// them with atomic minima and no locks: Komura, "GPU-based cluster-labeling algorithm without the
// use of conventional iteration", 2015; Playne, Hawick, "A new algorithm for parallel connected-
// component labelling on GPUs", 2018; Allegretti, Bolelli, Grana, "Optimized block-based algorithms
// to label connected components on GPUs", 2019.
//
// Nothing waits for another block, so blocks may run in any order or one after the other. What
// needs the sum of what other blocks counted is in the next kernel.
//
// Buffers. Per picture i of a table: `words` from its word_offset on; `firsts` (W + 1 values, the
// first piece of every column and the number of all) from word_offset + i on; `starts`, `ends`,
// `parents`, `areas` from i * most on; `chunks` from word_offset / CHUNK + i on. Positions
// are column-major pixels, column * H + row, under 2^31. `found` is, of every picture, its number
// of pieces and the number of those that are kept. A picture of more than `most` pieces has none.

#include "batch.cuh"
#include "sums.cuh"

// A value in memory that other threads read or write meanwhile: never one that a register has kept.
// A test puts another meaning here, which lets blocks take turns at every use.
#ifndef SHARED_WITH_OTHERS
#define SHARED_WITH_OTHERS(value) (*(volatile int*)&(value))
#endif

// ----------------------------------------------------------------------- from pieces to components

// The pieces of this block's picture.
struct Pieces {
    const u32* firsts;
    const int *starts, *ends;
    int *parents;
    int count, height, width;
};

DEVICE Pieces pieces_of(const Image* images, u32 most, const u32* found, const u32* firsts,
                        const int* starts, const int* ends, int* parents) {
    const u32 number = blockIdx.y;
    const Image& image = images[number];
    const i64 base = (i64)number * most;
    const u32 count = found[2 * number];
    return {firsts + image.word_offset + number,
            starts + base,
            ends + base,
            parents + base,
            count > most ? 0 : (int)count,
            image.height,
            image.width};
}

// The piece of a column that starts at a position or before it, the last of these, if the position
// lies in it or at most `reach` rows under it; else -1. There is at most one such piece, as two
// pieces of a column are never adjacent.
DEVICE int piece_at(const Pieces& pieces, int column, int position, int last_start, int reach) {
    const int first = (int)pieces.firsts[column];
    int low = first, high = (int)pieces.firsts[column + 1];  // starts before low: at most last_start
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (pieces.starts[middle] <= last_start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const int piece = low - 1;
    return piece >= first && pieces.ends[piece] + reach > position ? piece : -1;
}

// Two pieces of neighbouring columns that touch do so from the later of their starts on. So each
// piece looks at its own start only: to the left for a piece that starts in the same row or above
// (`hang`), to the right for one that starts above (`join`). That finds every pair once, with two
// searches for each piece, however many others it touches. `reach` is 1 where corners count.

// Make the piece to the left, where there is one, the parent. No two threads write the same value.
// Grid: (any, pictures).
KERNEL void hang(const Image* images, u32 most, const u32* found, const u32* firsts,
                 const int* starts, const int* ends, int* parents, int reach) {
    const Pieces pieces = pieces_of(images, most, found, firsts, starts, ends, parents);
    EACH_THREAD(t) {
        for (int p = blockIdx.x * THREADS + t; p < pieces.count; p += gridDim.x * THREADS) {
            const int start = pieces.starts[p], column = start / pieces.height;
            if (column == 0) continue;
            const int there = start - pieces.height;
            const int left = piece_at(pieces, column - 1, there, there, reach);
            if (left >= 0) pieces.parents[p] = left;
        }
    }
}

// Let every piece point at its root. A component is as deep as it is wide by now; as each piece
// moves up, those that point at it move twice as far, so the steps are about the logarithm.
// A thread writes its own piece's parent only, and always one of its ancestors, so it does not
// matter which of their values others read. Grid: (any, pictures).
KERNEL void shorten(const Image* images, u32 most, const u32* found, int* parents) {
    const u32 count = found[2 * blockIdx.y];
    if (count > most) return;
    int* own = parents + (i64)blockIdx.y * most;
    EACH_THREAD(t) {
        for (int p = blockIdx.x * THREADS + t; p < (int)count; p += gridDim.x * THREADS) {
            int parent = SHARED_WITH_OTHERS(own[p]);
            for (;;) {
                const int next = SHARED_WITH_OTHERS(own[parent]);
                if (next == parent) break;
                SHARED_WITH_OTHERS(own[p]) = parent = next;
            }
        }
    }
}

// The root of a piece, as far as this thread sees; halves the way there.
DEVICE int root_of(int* parents, int piece) {
    int parent = SHARED_WITH_OTHERS(parents[piece]);
    while (parent != piece) {
        const int next = SHARED_WITH_OTHERS(parents[parent]);
        if (next != parent) SHARED_WITH_OTHERS(parents[piece]) = next;
        piece = parent;
        parent = next;
    }
    return piece;
}

// Join the trees of two pieces, while other threads do the same.
//
// A parent is never after its piece, so there are no circles. A value read may be old; it was an
// ancestor then, and still belongs to the same component. What decides is the atomic minimum:
// - it returns `high` itself: that was a root and now hangs on `low`. Done.
// - it returns another parent: somebody hung `high` there meanwhile. Whichever of the two parents
//   stays, the other must be joined with it, which is the next round. The higher of the pair is
//   less in every round, so rounds end.
// Between the minimum and the end of that next round a tree may be torn; the thread that tore it
// has the duty to mend it, and nobody needs it whole before the kernel ends.
// Halving the way overwrites the parent of a piece that is no root with that parent's parent. If a
// minimum put another parent there in between, its thread got the one before back and joins the two
// (the second case), so nothing is lost then either.
DEVICE void unite(int* parents, int a, int b) {
    for (;;) {
        a = root_of(parents, a);
        b = root_of(parents, b);
        if (a == b) return;
        const int low = min(a, b), high = max(a, b);
        const int before = atomicMin(&parents[high], low);
        if (before == high) return;
        a = before;
        b = low;
    }
}

// Join every piece with the one to the right that starts above it and touches it.
// Grid: (any, pictures).
KERNEL void join(const Image* images, u32 most, const u32* found, const u32* firsts,
                 const int* starts, const int* ends, int* parents, int reach) {
    const Pieces pieces = pieces_of(images, most, found, firsts, starts, ends, parents);
    EACH_THREAD(t) {
        for (int p = blockIdx.x * THREADS + t; p < pieces.count; p += gridDim.x * THREADS) {
            const int start = pieces.starts[p], column = start / pieces.height;
            if (column + 1 == pieces.width) continue;
            const int there = start + pieces.height;
            const int right = piece_at(pieces, column + 1, there, there - 1, reach);
            if (right >= 0) unite(pieces.parents, p, right);
        }
    }
}

// Let every piece point at its root for good, and add its pixels to the root's. Roots are the least
// pieces of their trees, and so the first. A thread writes its own piece's parent only: halving the
// way (`root_of`) could put back an older parent of a piece that points at its root already.
// Grid: (any, pictures).
KERNEL void measure(const Image* images, u32 most, const u32* found, const int* starts,
                    const int* ends, int* parents, u32* areas) {
    const u32 count = found[2 * blockIdx.y];
    if (count > most) return;
    const i64 base = (i64)blockIdx.y * most;
    int* own = parents + base;
    EACH_THREAD(t) {
        for (int p = blockIdx.x * THREADS + t; p < (int)count; p += gridDim.x * THREADS) {
            int root = SHARED_WITH_OTHERS(own[p]);
            for (int next; (next = SHARED_WITH_OTHERS(own[root])) != root;) root = next;
            SHARED_WITH_OTHERS(own[p]) = root;
            atomicAdd(&areas[base + root], (u32)(ends[base + p] - starts[base + p]));
        }
    }
}

// ------------------------------------------------------------------------------------ what is kept

DEVICE bool kept(const int* parents, const u32* areas, int min_area, i64 base, int piece) {
    return (int)areas[base + parents[base + piece]] >= min_area;
}

DEVICE u32 count_kept_from(const int* parents, const u32* areas, int min_area, i64 base, i64 first,
                           u32 pieces) {
    u32 count = 0;
    for (i64 p = first; p < min(first + EACH, (i64)pieces); ++p) {
        count += kept(parents, areas, min_area, base, (int)p);
    }
    return count;
}

// Count the pieces of large components in each chunk of pieces, and in each picture.
// Grid: (ceil(most / CHUNK), pictures); `chunks` from picture * that first side on.
KERNEL void count_kept(const Image* images, u32 most, const int* parents, const u32* areas,
                       u32* chunks, u32* found) {
    const u32 count = found[2 * blockIdx.y];
    const i64 chunk_start = (i64)blockIdx.x * CHUNK;
    if (count > most || chunk_start >= count) return;
    const int min_area = images[blockIdx.y].min_area;
    const i64 base = (i64)blockIdx.y * most;
    SHARED u32 total;
    EACH_THREAD(t) {
        if (t == 0) total = 0;
    }
    EACH_THREAD(t) {
        const u32 mine =
            count_kept_from(parents, areas, min_area, base, chunk_start + t * EACH, count);
        if (mine) atomicAdd(&total, mine);
    }
    EACH_THREAD(t) {
        if (t == 0) {
            chunks[blockIdx.y * gridDim.x + blockIdx.x] = total;
            atomicAdd(&found[2 * blockIdx.y + 1], total);
        }
    }
}

// Copy the pieces of large components: start, length, and the component's first piece. Those of
// one picture after those of the one before it, all in column-major order. Grid: as before.
KERNEL void copy_kept(const Image* images, u32 most, const int* starts, const int* ends,
                      const int* parents, const u32* areas, const u32* chunks, const u32* found,
                      int* copied) {
    const u32 count = found[2 * blockIdx.y];
    const i64 chunk_start = (i64)blockIdx.x * CHUNK;
    if (count > most || chunk_start >= count) return;
    const int min_area = images[blockIdx.y].min_area;
    const i64 base = (i64)blockIdx.y * most;
    SHARED u32 sums[2];
    sum_chunks(chunks + blockIdx.y * gridDim.x, (int)((count + CHUNK - 1) / CHUNK), sums);
    SHARED u32 counts[2][THREADS];
    SHARED unsigned long long others;
    EACH_THREAD(t) {
        counts[0][t] = count_kept_from(parents, areas, min_area, base, chunk_start + t * EACH,
                                       count);
        if (t == 0) others = 0;
    }
    sum_up(counts);
    EACH_THREAD(t) {
        for (u32 number = t; number < blockIdx.y; number += THREADS) {
            atomicAdd(&others, (u64)found[2 * number + 1]);
        }
    }
    EACH_THREAD(t) {
        int* to = copied + 3 * (others + sums[0] + (t ? counts[0][t - 1] : 0));
        const i64 first = chunk_start + t * EACH;
        for (i64 p = first; p < min(first + EACH, (i64)count); ++p) {
            if (!kept(parents, areas, min_area, base, (int)p)) continue;
            to[0] = starts[base + p];
            to[1] = ends[base + p] - starts[base + p];
            to[2] = parents[base + p];
            to += 3;
        }
    }
}
