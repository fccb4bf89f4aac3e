// The most similar descriptors to each one, all against all: kernels/nearest.py. A block keeps the
// descriptors of some rows and goes over a slice of the columns, a tile at a time; no similarity
// outlives its tile. Each slice has lists of its own, which are merged at the end.
constexpr int TILE = 32;         // rows of a block, and columns at a time
constexpr int SCANNERS = 256;    // threads of a block
constexpr int WIDTH = 128;       // entries of a descriptor, at most: kernels/cuda/nearest.py, WIDTH
constexpr int QUARTERS = WIDTH / 4;
constexpr int PITCH = QUARTERS + 1;  // keeps neighbouring rows in different banks
constexpr int STEP = TILE / 2;   // a thread has the products of 2 rows and 2 columns

struct alignas(16) Quarter {     // four entries, read at once
    float a, b, c, d;
};

DEVICE void add_product(float* sum, const Quarter& x, const Quarter& y) {
    float total = *sum;
    total += x.a * y.a;
    total += x.b * y.b;
    total += x.c * y.c;
    total += x.d * y.d;
    *sum = total;
}

// The products of 2 rows and 2 columns over some of the entries.
DEVICE void multiply(const Quarter (*rows)[PITCH], const Quarter (*columns)[PITCH], int row,
                     int column, int from, int to, float* sums) {
    for (int part = from; part < to; ++part) {
        const Quarter upper = rows[row][part], lower = rows[row + STEP][part];
        const Quarter one = columns[column][part], two = columns[column + STEP][part];
        add_product(&sums[0], upper, one);
        add_product(&sums[1], upper, two);
        add_product(&sums[2], lower, one);
        add_product(&sums[3], lower, two);
    }
}

DEVICE void load(const Quarter* entries, int first, int count, int quarters, Quarter (*rows)[PITCH],
                 int t) {
    for (int n = t; n < TILE * quarters; n += SCANNERS) {
        const int row = n / quarters, part = n % quarters;
        if (first + row < count) rows[row][part] = entries[(i64)(first + row) * quarters + part];
    }
}

// Put a candidate into a list that is sorted, best first; the earlier goes first among equals.
DEVICE void insert(int* index, float* value, int k, float similarity, int which) {
    int place = k - 1;
    for (; place > 0 && similarity > value[place - 1]; --place) {
        value[place] = value[place - 1];
        index[place] = index[place - 1];
    }
    value[place] = similarity;
    index[place] = which;
}

// entries  Quarter (count, even + odd): of each descriptor first the entries that mirroring leaves
//          as they are, then those that it negates, both filled up with zeros
// points   float64 (count, 2)
// span     columns of a slice, a multiple of TILE; the slice is blockIdx.y
// index    i32 (slices, 2, count, k): of the plain form, then of the mirrored one
// value    float32, likewise
KERNEL void most_similar(const Quarter* entries, const double* points, int count, int even, int odd,
                         int span, double apart, int k, float least, int* index, float* value) {
    SHARED Quarter rows[TILE][PITCH], columns[TILE][PITCH];
    SHARED float similar[2][TILE][TILE + 1];
    SHARED float bounds[2 * TILE];

    const int top = blockIdx.x * TILE, quarters = even + odd;
    const i64 slice = blockIdx.y;
    EACH_THREAD(t) {
        load(entries, top, count, quarters, rows, t);
        if (t >= 2 * TILE) continue;
        bounds[t] = least;
        const int row = top + t % TILE;
        if (row >= count) continue;
        const i64 list = ((slice * 2 + t / TILE) * count + row) * k;
        for (int place = 0; place < k; ++place) {
            index[list + place] = -1;
            value[list + place] = least;
        }
    }
    const int last = min((i64)count, (slice + 1) * span);
    for (int left = (int)(slice * span); left < last; left += TILE) {
        EACH_THREAD(t) { load(entries, left, count, quarters, columns, t); }
        EACH_THREAD(t) {
            const int row = t / STEP, column = t % STEP;
            float kept[4] = {}, negated[4] = {};
            multiply(rows, columns, row, column, 0, even, kept);
            multiply(rows, columns, row, column, even, quarters, negated);
            for (int n = 0; n < 4; ++n) {
                const int y = row + n / 2 * STEP, x = column + n % 2 * STEP;
                similar[0][y][x] = 0.5f * kept[n] + 0.5f * negated[n];
                similar[1][y][x] = 0.5f * kept[n] - 0.5f * negated[n];
            }
        }
        EACH_THREAD(t) {
            if (t >= 2 * TILE || top + t % TILE >= count) continue;
            const int form = t / TILE, row = top + t % TILE;
            const i64 list = ((slice * 2 + form) * count + row) * k;
            for (int n = 0; n < min(TILE, last - left); ++n) {
                const float similarity = similar[form][t % TILE][n];
                if (!(similarity > bounds[t])) continue;
                const int column = left + n;
                const double dx = points[2 * (i64)row] - points[2 * (i64)column];
                const double dy = points[2 * (i64)row + 1] - points[2 * (i64)column + 1];
                if (!(dx * dx + dy * dy >= apart * apart)) continue;
                insert(index + list, value + list, k, similarity, column);
                bounds[t] = value[list + k - 1];
            }
        }
    }
}

// The slices' lists of a row and form into one, the earlier slice first among equals.
//
// some_index, some_value  (slices, lists, k)
// made_index              i32 (lists, k); -1 where there are fewer
// made_value              float32 (lists, k); -inf likewise
KERNEL void merge(const int* some_index, const float* some_value, int slices, i64 lists, int k,
                  float least, int* made_index, float* made_value) {
    EACH_THREAD(t) {
        const i64 list = (i64)blockIdx.x * blockDim.x + t;
        if (list >= lists) continue;
        int* index = made_index + list * k;
        float* value = made_value + list * k;
        for (int place = 0; place < k; ++place) {
            index[place] = -1;
            value[place] = least;
        }
        for (int slice = 0; slice < slices; ++slice) {
            for (int place = 0; place < k; ++place) {
                const i64 at = (slice * lists + list) * k + place;
                if (some_index[at] < 0 || !(some_value[at] > value[k - 1])) break;
                insert(index, value, k, some_value[at], some_index[at]);
            }
        }
        for (int place = 0; place < k; ++place)
            if (index[place] < 0) value[place] = __uint_as_float(0xff800000u);
    }
}
