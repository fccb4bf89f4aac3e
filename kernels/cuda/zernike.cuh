// The moments of a disc: kernels/zernike.py.

enum { LANES = 16, MOMENTS = 15, FULL = 127 };
enum { ORDERS = 7 };  // repetitions 0 to 6

// Real parts, a spare, imaginary parts, a spare.
struct alignas(16) Code {
    signed char real[LANES], imaginary[LANES];
};

// What neither a turn nor a reflection changes.
struct alignas(16) Traits {
    u8 lane[LANES];
};

// How often a moment turns with a disc that turns once: PAIRS. Known when the loops are unrolled.
[[maybe_unused]] DEVICE constexpr int repetition_of(int moment) {
    return moment < 9 ? moment / 3 : moment < 11 ? 3 : moment < 13 ? 4 : moment - 8;
}
