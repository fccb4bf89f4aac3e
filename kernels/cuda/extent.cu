// How far the agreement around a local affine match reaches: kernels/extent.py. One block per
// match looks at the whole neighbourhood at once. The sums of a window are taken about its own
// middle pixel, so that float32 is enough; the flood goes over rows of bits, all rows at a time.
#include "totals.cuh"

constexpr int FLOODERS = 256;           // threads of a block
constexpr int MOST_REACH = 31;          // kernels/cuda/extent.py, MOST_RADIUS: a row fits a word
constexpr int SIDE = 2 * MOST_REACH + 1;
constexpr int BINS = 64;                // of the local correlations, for their quantile
constexpr int SEED = 3;                 // kernels/extent.py, _SEED
constexpr float LEAST_VARIANCE = 1e-3f;

// kernels/extent.py, _look_inside and _look_across: what stands at a match's neighbourhood.
struct Neighbourhood {
    double x, y, tx, ty, a, b, c, d;
    int x0, y0;          // of the first corner
    bool whole;          // neither the neighbourhood nor its copy is cut off
    int left, top;       // of the copy's corner, if whole
    double px0, py0;     // where the first corner goes, if whole
};

DEVICE Neighbourhood neighbourhood_of(const double* match, int height, int width, int radius) {
    Neighbourhood near = {match[0], match[1], match[2], match[3], match[4],
                          match[5], match[6], match[7], 0, 0, false, 0, 0, 0.0, 0.0};
    // No pixel is inside then. Asked this way round, NaN is far away too.
    const bool close = fabs(near.x) < 1e9 && fabs(near.y) < 1e9;
    near.x0 = (close ? (int)rint(near.x) : -1000000) - radius;
    near.y0 = (close ? (int)rint(near.y) : -1000000) - radius;
    const double last = 2.0 * radius;
    const double u0 = near.x0 - near.x, v0 = near.y0 - near.y;
    near.px0 = near.tx + near.a * u0 + near.b * v0;
    near.py0 = near.ty + near.c * u0 + near.d * v0;
    const double low_x = near.px0 + min(0.0, near.a * last) + min(0.0, near.b * last);
    const double high_x = near.px0 + max(0.0, near.a * last) + max(0.0, near.b * last);
    const double low_y = near.py0 + min(0.0, near.c * last) + min(0.0, near.d * last);
    const double high_y = near.py0 + max(0.0, near.c * last) + max(0.0, near.d * last);
    near.whole = close && near.x0 >= 0 && near.y0 >= 0 && near.x0 + 2 * radius < width &&
                 near.y0 + 2 * radius < height && low_x >= 0.001 && low_y >= 0.001 &&
                 high_x < width - 1.002 && high_y < height - 1.002;
    if (near.whole) near.left = (int)low_x, near.top = (int)low_y;
    return near;
}

DEVICE float mixed(const float* at, int width, float fx, float fy) {
    const float upper = at[0] + fx * (at[1] - at[0]);
    const float lower = at[width] + fx * (at[width + 1] - at[width]);
    return upper + fy * (lower - upper);
}

// What the map says stands at a pixel that it takes into the image.
DEVICE float exactly(const float* image, int width, double px, double py) {
    const int ix = (int)px, iy = (int)py;
    return mixed(image + (i64)iy * width + ix, width, (float)(px - ix), (float)(py - iy));
}

// The same at pixel (u, v) of a neighbourhood; NaN where it or its copy is outside.
DEVICE float copied(const float* image, int height, int width, const Neighbourhood& near, int u,
                    int v) {
    if (near.whole) {
        const float px = (float)(near.px0 + near.b * v - near.left) + (float)near.a * u;
        const float py = (float)(near.py0 + near.d * v - near.top) + (float)near.c * u;
        const int ix = (int)px, iy = (int)py;
        const float* at = image + (i64)(near.top + iy) * width + near.left + ix;
        return mixed(at, width, px - ix, py - iy);
    }
    const int x = near.x0 + u, y = near.y0 + v;
    const float unknown = __uint_as_float(0x7fc00000u);
    if (x < 0 || y < 0 || x >= width || y >= height) return unknown;
    const double dx = x - near.x, dy = y - near.y;
    const double px = near.tx + near.a * dx + near.b * dy;
    const double py = near.ty + near.c * dx + near.d * dy;
    if (!(px >= 0.0 && py >= 0.0 && px < width - 1.001 && py < height - 1.001)) return unknown;
    return exactly(image, width, px, py);
}

