// For every disc of a grid the one elsewhere that looks most like it: kernels/patchmatch.py.
//
// A thread does one disc, reads what the launch before it wrote, and writes its own disc only. The
// CPU does the same in the same order, and scores are sums of integers, so the two are equal to the
// last bit, however threads and blocks run.
#include "zernike.cuh"
#include "field.cuh"

// The similarity of two discs under a known map.
DEVICE int score_of(const Code& first, const Code& second, const Angles& angles, int turn,
                    bool mirrored) {
    const int sign = mirrored ? -1 : 1;
    int even[ORDERS], odd[ORDERS];
#pragma unroll
    for (int m = 0; m < ORDERS; ++m) even[m] = odd[m] = 0;
#pragma unroll
    for (int k = 0; k < MOMENTS; ++k) {
        const int m = repetition_of(k);
        const int re_a = first.real[k], im_a = first.imaginary[k] * sign;
        const int re_b = second.real[k], im_b = second.imaginary[k];
        even[m] += re_a * re_b + im_a * im_b;
        odd[m] += im_a * re_b - re_a * im_b;
    }
    int total = 0;
#pragma unroll
    for (int m = 0; m < ORDERS; ++m)
        total += even[m] * angles.cosines[turn][m] + odd[m] * angles.sines[turn][m];
    return total;
}

struct Likeness {
    int score, turn;
    bool mirrored;
};

// The map under which two discs are most alike; of equal ones the first, straight before mirrored.
DEVICE Likeness best_turn(const Code& first, const Code& second, const Angles& angles) {
    int even[2][ORDERS], odd[2][ORDERS];  // straight, mirrored
#pragma unroll
    for (int m = 0; m < ORDERS; ++m) even[0][m] = even[1][m] = odd[0][m] = odd[1][m] = 0;
#pragma unroll
    for (int k = 0; k < MOMENTS; ++k) {
        const int m = repetition_of(k);
        const int re_a = first.real[k], im_a = first.imaginary[k];
        const int re_b = second.real[k], im_b = second.imaginary[k];
        even[0][m] += re_a * re_b + im_a * im_b;
        odd[0][m] += im_a * re_b - re_a * im_b;
        even[1][m] += re_a * re_b - im_a * im_b;
        odd[1][m] -= im_a * re_b + re_a * im_b;
    }
    Likeness best[2] = {{0, 0, false}, {0, 0, true}};
    for (int turn = 0; turn < TURNS; ++turn) {
        int straight = even[0][0] * FULL, mirrored = even[1][0] * FULL;
#pragma unroll
        for (int m = 1; m < ORDERS; ++m) {
            const int cosine = angles.cosines[turn][m], sine = angles.sines[turn][m];
            straight += even[0][m] * cosine + odd[0][m] * sine;
            mirrored += even[1][m] * cosine + odd[1][m] * sine;
        }
        if (turn == 0 || straight > best[0].score) best[0].score = straight, best[0].turn = turn;
        if (turn == 0 || mirrored > best[1].score) best[1].score = mirrored, best[1].turn = turn;
    }
    return best[1].score > best[0].score ? best[1] : best[0];
}

// A grid point.
struct alignas(8) Point {
    int x, y;
};

// What `meet` reads of its neighbours in an order, side by side. Grid: (ceil(count / threads), 1).
//
// traits, points  Traits, int32 (count,), in the order of the grid
// numbers         u32 (count,), which of them comes when
KERNEL void line_up(const Traits* traits, const int* points, const u32* numbers, int count,
                    int width, Traits* in_order, Point* places) {
    EACH_THREAD(t) {
        const i64 n = (i64)blockIdx.x * blockDim.x + t;
        if (n >= count) continue;
        const u32 number = numbers[n];
        const int point = points[number];
        in_order[n] = traits[number];
        places[n] = {point % width, point / width};
    }
}

