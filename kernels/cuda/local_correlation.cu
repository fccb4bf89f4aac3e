// Normalised correlation in a box around every pixel of windows, of the image and what a map says
// stands there, or of two arrays: kernels/local_correlation.py. A block has a tile of one window;
// the sums of a box are taken about its own pixel, so that float32 is enough.
#include "totals.cuh"

constexpr int ACROSS = 32, DOWN = 8;             // pixels of a tile, a thread each
constexpr int COUNTERS = ACROSS * DOWN;
constexpr int MOST_SIDE = 15;                    // kernels/cuda/local_correlation.py
constexpr int WIDE = ACROSS + MOST_SIDE - 1, HIGH = DOWN + MOST_SIDE - 1;
constexpr float LEAST_VARIANCE = 1e-3f;

struct Window {                                  // kernels/cuda/local_correlation.py, WINDOW
    double affine[6];                            // from its pixels to the image
    i64 offset;                                  // of its first pixel among those of all windows
    int left, top, width, height;
};

// The two values at a pixel of a window.
struct Values {
    float here, there;
};

// The image, and its warp; beyond half a pixel outside, NaN: forgecli.match.agreement.warp_into.
struct Warped {
    const float* image;
    int height, width;
};

DEVICE Values values_at(const Warped& of, const Window& window, int x, int y) {
    const double* map = window.affine;
    const float here = of.image[(i64)(window.top + y) * of.width + window.left + x];
    double px = map[0] * x + (map[1] * y + map[2]), py = map[3] * x + (map[4] * y + map[5]);
    // Asked this way round, NaN is outside too.
    if (!(px >= -0.5 && py >= -0.5 && px <= of.width - 0.5 && py <= of.height - 0.5))
        return {here, __uint_as_float(0x7fc00000u)};
    px = min(max(px, 0.0), of.width - 1.0);
    py = min(max(py, 0.0), of.height - 1.0);
    const int ix = (int)px, iy = (int)py;
    const int right = min(ix + 1, of.width - 1), below = min(iy + 1, of.height - 1);
    const float* upper = of.image + (i64)iy * of.width;
    const float* lower = of.image + (i64)below * of.width;
    const float fx = (float)(px - ix), fy = (float)(py - iy);
    const float top = upper[ix] + fx * (upper[right] - upper[ix]);
    const float low = lower[ix] + fx * (lower[right] - lower[ix]);
    return {here, top + fy * (low - top)};
}

// Two arrays that hold the windows one after the other.
struct Arrays {
    const float *first, *second;
};

DEVICE Values values_at(const Arrays& of, const Window& window, int x, int y) {
    const i64 at = window.offset + (i64)y * window.width + x;
    return {of.first[at], of.second[at]};
}

DEVICE bool finite(float value) {
    return (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u;
}

// A place outside of 0..length-1 mirrored at the first or last pixel, which is not repeated.
DEVICE int reflected(int place, int length) {
    if (length == 1) return 0;
    while (place < 0 || place >= length) place = place < 0 ? -place : 2 * (length - 1) - place;
    return place;
}

// The mean of the first values of a window: what CPUs count from, which decides what is flat.
template <class Source>
DEVICE void find_level(const Source& of, const Window* windows, float* levels) {
    SHARED Window window;
    SHARED Row<float, COUNTERS> partial[1];
    SHARED float parts[1][PARTS], total[1], start;

    EACH_THREAD(t) {
        if (t != 0) continue;
        window = windows[blockIdx.x];
        start = values_at(of, window, 0, 0).here;
    }
    const int size = window.width * window.height;
    EACH_THREAD(t) {
        float sum = 0.0f;
        for (int n = t; n < size; n += COUNTERS)
            sum += values_at(of, window, n % window.width, n / window.width).here - start;
        partial[0].of[t] = sum;
    }
    add_up(partial, 1, parts, total);
    EACH_THREAD(t) {
        if (t == 0) levels[blockIdx.x] = start + total[0] / size;
    }
}

// The tile blockIdx.x of the window blockIdx.y; `seen`, if any, gets the second values.
template <class Source>
DEVICE void correlate(const Source& of, const Window* windows, const float* levels, int side,
                      float* seen, float* out) {
    SHARED Window window;
    SHARED Values values[HIGH * WIDE];

    EACH_THREAD(t) {
        if (t == 0) window = windows[blockIdx.y];
    }
    const int tiles = (window.width + ACROSS - 1) / ACROSS;
    const int left = (int)blockIdx.x % tiles * ACROSS, top = (int)blockIdx.x / tiles * DOWN;
    if (top >= window.height) return;
    const int before = side / 2, wide = ACROSS + side - 1, high = DOWN + side - 1;

    EACH_THREAD(t) {
        for (int n = t; n < wide * high; n += COUNTERS) {
            const int x = left + n % wide - before, y = top + n / wide - before;
            // Beyond the reach of the window's last pixel nothing is asked for.
            if (x >= window.width + side || y >= window.height + side) continue;
            values[n] = values_at(of, window, reflected(x, window.width),
                                  reflected(y, window.height));
        }
    }
    const float level = levels[blockIdx.y];
    EACH_THREAD(t) {
        const int x = left + t % ACROSS, y = top + t / ACROSS;
        if (x >= window.width || y >= window.height) continue;
        const Values* corner = values + t / ACROSS * wide + t % ACROSS;
        const Values own = corner[before * wide + before];
        const i64 at = window.offset + (i64)y * window.width + x;
        if (seen) seen[at] = own.there;
        float p = 0.0f, q = 0.0f, pp = 0.0f, qq = 0.0f, pq = 0.0f;
        bool known = true;
        for (int i = 0; i < side; ++i) {
            for (int j = 0; j < side; ++j) {
                const Values each = corner[i * wide + j];
                known = known && finite(each.there);
                const float r = each.here - own.here, s = each.there - own.there;
                p += r, q += s;
                pp += r * r, qq += s * s, pq += r * s;
            }
        }
        const float share = 1.0f / (side * side);
        p *= share, q *= share;
        const float var_p = pp * share - p * p, var_q = qq * share - q * q;
        // kernels/local_correlation.py: rounding far from the level looks like a little variance.
        const float off_p = p + own.here - level, off_q = q + own.there - level;
        const bool holds = known && var_p > LEAST_VARIANCE + 2e-7f * (var_p + off_p * off_p) &&
                           var_q > LEAST_VARIANCE + 2e-7f * (var_q + off_q * off_q);
        out[at] = holds ? (pq * share - p * q) / sqrtf(var_p * var_q) : -1.0f;
    }
}

// image    float32 (height, width)
// windows  Window, one per block
// levels   float32 (windows)
KERNEL void view_levels(const float* image, int height, int width, const Window* windows,
                        float* levels) {
    find_level(Warped{image, height, width}, windows, levels);
}

// first    float32, the windows one after the other
KERNEL void array_levels(const float* first, const Window* windows, float* levels) {
    find_level(Arrays{first, first}, windows, levels);
}

// windows  Window, one per row of the grid
// seen     float32, what the maps say stands at each pixel, NaN where that is outside
// out      float32, the correlations
KERNEL void correlate_views(const float* image, int height, int width, const Window* windows,
                            const float* levels, int side, float* seen, float* out) {
    correlate(Warped{image, height, width}, windows, levels, side, seen, out);
}

KERNEL void correlate_arrays(const float* first, const float* second, const Window* windows,
                             const float* levels, int side, float* out) {
    correlate(Arrays{first, second}, windows, levels, side, (float*)nullptr, out);
}
