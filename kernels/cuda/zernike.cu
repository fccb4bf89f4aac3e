// Complex Zernike moments of discs, and their invariants: kernels/zernike.py. Every operation is
// rounded alone, and in the order of the CPU, so that codes and energies are equal to the last bit.
#include "zernike.cuh"

DEVICE signed char coded(float moment, float scale) { return (signed char)rintf(moment * scale); }

// The discs around every `stride`-th pixel. A thread does one disc: it sums, for each moment, over
// one quadrant of the filter, since every filter is even or odd along x and along y.
//
// image    float32, rows of `image_width`; the discs of the grid lie inside
// weights  float32 (radius + 1, radius + 1, 2 * LANES), dy, dx, then the lanes of a code
// codes    Code (height, width), filled
// energy   float32 (height, width), filled
KERNEL void describe(const float* image, int image_width, const float* weights, int radius,
                     int stride, int height, int width, Code* codes, float* energy) {
    EACH_THREAD(t) {
        const i64 place = (i64)blockIdx.x * blockDim.x + t;
        if (place >= (i64)height * width) continue;
        const i64 row = place / width, column = place % width;
        const float* middle = image + (row * stride + radius) * image_width + column * stride + radius;
        float real[MOMENTS], imaginary[MOMENTS];
        for (int k = 0; k < MOMENTS; ++k) real[k] = imaginary[k] = 0.0f;
        for (int dy = 0; dy <= radius; ++dy) {
            const float *up = middle - (i64)dy * image_width, *down = middle + (i64)dy * image_width;
            for (int dx = 0; dx <= radius; ++dx) {
                if (dx * dx + dy * dy > radius * radius + radius) break;  // rim: radius + 1/2
                const float a = up[-dx], b = up[dx], c = down[-dx], d = down[dx];
                const float even = (a + b) + (c + d), odd_x = (b - a) + (d - c);
                const float odd_y = (c + d) - (a + b), odd = (d - c) - (b - a);
                const float* weight = weights + (dy * (radius + 1) + dx) * 2 * LANES;
#pragma unroll
                for (int k = 0; k < MOMENTS; ++k) {
                    const bool turns_oddly = repetition_of(k) % 2;
                    real[k] += weight[k] * (turns_oddly ? odd_x : even);
                    if (repetition_of(k) == 0) continue;
                    imaginary[k] += weight[LANES + k] * (turns_oddly ? odd_y : odd);
                }
            }
        }
        float squares = 0.0f;
#pragma unroll
        for (int k = 0; k < MOMENTS; ++k) squares += real[k] * real[k];
#pragma unroll
        for (int k = 0; k < MOMENTS; ++k) squares += imaginary[k] * imaginary[k];
        energy[place] = squares;
        const float scale = squares > 1e-6 ? (float)FULL / sqrtf(squares) : 0.0f;
        Code code;
#pragma unroll
        for (int k = 0; k < MOMENTS; ++k) {
            code.real[k] = coded(real[k], scale);
            code.imaginary[k] = coded(imaginary[k], scale);
        }
        code.real[MOMENTS] = code.imaginary[MOMENTS] = 0;
        codes[place] = code;
    }
}

// The invariants of some discs. log2 is the library's: where its last bit differs and the level
// lies next to a whole number, that one value differs by 1.
//
// points  int32 (count,), row * width + column
// traits  Traits (count,), filled
KERNEL void invariants(const Code* codes, const float* energy, const int* points, int count,
                       Traits* traits) {
    EACH_THREAD(t) {
        const i64 n = (i64)blockIdx.x * blockDim.x + t;
        if (n >= count) continue;
        const int point = points[n];
        const Code code = codes[point];
        Traits found;
#pragma unroll
        for (int k = 0; k < MOMENTS; ++k) {
            const float real = code.real[k], imaginary = code.imaginary[k];
            found.lane[k] = repetition_of(k) == 0
                                ? (u8)(128 + code.real[k])
                                : (u8)rintf(sqrtf(real * real + imaginary * imaginary));
        }
        const double level = 64.0 + 8.0 * log2(energy[point] + 1e-3);
        found.lane[MOMENTS] = (u8)(int)min(max(level, 0.0), 255.0);
        traits[n] = found;
    }
}
