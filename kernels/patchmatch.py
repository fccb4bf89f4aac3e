"""For every disc of an image the one elsewhere that looks most like it, turned or mirrored.

PatchMatch (Barnes et al., "PatchMatch", SIGGRAPH 2009; for copies in one image: Cozzolino, Poggi,
Verdoliva, "Efficient dense-field copy-move forgery detection", TIFS 2015) with three changes:

- It starts from near neighbours in feature space and not at random. A copy of 32 x 32 pixels holds
  some hundred discs; that one of them meets its twin among a million at random takes many sweeps.
  The discs are sorted along Morton curves through random projections of their invariants, and each
  is compared with those beside it (Connor and Kumar, "Fast construction of k-nearest neighbor
  graphs for point clouds", TVCG 2010; after the idea of Korman and Avidan, "Coherency sensitive
  hashing", ICCV 2011, and of He and Sun, "Computing nearest-neighbor fields via
  propagation-assisted KD-trees", CVPR 2012).
- The best turn between two discs, and whether one is mirrored, follow from the phases of their
  moments. So a field knows the rotation at every point, what it hands to its neighbours is turned
  with it (first-order propagation), and one field finds mirrored copies too.
- A sweep reads the field before it and writes the one after it, with jumps of 4, 2 and 1 points
  (Rong and Tan, "Jump flooding in GPU", I3D 2006): the result does not depend on the order or the
  number of threads.

Moments follow a turn, but not a change of scale by more than some 15 %. `find_scaled_field`
compares the discs of a reduced image with those of the image as it is: two grids, one of which asks
and one of which answers, where `find_field` has one for both.

Scores are sums of integers, so that they are the same everywhere to the last bit.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.field import ANGLES, COSINES, FIELD, SCALE, SINES, TURNS, Field, no_matches
from kernels.jit import kernel
from kernels.morton import curve_orders
from kernels.zernike import FULL, LANES, REPETITION, Moments, invariants

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
def _meet(
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
def _sweep(
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
def _settle(
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
    """Try the neighbours of each point's goal, and the turns beside its own. As in `_sweep`."""
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


