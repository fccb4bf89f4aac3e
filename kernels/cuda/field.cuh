// A field of matches: kernels/field.py. Comes after zernike.cuh.

enum { TURNS = 64 };

// The angles that are told apart: kernels/cuda/field.py, ANGLE_TABLES.
struct Angles {
    double cosine[TURNS], sine[TURNS];
    int cosines[TURNS][ORDERS + 1], sines[TURNS][ORDERS + 1];  // of their multiples, times FULL
};

// One value per grid point (height, width) in each array.
struct Field {
    int* target;
    int* score;
    u8* turn;
    u8* mirrored;
};

// The arrays of a field, one after the other: kernels/cuda/field.py, FIELD_BYTES.
DEVICE Field field_at(u8* memory, i64 points) {
    return {(int*)memory, (int*)(memory + 4 * points), memory + 8 * points, memory + 9 * points};
}

[[maybe_unused]] DEVICE i64 squared(i64 x, i64 y) { return x * x + y * y; }