// Normalised correlation in the window around a pixel, cut at the neighbourhood's border; -1 where
// it holds fewer than `least` known pixels or nothing to correlate.
//
// here   the image at the neighbourhood's first pixel
// there  float32 (side, side)
DEVICE float window_at(const float* here, int width, const float* there, int side, int half,
                       int least, int u, int v) {
    const float p0 = here[(i64)v * width + u], q0 = there[v * side + u];
    float p = 0.0f, q = 0.0f, pp = 0.0f, qq = 0.0f, pq = 0.0f;
    int count = 0;
    for (int i = max(0, v - half); i < min(side, v + half + 1); ++i) {
        for (int j = max(0, u - half); j < min(side, u + half + 1); ++j) {
            const float second = there[i * side + j];
            if (!(second == second)) continue;
            const float r = here[(i64)i * width + j] - p0, s = second - q0;
            p += r, q += s;
            pp += r * r, qq += s * s, pq += r * s;
            ++count;
        }
    }
    if (count < least || count == 0) return -1.0f;
    const float share = 1.0f / count;
    const float mean_p = p * share, mean_q = q * share;
    const float var_p = pp * share - mean_p * mean_p, var_q = qq * share - mean_q * mean_q;
    if (!(var_p > LEAST_VARIANCE && var_q > LEAST_VARIANCE)) return -1.0f;
    return (pq * share - mean_p * mean_q) / sqrtf(var_p * var_q);
}

// The bits of a row that agree and are connected, along it, to one that is set.
DEVICE u64 spread(u64 set, u64 agrees) {
    u64 up = set, down = set, above = agrees, below = agrees;
    for (int step = 1; step < 64; step *= 2) {
        up |= above & (up << step);
        above &= above << step;
        down |= below & (down >> step);
        below &= below >> step;
    }
    return up | down;
}

