// Sums over a block: what its threads have summed up each, to one value for each row. The order is
// always the same, so that a kernel gives the same to the last bit whenever it runs.

constexpr int PARTS = 8;  // a row is added in so many parts first, by a thread each

// One row of partial sums. Its length keeps the parts of several rows in different banks.
template <class T, int COUNT>
struct Row {
    T of[COUNT + PARTS];
};

// rows    at most COUNT / PARTS
// totals  (rows)
template <class T, int COUNT>
DEVICE void add_up(const Row<T, COUNT>* partial, int rows, T (*parts)[PARTS], T* totals) {
    EACH_THREAD(t) {
        const int row = t / PARTS, part = t % PARTS;
        if (row >= rows) continue;
        T sum = 0;
        for (int n = part; n < COUNT; n += PARTS) sum += partial[row].of[n];
        parts[row][part] = sum;
    }
    EACH_THREAD(t) {
        if (t >= rows) continue;
        T sum = 0;
        for (int part = 0; part < PARTS; ++part) sum += parts[t][part];
        totals[t] = sum;
    }
}
