// From pictures of any sizes to the frame of a network, as OpenCV resizes bytes: INTER_AREA where a
// picture shrinks, INTER_LINEAR where it grows (opencv/modules/imgproc/src/resize.cpp), so that a
// network sees the same on a GPU and without one.
#include "batch.cuh"

// The cells that a pixel of the frame covers on one side, with their shares. Only the first and
// the last may be covered in part.
struct Cover {
    int first, end;
    float head, inner, tail;
};

DEVICE Cover cover_of(int pixel, int source, int made) {
    double scale = 1.0 / ((double)made / (double)source);
    double from = pixel * scale, to = from + scale;
    double whole = min(scale, source - from);
    int last = min((int)floor(to), source - 1), start = min((int)ceil(from), last);
    Cover cover = {start, last, 0.0f, (float)(1.0 / whole), 0.0f};
    if (start - from > 1e-3) {
        cover.head = (float)((start - from) / whole);
        --cover.first;
    }
    if (to - last > 1e-3) {
        cover.tail = (float)(min(min(to - last, 1.0), whole) / whole);
        ++cover.end;
    }
    return cover;
}

DEVICE float share_of(Cover cover, int cell) {
    if (cell == cover.first && cover.head > 0.0f) return cover.head;
    if (cell == cover.end - 1 && cover.tail > 0.0f) return cover.tail;
    return cover.inner;
}

DEVICE u8 rounded(float value) {
    return (u8)min(max(rintf(value), 0.0f), 255.0f);
}

// The mean of the cells that a pixel covers.
DEVICE void shrunk(const u8* pixels, Image image, int x, int y, u8* colours) {
    Cover across = cover_of(x, image.width, image.view_width);
    Cover down = cover_of(y, image.height, image.view_height);
    float sums[3] = {0.0f, 0.0f, 0.0f};
    for (int row = down.first; row < down.end; ++row) {
        const u8* line = pixels + ((i64)row * image.width + across.first) * 3;
        float parts[3] = {0.0f, 0.0f, 0.0f};
        for (int column = across.first; column < across.end; ++column, line += 3) {
            float share = share_of(across, column);
            for (int c = 0; c < 3; ++c) parts[c] += line[c] * share;
        }
        float share = share_of(down, row);
        for (int c = 0; c < 3; ++c) sums[c] += share * parts[c];
    }
    for (int c = 0; c < 3; ++c) colours[c] = rounded(sums[c]);
}

// The same where every pixel covers as many whole cells.
DEVICE void shrunk_evenly(const u8* pixels, Image image, int x, int y, u8* colours) {
    int across = image.width / image.view_width, down = image.height / image.view_height;
    int sums[3] = {0, 0, 0};
    for (int row = y * down; row < (y + 1) * down; ++row) {
        const u8* line = pixels + ((i64)row * image.width + x * across) * 3;
        for (int column = 0; column < across; ++column, line += 3)
            for (int c = 0; c < 3; ++c) sums[c] += line[c];
    }
    float share = (float)(1.0 / (across * down));
    for (int c = 0; c < 3; ++c)
        colours[c] = across == 2 && down == 2 ? (u8)((sums[c] + 2) >> 2) : rounded(sums[c] * share);
}

// The two cells that a pixel lies between, and their weights in parts of 2048.
struct Pair {
    int first, second, weight, other;
};

// OpenCV's weights at the rims: across, all is the outermost pixel's; down, both are that pixel.
DEVICE Pair pair_of(int pixel, int source, int made, bool across) {
    double scale = 1.0 / ((double)made / (double)source);
    float at = (float)((pixel + 0.5) * scale - 0.5);
    int first = (int)floorf(at);
    float share = at - first;
    if (across && (first < 0 || first >= source - 1)) share = 0.0f;
    Pair pair = {min(max(first, 0), source - 1), min(max(first + 1, 0), source - 1),
                 (int)rintf((1.0f - share) * 2048.0f), (int)rintf(share * 2048.0f)};
    return pair;
}

DEVICE void grown(const u8* pixels, Image image, int x, int y, u8* colours) {
    Pair across = pair_of(x, image.width, image.view_width, true);
    Pair down = pair_of(y, image.height, image.view_height, false);
    const u8* upper = pixels + (i64)down.first * image.width * 3;
    const u8* lower = pixels + (i64)down.second * image.width * 3;
    for (int c = 0; c < 3; ++c) {
        int left = across.first * 3 + c, right = across.second * 3 + c;
        int above = upper[left] * across.weight + upper[right] * across.other;
        int below = lower[left] * across.weight + lower[right] * across.other;
        int sum = ((down.weight * (above >> 4)) >> 16) + ((down.other * (below >> 4)) >> 16);
        colours[c] = (u8)min(max((sum + 2) >> 2, 0), 255);
    }
}

// Fill the frames of a batch. What is beyond a picture's view repeats its edge.
//
// rows    Image, one per picture
// pixels  u8, see kernels/cuda/batch.py
// frames  float32 (N, 3, height, width), 0 to 1
KERNEL void prepare(const Image* rows, const u8* pixels, int height, int width, float* frames) {
    SHARED Image image;

    EACH_THREAD(t) {
        if (t == 0) image = rows[blockIdx.y];
    }
    EACH_THREAD(t) {
        i64 place = (i64)blockIdx.x * blockDim.x + t, plane = (i64)height * width;
        if (place >= plane) continue;
        int x = min((int)(place % width), image.view_width - 1);
        int y = min((int)(place / width), image.view_height - 1);
        const u8* here = pixels + image.pixel_offset;
        u8 colours[3];
        i64 view = (i64)image.view_height * image.view_width, full = (i64)image.height * image.width;
        if (image.view_height == image.height && image.view_width == image.width)
            for (int c = 0; c < 3; ++c) colours[c] = here[((i64)y * image.width + x) * 3 + c];
        else if (view >= full)
            grown(here, image, x, y, colours);
        else if (image.height % image.view_height == 0 && image.width % image.view_width == 0)
            shrunk_evenly(here, image, x, y, colours);
        else
            shrunk(here, image, x, y, colours);
        float* frame = frames + (i64)blockIdx.y * 3 * plane + place;
        for (int c = 0; c < 3; ++c) frame[c * plane] = colours[c] * (float)(1.0 / 255.0);
    }
}
