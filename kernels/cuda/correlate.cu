// Local affine matches refined by inverse-compositional Gauss-Newton: kernels/correlate.py. One
// block takes the matches of one point one after the other, so that what is worked out of the first
// patch is there for all of them.
//
// The derivatives of a patch by its map are gx u, gx v, gx, gy u, gy v, gy; only gx and gy are
// kept. Their means are left out where they meet a patch whose own mean is taken out.
#include "totals.cuh"

constexpr int REFINERS = 64;            // threads of a block
constexpr int MOST_RADIUS = 10;         // kernels/cuda/correlate.py, MOST_RADIUS
constexpr int PATCH = (2 * MOST_RADIUS + 1) * (2 * MOST_RADIUS + 1);
constexpr int WITH_RIM = (2 * MOST_RADIUS + 3) * (2 * MOST_RADIUS + 3);
constexpr int PRODUCTS = 8;             // of a patch: with six derivatives, the first patch, itself
constexpr int ENTRIES = 27;             // of the Gram matrix's upper half, and of the first patch
constexpr double FLAT = 1e-12;          // sum of squares at which a patch holds nothing

// A patch that is sampled: positions from its own corner, where float32 is good to some 1e-5 of a
// pixel, and a level near the patch's own.
struct View {
    const float* corner;
    float x, y, a, b, c, d, level;
};

DEVICE bool inside(int height, int width, const double* place, int radius) {
    const double reach_x = (fabs(place[2]) + fabs(place[3])) * radius;
    const double reach_y = (fabs(place[4]) + fabs(place[5])) * radius;
    if (reach_x > 64.0 * radius || reach_y > 64.0 * radius) return false;
    // Asked this way round, NaN is outside too.
    if (!(place[0] - reach_x >= 0.0 && place[1] - reach_y >= 0.0)) return false;
    return place[0] + reach_x < width - 1.001 && place[1] + reach_y < height - 1.001;
}

DEVICE View view_of(const float* image, int width, const double* place, int radius) {
    const int left = (int)(place[0] - (fabs(place[2]) + fabs(place[3])) * radius);
    const int top = (int)(place[1] - (fabs(place[4]) + fabs(place[5])) * radius);
    View view = {image + (i64)top * width + left, (float)(place[0] - left), (float)(place[1] - top),
                 (float)place[2], (float)place[3], (float)place[4], (float)place[5],
                 image[(i64)place[1] * width + (i64)place[0]]};
    return view;
}

// Bilinear, less the level.
DEVICE float sampled(View view, int width, int u, int v) {
    const float px = view.x + view.a * u + view.b * v, py = view.y + view.c * u + view.d * v;
    const int ix = (int)px, iy = (int)py;
    const float fx = px - ix, fy = py - iy;
    const float* at = view.corner + (i64)iy * width + ix;
    const float upper = at[0] + fx * (at[1] - at[0]);
    const float lower = at[width] + fx * (at[width + 1] - at[width]);
    return upper + fy * (lower - upper) - view.level;
}

// Column k of the derivatives at a pixel; the seventh is the first patch.
DEVICE float derivative(const float* gx, const float* gy, const float* first, int k, int n,
                        int side, int radius) {
    if (k == 6) return first[n];
    const float slope = k < 3 ? gx[n] : gy[n];
    if (k % 3 == 2) return slope;
    return slope * ((k % 3 == 0 ? n % side : n / side) - radius);
}

// Compose a place with the inverse of a step: W <- W o W(p)^-1; false if that is lost.
DEVICE bool stepped(double* place, const double* p, int radius) {
    double e = 1.0 + p[0], f = p[1], g = p[3], h = 1.0 + p[4];
    const double det = e * h - f * g;
    if (fabs(det) < 0.2 || fabs(p[2]) > radius || fabs(p[5]) > radius) return false;
    const double kept = e;
    e = h / det, f = -f / det, g = -g / det, h = kept / det;
    const double x = -(e * p[2] + f * p[5]), y = -(g * p[2] + h * p[5]);
    const double a = place[2], b = place[3], c = place[4], d = place[5];
    place[0] += a * x + b * y, place[1] += c * x + d * y;
    place[2] = a * e + b * g, place[3] = a * f + b * h;
    place[4] = c * e + d * g, place[5] = c * f + d * h;
    return true;
}

