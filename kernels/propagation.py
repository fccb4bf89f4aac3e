"""What `kernels.patchmatch` is made of: discs that are near in feature space meet, sweeps hand
turned offsets to neighbours, and in the end each takes the turn that fits best.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.field import ANGLES, COSINES, FIELD, SINES, TURNS
from kernels.jit import kernel
from kernels.zernike import FULL, LANES, REPETITION

_ORDERS = 7  # repetitions 0 to 6
_BLOCK = 1024  # discs that share their room to work in
# By moment, for one known turn; the spare lane weighs nothing.
_COS = np.rint(FULL * np.cos(ANGLES[:, None] * REPETITION)).astype(np.int32)
_SIN = np.rint(FULL * np.sin(ANGLES[:, None] * REPETITION)).astype(np.int32)
# By repetition, for all turns at once.
_ALL_COS = np.rint(FULL * np.cos(ANGLES * np.arange(_ORDERS)[:, None])).astype(np.int32)
_ALL_SIN = np.rint(FULL * np.sin(ANGLES * np.arange(_ORDERS)[:, None])).astype(np.int32)

_CODES = "int8[:, ::1]"


@kernel(f"int32({_CODES}, int64, int64, int64, boolean)")
def _score(
    codes: NDArray[np.int8], i: np.int64, j: np.int64, turn: np.int64, mirrored: np.bool_
) -> np.int32:
    """Similarity of two discs under a known map."""
    first, second = codes[i], codes[j]
    cosines, sines = _COS[turn], _SIN[turn]
    sign = np.int32(-1) if mirrored else np.int32(1)
    total = np.int32(0)
    for k in range(LANES):
        re_a, im_a = np.int32(first[k]), np.int32(first[LANES + k] * sign)
        re_b, im_b = np.int32(second[k]), np.int32(second[LANES + k])
        even = np.int32(re_a * re_b + im_a * im_b)
        odd = np.int32(im_a * re_b - re_a * im_b)
        total = np.int32(total + even * cosines[k] + odd * sines[k])
    return total


@kernel(f"UniTuple(int32, 3)({_CODES}, int64, int64, int32[:, ::1], int32[:, ::1])")
def _best_turn(
    codes: NDArray[np.int8],
    i: np.int32,
    j: np.int32,
    sums: NDArray[np.int32],
    curve: NDArray[np.int32],
) -> tuple[np.int32, np.int32, np.int32]:
    """Score, turn and parity (1: mirrored) under which two discs are most alike.

    Sums (4, _ORDERS) and curve (2, TURNS) are room to work in.
    """
    first, second = codes[i], codes[j]
    sums[:] = 0
    for k in range(LANES - 1):
        re_a, im_a = np.int32(first[k]), np.int32(first[LANES + k])
        re_b, im_b = np.int32(second[k]), np.int32(second[LANES + k])
        m = REPETITION[k]
        rr, ii, ir, ri = re_a * re_b, im_a * im_b, im_a * re_b, re_a * im_b
        sums[0, m] += rr + ii
        sums[1, m] += ir - ri
        sums[2, m] += rr - ii
        sums[3, m] -= ir + ri
    for parity in range(2):
        values = curve[parity]
        values[:] = sums[2 * parity, 0] * np.int32(FULL)
        for m in range(1, _ORDERS):
            real, imaginary = sums[2 * parity, m], sums[2 * parity + 1, m]
            cosines, sines = _ALL_COS[m], _ALL_SIN[m]
            for t in range(TURNS):
                values[t] = np.int32(values[t] + real * cosines[t] + imaginary * sines[t])
    best, turn, mirrored = curve[0, 0], np.int32(0), np.int32(0)
    for parity in range(2):
        for t in range(TURNS):
            if curve[parity, t] > best:
                best, turn, mirrored = curve[parity, t], np.int32(t), np.int32(parity)
    return best, turn, mirrored


@kernel(
    f"void({_CODES}, uint8[:, ::1], int32[:, ::1], int64, int64, int64, int32[::1], uint8[::1],"
    " boolean[::1], int32[::1])",
    parallel=True,
)
def meet(
    codes: NDArray[np.int8],
    invariants: NDArray[np.uint8],
    places: NDArray[np.int32],
    shift: int,
    reach: int,
    apart: int,
    target: NDArray[np.int32],
    turns: NDArray[np.uint8],
    mirrored: NDArray[np.bool_],
    score: NDArray[np.int32],
) -> None:
    """Compare each disc with those beside it in an order; keep what is better than the field.

    Places: x and y on the grid that answers, and which code is the point's. The first `shift` codes
    are of points that ask only, those after them of points that answer only; 0: all do both.
    """
    n = places.shape[0]
    for block in prange(-(-n // _BLOCK)):
        start = np.int64(block) * _BLOCK
        sums = np.empty((4, _ORDERS), np.int32)
        curve = np.empty((2, TURNS), np.int32)
        for i in range(start, min(n, start + _BLOCK)):
            x, y, point = places[i, 0], places[i, 1], places[i, 2]
            if 0 < shift <= point:
                continue
            mine = invariants[i]
            nearest, distance = -1, np.int32(2**30)
            for j in range(max(0, i - reach), min(n, i + reach + 1)):
                dx, dy = places[j, 0] - x, places[j, 1] - y
                if dx * dx + dy * dy < apart * apart or places[j, 2] < shift:
                    continue
                theirs = invariants[j]
                total = np.int32(0)
                for k in range(LANES):
                    difference = np.int32(mine[k]) - np.int32(theirs[k])
                    total = np.int32(total + difference * difference)
                if total < distance:
                    nearest, distance = j, total
            if nearest < 0 or places[nearest, 2] - shift == target[point]:
                continue
            found, turn, parity = _best_turn(codes, point, places[nearest, 2], sums, curve)
            if found > score[point]:
                score[point] = found
                target[point] = places[nearest, 2] - shift
                turns[point] = turn
                mirrored[point] = parity == 1


@kernel(
    f"void({_CODES}, boolean[:, ::1], boolean[:, ::1], float64, float64, int64, int64, int32,"
    f" {FIELD}, {FIELD})",
    parallel=True,
)
def sweep(
    codes: NDArray[np.int8],
    asks: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    ratio: float,
    lead: float,
    jump: int,
    apart: int,
    worth: int,
    target: NDArray[np.int32],
    turns: NDArray[np.uint8],
    mirrored: NDArray[np.bool_],
    score: NDArray[np.int32],
    new_target: NDArray[np.int32],
    new_turns: NDArray[np.uint8],
    new_mirrored: NDArray[np.bool_],
    new_score: NDArray[np.int32],
) -> None:
    """Each point takes over what its neighbours `jump` points away say, where that is better.

    A point (x, y) that asks lies at ratio * (x, y) + lead on the grid of `usable`, which answers
    and is as wide. Where it is not the same grid, its codes come after those of the points that
    ask.
    """
    height, width = target.shape
    goals = usable.shape[0]
    shift = codes.shape[0] - usable.size
    for loop in prange(height):
        y = np.int64(loop)
        for x in range(width):
            best, goal = score[y, x], target[y, x]
            turn, flip = turns[y, x], mirrored[y, x]
            if asks[y, x]:
                home_x, home_y = ratio * x + lead, ratio * y + lead
                for step in range(4):
                    nx = x + (jump if step == 0 else -jump if step == 1 else 0)
                    ny = y + (jump if step == 2 else -jump if step == 3 else 0)
                    if nx < 0 or ny < 0 or nx >= width or ny >= height:
                        continue
                    if target[ny, nx] < 0 or score[ny, nx] < worth:
                        continue
                    t, f = np.int64(turns[ny, nx]), mirrored[ny, nx]
                    u, v = float(x - nx), float(y - ny)
                    if f:
                        v = -v
                    gx = target[ny, nx] % width
                    gy = target[ny, nx] // width
                    px = gx + np.int64(round(COSINES[t] * u - SINES[t] * v))
                    py = gy + np.int64(round(SINES[t] * u + COSINES[t] * v))
                    if px < 0 or py < 0 or px >= width or py >= goals or not usable[py, px]:
                        continue
                    dx, dy = px - home_x, py - home_y
                    if dx * dx + dy * dy < apart * apart:
                        continue
                    there = py * width + px
                    if there == goal and t == np.int64(turn) and f == flip:
                        continue
                    found = _score(codes, y * width + x, shift + there, t, f)
                    if found > best:
                        best, goal, turn, flip = found, there, t, f
            new_score[y, x] = best
            new_target[y, x] = goal
            new_turns[y, x] = turn
            new_mirrored[y, x] = flip


@kernel(f"void({_CODES}, boolean[:, ::1], float64, float64, int64, int32, {FIELD})", parallel=True)
def settle(
    codes: NDArray[np.int8],
    usable: NDArray[np.bool_],
    ratio: float,
    lead: float,
    apart: int,
    worth: int,
    target: NDArray[np.int32],
    turns: NDArray[np.uint8],
    mirrored: NDArray[np.bool_],
    score: NDArray[np.int32],
) -> None:
    """Try the neighbours of each point's goal, and the turns beside its own. As in `sweep`."""
    height, width = target.shape
    goals = usable.shape[0]
    shift = codes.shape[0] - usable.size
    for loop in prange(height):
        y = np.int64(loop)
        for x in range(width):
            if target[y, x] < 0 or score[y, x] < worth:
                continue
            here = y * width + x
            home_x, home_y = ratio * x + lead, ratio * y + lead
            gx, gy = np.int64(target[y, x] % width), np.int64(target[y, x] // width)
            flip = mirrored[y, x]
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    px, py = gx + dx, gy + dy
                    if (dx == 0 and dy == 0) or px < 0 or py < 0 or px >= width or py >= goals:
                        continue
                    if not usable[py, px]:
                        continue
                    ex, ey = px - home_x, py - home_y
                    if ex * ex + ey * ey < apart * apart:
                        continue
                    there = py * width + px
                    found = _score(codes, here, shift + there, np.int64(turns[y, x]), flip)
                    if found > score[y, x]:
                        score[y, x] = found
                        target[y, x] = there
            turn = np.int64(turns[y, x])
            for step in (-1, 1):
                other = (turn + step) % TURNS
                found = _score(codes, here, shift + target[y, x], other, flip)
                if found > score[y, x]:
                    score[y, x] = found
                    turns[y, x] = other