def find_field(
    moments: Moments,
    usable: NDArray[np.bool_],
    *,
    apart: int,
    tables: int = 4,
    reach: int = 10,
    rounds: int = 1,
    worth: float = 0.8,
    seed: int = 0,
) -> Field:
    """The field of the discs that look most alike.

    Args:
        moments: of the image, on a grid of (h, w).
        usable: bool (h, w), the grid points that take part.
        apart: grid points that two discs lie apart at least.
        tables: how many orders the discs are sorted in; each finds some of the nearest.
        reach: how many discs before and after each in an order it is compared with.
        rounds: sweeps with jumps of 4, 2 and 1 points.
        worth: similarity (1 is equal) from which a point hands on what it has found.
        seed: of the projections.

    Raises:
        ValueError: `usable` has another shape, or `apart` is under 1.
    """
    _check(moments, usable, apart)
    usable = np.ascontiguousarray(usable)
    field = no_matches(moments.energy.shape)
    points = np.flatnonzero(usable)
    if points.size < 2:
        return field
    width = usable.shape[1]
    places = np.stack((points % width, points // width, points), axis=1).astype(np.int32)
    _seed(moments, places, 0, field, apart, tables, reach, seed)
    codes = moments.codes.reshape(-1, 2 * LANES)
    return _improved(codes, usable, usable, 1.0, 0.0, field, apart, rounds, worth)


def find_scaled_field(
    small: Moments,
    small_usable: NDArray[np.bool_],
    large: Moments,
    large_usable: NDArray[np.bool_],
    *,
    ratio: float,
    apart: int,
    tables: int = 4,
    reach: int = 10,
    rounds: int = 1,
    worth: float = 0.8,
    seed: int = 0,
) -> Field:
    """For the discs of a reduced image those of the image itself that look most like them.

    What stands at `ratio` times its size at one of the two places has equal discs in both.

    Args:
        small: of the image reduced by `ratio`, on a grid of (h, w).
        small_usable: bool (h, w), its grid points that ask.
        large: of the image, on a grid of (H, W) with discs of the same radius and stride.
        large_usable: bool (H, W), its grid points that answer.
        ratio: size of the image to that of the reduced one, over 1.
        apart: grid points of the large grid between a disc and where the other one comes from,
            at least.
        tables, reach, rounds, worth, seed: as in `find_field`.

    Returns:
        a field (h, W), whose columns from w on are empty: so its targets, row * W + column on the
        large grid, are read as those of any other field (`kernels.coherence`).

    Raises:
        ValueError: shapes that do not fit, `apart` under 1, or `ratio` not over 1.
    """
    _check(small, small_usable, apart)
    _check(large, large_usable, apart)
    rows, columns = small.energy.shape
    width = large.energy.shape[1]
    if not ratio > 1.0 or columns > width or rows > large.energy.shape[0]:
        raise ValueError(
            "the reduced image is the smaller one. Got: grids"
            f" {small.energy.shape} and {large.energy.shape}, ratio {ratio}"
        )
    if (small.radius, small.stride) != (large.radius, large.stride):
        raise ValueError(
            "both grids have the same discs. Got: radius and stride"
            f" {(small.radius, small.stride)} and {(large.radius, large.stride)}"
        )
    beside = ((0, 0), (0, width - columns))
    asks = np.pad(small_usable, beside)
    answers = np.ascontiguousarray(large_usable)
    field = no_matches(asks.shape)
    if not asks.any() or not answers.any():
        return field
    both = Moments(
        np.concatenate((np.pad(small.codes, (*beside, (0, 0))), large.codes)),
        np.concatenate((np.pad(small.energy, beside), large.energy)),
        large.radius,
        large.stride,
    )
    # A pixel's corner lies at the ratio's multiple, its middle half a pixel further.
    lead = (large.radius + 0.5) * (ratio - 1.0) / large.stride
    askers, others = np.flatnonzero(asks), np.flatnonzero(answers)
    home = np.stack((askers % width, askers // width), axis=1) * ratio + lead
    places = np.concatenate(
        (
            np.column_stack((np.rint(home), askers)),
            np.column_stack((others % width, others // width, others + asks.size)),
        )
    ).astype(np.int32)
    _seed(both, places, asks.size, field, apart, tables, reach, seed)
    codes = both.codes.reshape(-1, 2 * LANES)
    return _improved(codes, asks, answers, ratio, lead, field, apart, rounds, worth)


def _check(moments: Moments, usable: NDArray[np.bool_], apart: int) -> None:
    shape = moments.energy.shape
    if usable.shape != shape or usable.dtype != np.bool_:
        raise ValueError(f"usable is bool {shape}. Got: {usable.dtype} {usable.shape}")
    if apart < 1:
        raise ValueError(f"a disc is apart from itself by 1 at least. Got: {apart}")


def _seed(
    moments: Moments,
    places: NDArray[np.int32],
    shift: int,
    field: Field,
    apart: int,
    tables: int,
    reach: int,
    seed: int,
) -> None:
    """Let each disc meet those beside it in several orders. Places and shift as in `_meet`."""
    codes = moments.codes.reshape(-1, 2 * LANES)
    features = invariants(moments, places[:, 2].astype(np.int64))
    whole = (field.target.ravel(), field.turn.ravel(), field.mirrored.ravel(), field.score.ravel())
    for order in curve_orders(features, tables, np.random.default_rng(seed)):
        _meet(codes, features[order], places[order], shift, reach, apart, *whole)


def _improved(
    codes: NDArray[np.int8],
    asks: NDArray[np.bool_],
    answers: NDArray[np.bool_],
    ratio: float,
    lead: float,
    field: Field,
    apart: int,
    rounds: int,
    worth: float,
) -> Field:
    """The field after points have handed on what they have found. Grids as in `_sweep`."""
    least = int(worth * SCALE)
    spare = field.like()
    for _ in range(rounds):
        for jump in (4, 2, 1):
            _sweep(
                codes, asks, answers, ratio, lead, jump, apart, least,
                *field.parts(), *spare.parts(),
            )  # fmt: skip
            field, spare = spare, field
        _settle(codes, answers, ratio, lead, apart, least, *field.parts())
    return field