// image, fine  float32 (height, width)
// matches      float64 (blocks, 8)
// half         of the window, without its middle
// out          float32 (blocks, 5)
KERNEL void extent(const float* image, const float* fine, int height, int width,
                   const double* matches, int radius, int half, double threshold, float* out) {
    SHARED Neighbourhood near;
    SHARED float there[SIDE * SIDE], local[SIDE * SIDE];
    SHARED u32 agrees[SIDE + 1][2];
    SHARED u64 flooded[2][SIDE + 1];
    SHARED int counts[2], bins[BINS], changed[3];
    SHARED Row<float, FLOODERS> partial[5];
    SHARED float parts[5][PARTS], totals[5], moments[5];

    const int side = 2 * radius + 1, size = side * side;
    const int least = (2 * half + 1) * (2 * half + 1) / 2;
    EACH_THREAD(t) {
        if (t == 0) near = neighbourhood_of(matches + 8 * (i64)blockIdx.x, height, width, radius);
        if (t < 2) counts[t] = 0;
        if (t < 3) changed[t] = 0;
        if (t < BINS) bins[t] = 0;
        if (t <= SIDE) agrees[t][0] = agrees[t][1] = 0;
    }
    const float* here = image + (i64)near.y0 * width + near.x0;
    EACH_THREAD(t) {
        for (int n = t; n < size; n += FLOODERS)
            there[n] = copied(image, height, width, near, n % side, n / side);
    }
    EACH_THREAD(t) {
        for (int n = t; n < size; n += FLOODERS) {
            // What is outside is not read.
            local[n] = there[n] == there[n] ? window_at(here, width, there, side, half, least,
                                                        n % side, n / side)
                                            : -1.0f;
        }
    }
    EACH_THREAD(t) {
        const int row = t / 4, start = t % 4 * 16;
        u32 bits = 0;
        for (int u = start; row < side && u < min(start + 16, side); ++u)
            if (local[row * side + u] > threshold) bits |= 1u << (u % 32);
        if (bits) atomicOr(&agrees[row][start / 32], bits);
    }
    EACH_THREAD(t) {
        if (t >= side) continue;
        const int low = max(0, radius - SEED), high = min(side - 1, radius + SEED);
        const u64 middle = ((2ull << (high - low)) - 1) << low;
        const u64 open = (u64)agrees[t][1] << 32 | agrees[t][0];
        flooded[0][t] = t < low || t > high ? 0 : open & middle;
    }
    int turn = 0;
    do {
        // A flag is read after this turn, and set anew two turns later.
        const int now = turn % 2;
        EACH_THREAD(t) {
            if (t == 0) changed[(turn + 1) % 3] = 0;
            if (t >= side) continue;
            const u64 open = (u64)agrees[t][1] << 32 | agrees[t][0];
            u64 set = flooded[now][t];
            if (t > 0) set |= flooded[now][t - 1];
            if (t < side - 1) set |= flooded[now][t + 1];
            set = spread(set & open, open);
            flooded[1 - now][t] = set;
            if (set != flooded[now][t]) changed[turn % 3] = 1;
        }
        ++turn;
    } while (changed[(turn + 2) % 3]);

    EACH_THREAD(t) {
        if (t >= side) continue;
        const u64 set = flooded[0][t];  // both are the same at the end
        const int own = __popcll(set);
        const int edge = t == 0 || t == side - 1 ? own : (int)((set & 1) + (set >> (side - 1) & 1));
        if (own) atomicAdd(&counts[0], own);
        if (edge) atomicAdd(&counts[1], edge);
    }
    const int area = counts[0];
    if (area == 0) {
        EACH_THREAD(t) {
            if (t < 5) out[5 * (i64)blockIdx.x + t] = 0.0f;
        }
        return;
    }

    const float* fine_here = fine + (i64)near.y0 * width + near.x0;
    EACH_THREAD(t) {
        float sums[3] = {};
        for (int n = t; n < size; n += FLOODERS) {
            const int u = n % side, v = n / side;
            if (!(flooded[0][v] >> u & 1)) continue;
            sums[0] += local[n];
            atomicAdd(&bins[min(63, max(0, (int)(local[n] * 64.0f)))], 1);
            const double dx = near.x0 + u - near.x, dy = near.y0 + v - near.y;
            there[n] = exactly(fine, width, near.tx + near.a * dx + near.b * dy,
                               near.ty + near.c * dx + near.d * dy);
            sums[1] += fine_here[(i64)v * width + u];
            sums[2] += there[n];
        }
        for (int k = 0; k < 3; ++k) partial[k].of[t] = sums[k];
    }
    add_up(partial, 3, parts, totals);
    EACH_THREAD(t) {
        const float mean_p = totals[1] / area, mean_q = totals[2] / area;
        float sums[5] = {};
        for (int n = t; n < size; n += FLOODERS) {
            const int u = n % side, v = n / side;
            if (!(flooded[0][v] >> u & 1)) continue;
            const float p = fine_here[(i64)v * width + u] - mean_p, q = there[n] - mean_q;
            sums[0] += p, sums[1] += q;
            sums[2] += p * p, sums[3] += q * q, sums[4] += p * q;
        }
        for (int k = 0; k < 5; ++k) partial[k].of[t] = sums[k];
    }
    add_up(partial, 5, parts, moments);
    EACH_THREAD(t) {
        if (t != 0) continue;
        float* row = out + 5 * (i64)blockIdx.x;
        row[0] = area;
        row[1] = totals[0] / area;
        const float var_p = moments[2] - moments[0] * moments[0] / area;
        const float var_q = moments[3] - moments[1] * moments[1] / area;
        const float both = moments[4] - moments[0] * moments[1] / area;
        row[2] = var_p > 1e-6f && var_q > 1e-6f ? both / sqrtf(var_p * var_q) : 0.0f;
        int seen = 0, bin = 0;
        while (bin < BINS - 1 && 10 * (seen += bins[bin]) < area) ++bin;
        row[3] = (bin + 0.5f) / BINS;
        row[4] = (float)(counts[1] / (4.0 * side));
    }
}