// Compare each disc with those beside it in an order; keep what is better than the field.
// Grid: (ceil(count / threads), 1).
KERNEL void meet(const Code* codes, const Traits* in_order, const Point* places, int count,
                 i64 points, int width, int reach, int apart, const Angles* angles, u8* field) {
    EACH_THREAD(t) {
        const i64 n = (i64)blockIdx.x * blockDim.x + t;
        if (n >= count) continue;
        const Field out = field_at(field, points);
        const Point place = places[n];
        const Traits mine = in_order[n];
        i64 nearest = -1;
        int distance = 1 << 30;
        for (i64 other = max(n - reach, (i64)0); other <= min(n + reach, (i64)count - 1); ++other) {
            const Point there = places[other];
            if (squared(there.x - place.x, there.y - place.y) < (i64)apart * apart) continue;
            const Traits theirs = in_order[other];
            int total = 0;
#pragma unroll
            for (int k = 0; k < LANES; ++k) {
                const int difference = (int)mine.lane[k] - (int)theirs.lane[k];
                total += difference * difference;
            }
            if (total < distance) nearest = other, distance = total;
        }
        if (nearest < 0) continue;
        const i64 here = (i64)place.y * width + place.x;
        const i64 goal = (i64)places[nearest].y * width + places[nearest].x;
        if (goal == out.target[here]) continue;
        const Likeness found = best_turn(codes[here], codes[goal], *angles);
        if (found.score <= out.score[here]) continue;
        out.score[here] = found.score;
        out.target[here] = (int)goal;
        out.turn[here] = (u8)found.turn;
        out.mirrored[here] = found.mirrored;
    }
}

// Each point takes over what its neighbours `jump` points away say, where that is better.
// Grid: (ceil(height * width / threads), 1).
KERNEL void sweep(const Code* codes, const u8* usable, int height, int width, int jump, int apart,
                  int worth, const Angles* angles, u8* before, u8* after) {
    EACH_THREAD(t) {
        const i64 points = (i64)height * width, here = (i64)blockIdx.x * blockDim.x + t;
        if (here >= points) continue;
        const Field from = field_at(before, points), to = field_at(after, points);
        const i64 x = here % width, y = here / width;
        int best = from.score[here], goal = from.target[here];
        int turn = from.turn[here];
        bool mirrored = from.mirrored[here];
        if (usable[here]) {
            const Code code = codes[here];
            for (int step = 0; step < 4; ++step) {
                const i64 nx = x + (step == 0 ? jump : step == 1 ? -jump : 0);
                const i64 ny = y + (step == 2 ? jump : step == 3 ? -jump : 0);
                if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
                const i64 beside = ny * width + nx;
                const int said = from.target[beside];
                if (said < 0 || from.score[beside] < worth) continue;
                const int handed = from.turn[beside];
                const bool over = from.mirrored[beside];
                const double u = (double)(x - nx), v = over ? -(double)(y - ny) : (double)(y - ny);
                const double c = angles->cosine[handed], s = angles->sine[handed];
                const i64 px = said % width + (i64)rint(c * u - s * v);
                const i64 py = said / width + (i64)rint(s * u + c * v);
                if (px < 0 || py < 0 || px >= width || py >= height) continue;
                const i64 there = py * width + px;
                if (!usable[there] || squared(px - x, py - y) < (i64)apart * apart) continue;
                if (there == goal && handed == turn && over == mirrored) continue;
                const int found = score_of(code, codes[there], *angles, handed, over);
                if (found <= best) continue;
                best = found, goal = (int)there, turn = handed, mirrored = over;
            }
        }
        to.score[here] = best;
        to.target[here] = goal;
        to.turn[here] = (u8)turn;
        to.mirrored[here] = mirrored;
    }
}

// Try the neighbours of each point's goal and the turns beside its own. Grid: as `sweep`.
KERNEL void settle(const Code* codes, const u8* usable, int height, int width, int apart, int worth,
                   const Angles* angles, u8* memory) {
    EACH_THREAD(t) {
        const i64 points = (i64)height * width, here = (i64)blockIdx.x * blockDim.x + t;
        if (here >= points) continue;
        const Field field = field_at(memory, points);
        int goal = field.target[here], best = field.score[here];
        if (goal < 0 || best < worth) continue;
        const i64 x = here % width, y = here / width, gx = goal % width, gy = goal / width;
        const int turn = field.turn[here];
        const bool mirrored = field.mirrored[here];
        const Code code = codes[here];
        for (i64 py = gy - 1; py <= gy + 1; ++py) {
            for (i64 px = gx - 1; px <= gx + 1; ++px) {
                if ((px == gx && py == gy) || px < 0 || py < 0 || px >= width || py >= height)
                    continue;
                const i64 there = py * width + px;
                if (!usable[there] || squared(px - x, py - y) < (i64)apart * apart) continue;
                const int found = score_of(code, codes[there], *angles, turn, mirrored);
                if (found > best) best = found, goal = (int)there;
            }
        }
        int settled = turn;
        const Code theirs = codes[goal];
        for (int step = -1; step <= 1; step += 2) {
            const int other = (turn + step + TURNS) % TURNS;
            const int found = score_of(code, theirs, *angles, other, mirrored);
            if (found > best) best = found, settled = other;
        }
        field.score[here] = best;
        field.target[here] = goal;
        field.turn[here] = (u8)settled;
    }
}
