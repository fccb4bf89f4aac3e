// Where a field agrees with itself, and the maps fitted there: kernels/coherence.py. A thread does
// one point, in double precision and in the order of the CPU, and so to the last bit.
#include "zernike.cuh"
#include "field.cuh"

// How many points around each one lie where its own map says.
// Grid: (ceil(height * width / threads), 1).
//
// count  int32 (height, width), filled
KERNEL void agreeing(u8* memory, int height, int width, int reach, double tolerance, int worth,
                     const Angles* angles, int* count) {
    EACH_THREAD(t) {
        const i64 points = (i64)height * width, here = (i64)blockIdx.x * blockDim.x + t;
        if (here >= points) continue;
        const Field field = field_at(memory, points);
        const int goal = field.target[here];
        if (goal < 0 || field.score[here] < worth) {
            count[here] = 0;
            continue;
        }
        const int x = (int)(here % width), y = (int)(here / width);
        const double c = angles->cosine[field.turn[here]], s = angles->sine[field.turn[here]];
        const bool mirrored = field.mirrored[here];
        const double flip = mirrored ? -1.0 : 1.0;
        const int gx = goal % width, gy = goal / width;
        int total = 0;
        for (int ny = max(0, y - reach); ny < min(height, y + reach + 1); ++ny) {
            for (int nx = max(0, x - reach); nx < min(width, x + reach + 1); ++nx) {
                const i64 there = (i64)ny * width + nx;
                if (field.score[there] < worth || (bool)field.mirrored[there] != mirrored) continue;
                const double u = nx - x, v = flip * (ny - y);
                const double ex = gx + c * u - s * v - field.target[there] % width;
                const double ey = gy + s * u + c * v - field.target[there] / width;
                if (ex * ex + ey * ey <= tolerance * tolerance) ++total;
            }
        }
        count[here] = total;
    }
}

// Affine maps fitted to the neighbours that agree with some points.
// Grid: (ceil(chosen / threads), 1).
//
// points  int64 (chosen,), row * width + column
// maps    float64 (chosen, 8), filled: x, y, x and y of the copy, the 2x2 map of offsets
// error   float64 (chosen,), filled; infinite where fewer than three agree
KERNEL void local_maps(u8* memory, int height, int width, const i64* points, int chosen, int reach,
                       double tolerance, int worth, double pull, const Angles* angles,
                       double infinite, double* maps, double* error) {
    EACH_THREAD(t) {
        const i64 n = (i64)blockIdx.x * blockDim.x + t;
        if (n >= chosen) continue;
        const i64 here = points[n];
        const Field field = field_at(memory, (i64)height * width);
        const int x = (int)(here % width), y = (int)(here / width);
        const double c = angles->cosine[field.turn[here]], s = angles->sine[field.turn[here]];
        const bool mirrored = field.mirrored[here];
        const double flip = mirrored ? -1.0 : 1.0;
        const int goal = field.target[here];
        double gx = goal % width, gy = goal / width;
        double ma = c, mb = -s * flip, mc = s, md = c * flip, rms = infinite;
        for (int step = 0; step < 2; ++step) {
            // Sums over those that agree: offsets, their residuals, and the products of both.
            double count = 0, su = 0, sv = 0, sp = 0, sq = 0, suu = 0, suv = 0, svv = 0;
            double spu = 0, spv = 0, squ = 0, sqv = 0, spp = 0;
            for (int ny = max(0, y - reach); ny < min(height, y + reach + 1); ++ny) {
                for (int nx = max(0, x - reach); nx < min(width, x + reach + 1); ++nx) {
                    const i64 there = (i64)ny * width + nx;
                    if (field.score[there] < worth || (bool)field.mirrored[there] != mirrored)
                        continue;
                    const double u = nx - x, v = ny - y;
                    const double p = field.target[there] % width - (gx + ma * u + mb * v);
                    const double q = field.target[there] / width - (gy + mc * u + md * v);
                    if (p * p + q * q > tolerance * tolerance) continue;
                    count += 1.0;
                    su += u, sv += v, sp += p, sq += q;
                    suu += u * u, suv += u * v, svv += v * v;
                    spu += p * u, spv += p * v, squ += q * u, sqv += q * v;
                    spp += p * p + q * q;
                }
            }
            if (count < 3.0) break;
            suu += pull - su * su / count;
            svv += pull - sv * sv / count;
            suv -= su * sv / count;
            spu -= sp * su / count;
            spv -= sp * sv / count;
            squ -= sq * su / count;
            sqv -= sq * sv / count;
            const double determinant = suu * svv - suv * suv;
            const double da = (spu * svv - spv * suv) / determinant;
            const double db = (spv * suu - spu * suv) / determinant;
            const double dc = (squ * svv - sqv * suv) / determinant;
            const double dd = (sqv * suu - squ * suv) / determinant;
            ma += da, mb += db, mc += dc, md += dd;
            gx += (sp - da * su - db * sv) / count;
            gy += (sq - dc * su - dd * sv) / count;
            rms = sqrt(spp / count);
        }
        double* map = maps + 8 * n;
        map[0] = x, map[1] = y, map[2] = gx, map[3] = gy;
        map[4] = ma, map[5] = mb, map[6] = mc, map[7] = md;
        error[n] = rms;
    }
}
