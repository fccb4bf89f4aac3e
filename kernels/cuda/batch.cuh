// A picture of a batch: kernels/cuda/batch.py, ImageTable.
struct Image {
    i64 pixel_offset;
    int height, width, view_height, view_width;
    i64 word_offset, rank;
    float limit;
    int min_area;
};
