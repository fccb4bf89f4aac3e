// How well regions agree with their copies, in their places and moved: kernels/moved.py. One block
// per region and move. Sums are float64, as they are there.
#include "totals.cuh"

constexpr int SUMMERS = 256;   // threads of a block
constexpr int FEWEST = 8;      // pixels that decide a correlation

struct Region {                // kernels/cuda/moved.py, REGION
    double affine[6];
    i64 offset;                // of its first pixel among those of all regions
    i64 count;
};

// image    float32 (height, width)
// regions  Region, one per row of the grid
// pixels   i32 (all, 2): row and column, inside the image
// moves    float64 (blocks of a row, 2): x and y
// out      float64 (regions, moves)
KERNEL void correlations(const float* image, int height, int width, const Region* regions,
                         const int* pixels, const double* moves, double* out) {
    SHARED Row<double, SUMMERS> partial[6];
    SHARED double parts[6][PARTS], totals[6];
    SHARED Region region;

    EACH_THREAD(t) {
        if (t == 0) region = regions[blockIdx.y];
    }
    const double* map = region.affine;
    const int* own = pixels + 2 * region.offset;
    const double dx = moves[2 * blockIdx.x], dy = moves[2 * blockIdx.x + 1];
    EACH_THREAD(t) {
        // Taken out for precision.
        const double level = region.count ? image[(i64)own[0] * width + own[1]] : 0.0f;
        double sums[6] = {};
        for (i64 n = t; n < region.count; n += SUMMERS) {
            const int y = own[2 * n], x = own[2 * n + 1];
            double px = map[0] * x + map[1] * y + map[2] + dx;
            double py = map[3] * x + map[4] * y + map[5] + dy;
            // Asked this way round, NaN is outside too.
            if (!(px >= -0.5 && py >= -0.5 && px <= width - 0.5 && py <= height - 0.5)) continue;
            px = min(max(px, 0.0), width - 1.0);
            py = min(max(py, 0.0), height - 1.0);
            const int ix = (int)px, iy = (int)py;
            const int right = min(ix + 1, width - 1), below = min(iy + 1, height - 1);
            const float* upper = image + (i64)iy * width;
            const float* lower = image + (i64)below * width;
            const double fx = px - ix, fy = py - iy;
            const double top = upper[ix] + fx * (upper[right] - upper[ix]);
            const double low = lower[ix] + fx * (lower[right] - lower[ix]);
            const double here = image[(i64)y * width + x] - level;
            const double there = top + fy * (low - top) - level;
            sums[0] += 1.0;
            sums[1] += here, sums[2] += there;
            sums[3] += here * here, sums[4] += there * there, sums[5] += here * there;
        }
        for (int k = 0; k < 6; ++k) partial[k].of[t] = sums[k];
    }
    add_up(partial, 6, parts, totals);
    EACH_THREAD(t) {
        if (t != 0) continue;
        const double count = totals[0];
        double found = 0.0;
        if (count >= FEWEST) {
            const double var_p = totals[3] - totals[1] * totals[1] / count;
            const double var_q = totals[4] - totals[2] * totals[2] / count;
            if (var_p > 1e-12 * totals[3] && var_q > 1e-12 * totals[4]) {
                const double scale = sqrt(var_p * var_q);
                if (scale > 1e-9) found = (totals[5] - totals[1] * totals[2] / count) / scale;
            }
        }
        out[(i64)blockIdx.y * gridDim.x + blockIdx.x] = found;
    }
}