// image        float32 (height, width)
// matches      float64 (n, 8)
// starts       i32 (blocks + 1): the first match of every point, and n
// refined      float64 (n, 8)
// correlation  float32 (n)
// contrast     float32 (n)
KERNEL void refine(const float* image, int height, int width, const double* matches,
                   const int* starts, int radius, int steps, double hopeless, double promising,
                   double* refined, float* correlation, float* contrast) {
    SHARED float patch[WITH_RIM];  // the first with its rim, then the others
    SHARED float first[PATCH], gx[PATCH], gy[PATCH];
    SHARED Row<float, REFINERS> partial[PRODUCTS];
    SHARED float parts[PRODUCTS][PARTS], totals[PRODUCTS], means[7];
    SHARED float halves[2][ENTRIES];
    SHARED double inverse[2][36], rest[6], p[6];
    SHARED double place[6], best[6];
    SHARED double deviation, norm, move;
    SHARED float found[2];  // correlation and contrast
    SHARED View view;
    SHARED int over, solvable;

    const int begin = starts[blockIdx.x], end = starts[blockIdx.x + 1];
    const int side = 2 * radius + 1, wide = side + 2, size = side * side;

    EACH_THREAD(t) {
        if (t != 0) continue;
        const double* match = matches + 8 * (i64)begin;
        place[0] = match[0], place[1] = match[1];
        place[2] = place[5] = 1.0, place[3] = place[4] = 0.0;
        over = !inside(height, width, place, radius + 1);
        deviation = 0.0;
        if (!over) view = view_of(image, width, place, radius + 1);
    }
    if (!over) {
        EACH_THREAD(t) {
            float sum = 0.0f;
            for (int n = t; n < wide * wide; n += REFINERS) {
                const int u = n % wide - radius - 1, v = n / wide - radius - 1;
                patch[n] = sampled(view, width, u, v);
                if (max(u, v) <= radius && min(u, v) >= -radius) sum += patch[n];
            }
            partial[0].of[t] = sum;
        }
        add_up(partial, 1, parts, totals);
        EACH_THREAD(t) {
            const float mean = totals[0] / size;
            float energy = 0.0f;
            for (int n = t; n < size; n += REFINERS) {
                const int at = (n / side + 1) * wide + n % side + 1;
                first[n] = patch[at] - mean;
                gx[n] = 0.5f * (patch[at + 1] - patch[at - 1]);
                gy[n] = 0.5f * (patch[at + wide] - patch[at - wide]);
                energy += first[n] * first[n];
            }
            partial[0].of[t] = energy;
        }
        add_up(partial, 1, parts, totals);
        EACH_THREAD(t) {
            if (totals[0] <= FLAT) continue;
            const double own = sqrt((double)totals[0] / size);
            const float scale = (float)(1.0 / sqrt((double)totals[0]));
            const float unit = (float)(1.0 / (own * side));
            for (int n = t; n < size; n += REFINERS) {
                first[n] *= scale;
                gx[n] *= unit;
                gy[n] *= unit;
            }
            if (t == 0) deviation = own;
        }
    }

    bool built = false;  // the equations are not needed by every point
    for (int m = begin; m < end; ++m) {
        EACH_THREAD(t) {
            if (t != 0) continue;
            for (int k = 0; k < 6; ++k) best[k] = place[k] = matches[8 * (i64)m + 2 + k];
            found[0] = -1.0f, found[1] = 0.0f;
            over = deviation == 0.0 || !inside(height, width, place, radius);
            if (!over) view = view_of(image, width, place, radius);
        }
        for (int turn = -1; turn < steps && !over; ++turn) {
            if (turn == 0 && !built) {
                built = true;
                EACH_THREAD(t) {
                    float sums[6] = {};
                    for (int n = t; n < size; n += REFINERS) {
                        const float u = n % side - radius, v = n / side - radius;
                        sums[0] += gx[n] * u, sums[1] += gx[n] * v, sums[2] += gx[n];
                        sums[3] += gy[n] * u, sums[4] += gy[n] * v, sums[5] += gy[n];
                    }
                    for (int k = 0; k < 6; ++k) partial[k].of[t] = sums[k];
                }
                // The products of the patch as it is are still wanted.
                add_up(partial, 6, parts, means);
                EACH_THREAD(t) {
                    const int half = t / ENTRIES;
                    if (half > 1) continue;
                    int k = 0, other = t % ENTRIES;
                    for (; other >= 7 - k; ++k) other -= 7 - k;
                    other += k;
                    const float mean = means[k] / size;
                    const float second = other == 6 ? 0.0f : means[other] / size;
                    float sum = 0.0f;
                    for (int n = half; n < size; n += 2)
                        sum += (derivative(gx, gy, first, k, n, side, radius) - mean) *
                               (derivative(gx, gy, first, other, n, side, radius) - second);
                    halves[half][t % ENTRIES] = sum;
                }
                EACH_THREAD(t) {
                    if (t == 0) solvable = 1;
                    if (t >= ENTRIES) continue;
                    int k = 0, other = t;
                    for (; other >= 7 - k; ++k) other -= 7 - k;
                    other += k;
                    const double sum = halves[0][t] + halves[1][t];
                    if (other == 6)
                        rest[k] = sum;
                    else
                        inverse[0][6 * k + other] = inverse[0][6 * other + k] =
                            k == other ? 1.001 * sum : sum;
                }
                for (int k = 0; k < 6; ++k) {  // Gauss-Jordan
                    EACH_THREAD(t) {
                        if (t >= 36) continue;
                        const double* old = inverse[k % 2];
                        const int i = t / 6, j = t % 6;
                        const double pivot = old[7 * k];
                        if (t == 0 && pivot < 1e-9) solvable = 0;
                        const double factor = (j == k ? 1.0 : old[6 * k + j]) / pivot;
                        inverse[1 - k % 2][t] =
                            i == k ? factor : (j == k ? 0.0 : old[t]) - old[6 * i + k] * factor;
                    }
                }
            }
            if (turn >= 0) {
                EACH_THREAD(t) {
                    if (t >= 6) continue;
                    double sum = 0.0;
                    // The patch is scaled to the first one's gain before they are compared.
                    for (int k = 0; k < 6; ++k)
                        sum += inverse[0][6 * t + k] * (totals[k] / norm - rest[k]);
                    p[t] = sum;
                }
                EACH_THREAD(t) {
                    if (t != 0) continue;
                    move = fabs(p[2]) + fabs(p[5]) +
                           radius * (fabs(p[0]) + fabs(p[1]) + fabs(p[3]) + fabs(p[4]));
                    over = !solvable || !stepped(place, p, radius) ||
                           !inside(height, width, place, radius);
                    if (!over) view = view_of(image, width, place, radius);
                }
                if (over) break;
            }
            EACH_THREAD(t) {
                float sum = 0.0f;
                for (int n = t; n < size; n += REFINERS) {
                    patch[n] = sampled(view, width, n % side - radius, n / side - radius);
                    sum += patch[n];
                }
                partial[0].of[t] = sum;
            }
            add_up(partial, 1, parts, totals);
            EACH_THREAD(t) {
                const float mean = totals[0] / size;
                float sums[PRODUCTS] = {};
                for (int n = t; n < size; n += REFINERS) {
                    const float value = patch[n] - mean;
                    const float along = gx[n] * value, down = gy[n] * value;
                    const float u = n % side - radius, v = n / side - radius;
                    sums[0] += along * u, sums[1] += along * v, sums[2] += along;
                    sums[3] += down * u, sums[4] += down * v, sums[5] += down;
                    sums[6] += first[n] * value;
                    sums[7] += value * value;
                }
                for (int k = 0; k < PRODUCTS; ++k) partial[k].of[t] = sums[k];
            }
            add_up(partial, PRODUCTS, parts, totals);
            EACH_THREAD(t) {
                if (t != 0) continue;
                over = totals[7] <= FLAT;
                if (over) continue;
                norm = sqrt((double)totals[7]);
                const double score = totals[6] / norm;
                if (turn < 0 || score > found[0]) {
                    found[0] = (float)score;
                    found[1] = (float)min(deviation, norm / sqrt((double)size));
                    for (int k = 0; k < 6; ++k) best[k] = place[k];
                }
                if (turn < 0)
                    over = score < hopeless;
                else
                    over = move < 0.03 || (turn == 1 && found[0] < promising);
            }
        }
        EACH_THREAD(t) {
            if (t < 8) refined[8 * (i64)m + t] = t < 2 ? matches[8 * (i64)m + t] : best[t - 2];
            if (t == 0) correlation[m] = found[0], contrast[m] = found[1];
        }
    }
}
