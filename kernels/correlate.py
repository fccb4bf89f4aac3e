"""Refine local affine matches inside one image and measure how well their patches agree.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004,
section 3.2) on patches normalised to zero mean and unit norm, so that a change of brightness or
contrast costs nothing.

Pixels are float32 and sums over a patch may be taken in any order, so that the compiler can use
vector instructions; maps and the six equations are float64.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_CHUNK = 32
"""Groups of matches that one turn of the parallel loop takes, with one set of buffers."""
_FLAT = 1e-12
"""Sum of squares about its mean at which a patch holds nothing."""


@kernel("boolean(int64, int64, float64[::1], int64)")
def _inside(height: int, width: int, place: Doubles, radius: int) -> bool:
    """Whether the patch at (x, y) + [[a, b], [c, d]] @ (u, v), u, v in -radius..radius, is inside
    the image; `place` is x, y, a, b, c, d. What is not finite is outside."""
    reach_x = (abs(place[2]) + abs(place[3])) * radius
    reach_y = (abs(place[4]) + abs(place[5])) * radius
    # A map that tears a patch so far apart has failed, and float32 would lose its edge.
    if reach_x > 64.0 * radius or reach_y > 64.0 * radius:
        return False
    # Asked this way round, NaN is outside too.
    if not (place[0] - reach_x >= 0.0 and place[1] - reach_y >= 0.0):
        return False
    return bool(place[0] + reach_x < width - 1.001 and place[1] + reach_y < height - 1.001)


@kernel("void(int64, float32[:, ::1])")
def _grid(radius: int, grid: Floats) -> None:
    """u and v of every pixel of a patch, row by row."""
    side = 2 * radius + 1
    for i in range(side):
        for j in range(side):
            grid[0, i * side + j] = j - radius
            grid[1, i * side + j] = i - radius


@kernel(
    "void(float32[::1], int64, float64[::1], int64, float32[:, ::1], int64[::1], float32[:, ::1],"
    " float32[::1])"
)
def _sample(
    flat: Floats,
    width: int,
    place: Doubles,
    radius: int,
    grid: Floats,
    at: NDArray[np.int64],
    work: Floats,
    out: Floats,
) -> None:
    """Bilinear samples of a patch that is inside the image, row by row.

    Positions are kept from the patch's own corner, where float32 is good to some 1e-5 of a pixel.
    Three loops, of which the compiler makes vector instructions of all but the look-up; `at` and
    `work` hold what goes from one to the next.
    """
    left = int(place[0] - (abs(place[2]) + abs(place[3])) * radius)
    top = int(place[1] - (abs(place[4]) + abs(place[5])) * radius)
    base = top * width + left
    x, y = np.float32(place[0] - left), np.float32(place[1] - top)
    a, b = np.float32(place[2]), np.float32(place[3])
    c, d = np.float32(place[4]), np.float32(place[5])
    for n in range(out.size):
        px = x + a * grid[0, n] + b * grid[1, n]
        py = y + c * grid[0, n] + d * grid[1, n]
        ix, iy = np.int32(px), np.int32(py)
        work[0, n], work[1, n] = px - np.float32(ix), py - np.float32(iy)
        at[n] = base + iy * width + ix
    one, below = np.uint64(1), np.uint64(width)
    for n in range(out.size):
        here = np.uint64(at[n])
        work[2, n], work[3, n] = flat[here], flat[here + one]
        work[4, n], work[5, n] = flat[here + below], flat[here + below + one]
    for n in range(out.size):
        upper = work[2, n] + work[0, n] * (work[3, n] - work[2, n])
        lower = work[4, n] + work[0, n] * (work[5, n] - work[4, n])
        out[n] = upper + work[1, n] * (lower - upper)


@kernel("float32(float32[::1])", fastmath=True)
def _centre(patch: Floats) -> np.float32:
    """Take the mean out of a patch in place; return the sum of its squares then."""
    # Counted from one of its values, so that the mean of a flat patch is exactly its level.
    level = patch[0]
    total = np.float32(0)
    for n in range(patch.size):
        total += patch[n] - level
    mean = level + total / np.float32(patch.size)
    energy = np.float32(0)
    for n in range(patch.size):
        value = patch[n] - mean
        patch[n] = value
        energy += value * value
    return energy


@kernel("float32(float32[::1], float32[::1])", fastmath=True)
def _dot(first: Floats, second: Floats) -> np.float32:
    total = np.float32(0)
    for n in range(first.size):
        total += first[n] * second[n]
    return total


@kernel("void(float32[:, ::1], float32[::1], float64[::1])", fastmath=True)
def _dots(rows: Floats, patch: Floats, out: Doubles) -> None:
    """The product of each of seven rows with a patch, in one pass over it."""
    t0 = t1 = t2 = t3 = t4 = t5 = t6 = np.float32(0)
    for n in range(patch.size):
        value = patch[n]
        t0 += rows[0, n] * value
        t1 += rows[1, n] * value
        t2 += rows[2, n] * value
        t3 += rows[3, n] * value
        t4 += rows[4, n] * value
        t5 += rows[5, n] * value
        t6 += rows[6, n] * value
    out[0], out[1], out[2], out[3], out[4], out[5], out[6] = t0, t1, t2, t3, t4, t5, t6


@kernel(
    "void(float32[::1], int64, float32, float32[:, ::1], float32[:, ::1], float64[:, ::1])",
    fastmath=True,
)
def _steepest_descent(
    template: Floats,
    radius: int,
    unit: np.float32,
    grid: Floats,
    steepest: Floats,
    gram: Doubles,
) -> None:
    """Derivatives of a patch by the six numbers of its map, and their Gram matrix, damped.

    `template` is the patch with a rim of one pixel. The derivatives have zero mean, so that
    brightness drops out of the fit as it does of the patches.
    """
    side = 2 * radius + 1
    wide = side + 2
    half = np.float32(0.5) * unit
    for i in range(side):
        for j in range(side):
            at = (i + 1) * wide + j + 1
            n = i * side + j
            steepest[2, n] = (template[at + 1] - template[at - 1]) * half
            steepest[5, n] = (template[at + wide] - template[at - wide]) * half
    for n in range(side * side):
        u, v = grid[0, n], grid[1, n]
        steepest[0, n] = steepest[2, n] * u
        steepest[1, n] = steepest[2, n] * v
        steepest[3, n] = steepest[5, n] * u
        steepest[4, n] = steepest[5, n] * v
    for k in range(6):
        total = np.float32(0)
        for n in range(side * side):
            total += steepest[k, n]
        mean = total / np.float32(side * side)
        for n in range(side * side):
            steepest[k, n] -= mean
    for k in range(6):
        for other in range(k, 6):
            total = np.float32(0)
            for n in range(side * side):
                total += steepest[k, n] * steepest[other, n]
            gram[k, other] = total
            gram[other, k] = total
        gram[k, k] *= 1.001


@kernel("boolean(float64[:, ::1])")
def _invert(h: Doubles) -> bool:
    """Invert a symmetric positive definite matrix in place by Gauss-Jordan; False if singular."""
    n = h.shape[0]
    for k in range(n):
        pivot = h[k, k]
        if pivot < 1e-9:
            return False
        h[k, k] = 1.0
        for j in range(n):
            h[k, j] /= pivot
        for i in range(n):
            if i != k:
                factor = h[i, k]
                h[i, k] = 0.0
                for j in range(n):
                    h[i, j] -= factor * h[k, j]
    return True


@kernel("void(float64[:, ::1], float32[:, ::1], float32[:, ::1])", fastmath=True)
def _solved(inverse: Doubles, steepest: Floats, rows: Floats) -> None:
    """The inverse Gram matrix times the derivatives: with it a step is six products."""
    for k in range(6):
        rows[k] = np.float32(0)
        for other in range(6):
            factor = np.float32(inverse[k, other])
            for n in range(steepest.shape[1]):
                rows[k, n] += factor * steepest[other, n]


@kernel("boolean(float64[::1], float64[::1], int64)")
def _step(place: Doubles, p: Doubles, radius: int) -> bool:
    """Compose a place with the inverse of a step: W <- W o W(p)^-1; False if that is lost."""
    e, f, g, h = 1.0 + p[0], p[1], p[3], 1.0 + p[4]
    det = e * h - f * g
    if abs(det) < 0.2 or abs(p[2]) > radius or abs(p[5]) > radius:
        return False
    e, f, g, h = h / det, -f / det, -g / det, e / det
    x = -(e * p[2] + f * p[5])
    y = -(g * p[2] + h * p[5])
    a, b, c, d = place[2], place[3], place[4], place[5]
    place[0] += a * x + b * y
    place[1] += c * x + d * y
    place[2], place[3] = a * e + b * g, a * f + b * h
    place[4], place[5] = c * e + d * g, c * f + d * h
    return True


@kernel(
    "void(float32[:, ::1], int64, float32[:, ::1], int64[::1], float32[:, ::1], float32[:, ::1],"
    " float64[::1], float64, int64, float64, float32[::1], float64[::1], float32[::1],"
    " float32[::1])"
)
def _descend(
    image: Floats,
    radius: int,
    grid: Floats,
    at: NDArray[np.int64],
    work: Floats,
    rows: Floats,
    rest: Doubles,
    deviation: float,
    steps: int,
    promising: float,
    patch: Floats,
    refined: Doubles,
    correlation: Floats,
    contrast: Floats,
) -> None:
    """Gauss-Newton steps of one match whose patch is sampled and centred; keeps the best place.

    `rows` holds the solved derivatives and, last, the first patch, normalised; `rest` holds the
    product of each with the first patch.
    """
    height, width = image.shape
    flat = image.reshape(-1)
    place = refined[2:].copy()
    p = np.empty(7)
    norm = math.sqrt(_dot(patch, patch))
    _dots(rows, patch, p)
    for turn in range(steps):
        # The patch is scaled to the template's gain before they are compared.
        for k in range(6):
            p[k] = p[k] / norm - rest[k]
        move = abs(p[2]) + abs(p[5]) + radius * (abs(p[0]) + abs(p[1]) + abs(p[3]) + abs(p[4]))
        if not (_step(place, p, radius) and _inside(height, width, place, radius)):
            return
        _sample(flat, width, place, radius, grid, at, work, patch)
        energy = float(_centre(patch))
        if energy <= _FLAT:
            return
        norm = math.sqrt(energy)
        _dots(rows, patch, p)
        if p[6] / norm > correlation[0]:
            correlation[0] = p[6] / norm
            contrast[0] = min(deviation, norm / math.sqrt(patch.size))
            refined[2:] = place
        if move < 0.03 or (turn == 1 and correlation[0] < promising):
            return


@kernel(
    "void(float32[:, ::1], float64[:, ::1], int64[::1], int64, int64, float64, float64,"
    " float64[:, ::1], float32[::1], float32[::1])",
    parallel=True,
)
def _refine(
    image: Floats,
    matches: Doubles,
    starts: NDArray[np.int64],
    radius: int,
    steps: int,
    hopeless: float,
    promising: float,
    refined: Doubles,
    correlation: Floats,
    contrast: Floats,
) -> None:
    height, width = image.shape
    flat = image.reshape(-1)
    side = 2 * radius + 1
    wide = side + 2
    groups = starts.size - 1
    for chunk in prange((groups + _CHUNK - 1) // _CHUNK):
        grid = np.empty((2, side * side), np.float32)
        wide_grid = np.empty((2, wide * wide), np.float32)
        _grid(radius, grid)
        _grid(radius + 1, wide_grid)
        at = np.empty(wide * wide, np.int64)
        work = np.empty((6, wide * wide), np.float32)
        place = np.empty(6)
        template = np.empty(wide * wide, np.float32)
        inner = np.empty(side * side, np.float32)
        patch = np.empty(side * side, np.float32)
        steepest = np.empty((6, side * side), np.float32)
        rows = np.empty((7, side * side), np.float32)
        gram = np.empty((6, 6))
        rest = np.empty(7)
        start = int(np.int64(chunk)) * _CHUNK  # numba counts the turns of a prange without a sign
        for group in range(start, min(start + _CHUNK, groups)):
            first = starts[group]
            place[:] = 0.0
            place[0], place[1] = matches[first, 0], matches[first, 1]
            place[2] = place[5] = 1.0
            deviation = 0.0
            if _inside(height, width, place, radius + 1):
                _sample(flat, width, place, radius + 1, wide_grid, at, work, template)
                for i in range(side):
                    for j in range(side):
                        inner[i * side + j] = template[(i + 1) * wide + j + 1]
                energy = float(_centre(inner))
                if energy > _FLAT:
                    deviation = math.sqrt(energy / inner.size)
                    scale = np.float32(1.0 / math.sqrt(energy))
                    for n in range(inner.size):
                        inner[n] *= scale
            # The derivatives are the same for all matches of one point, and not always needed.
            built = solvable = False
            for m in range(first, starts[group + 1]):
                correlation[m] = -1.0
                contrast[m] = 0.0
                for k in range(8):
                    refined[m, k] = matches[m, k]
                second = matches[m, 2:]
                if deviation == 0.0 or not _inside(height, width, second, radius):
                    continue
                _sample(flat, width, second, radius, grid, at, work, patch)
                energy = float(_centre(patch))
                if energy <= _FLAT:
                    continue
                score = _dot(inner, patch) / math.sqrt(energy)
                correlation[m] = score
                contrast[m] = min(deviation, math.sqrt(energy / patch.size))
                if score < hopeless:
                    continue
                if not built:
                    built = True
                    unit = np.float32(1.0 / (deviation * side))
                    _steepest_descent(template, radius, unit, grid, steepest, gram)
                    solvable = _invert(gram)
                    if solvable:
                        _solved(gram, steepest, rows)
                        rows[6] = inner
                        _dots(rows, inner, rest)
                if solvable:
                    _descend(
                        image, radius, grid, at, work, rows, rest, deviation, steps, promising,
                        patch, refined[m], correlation[m : m + 1], contrast[m : m + 1],
                    )  # fmt: skip


def refine(
    image: Floats,
    matches: Doubles,
    *,
    radius: int = 8,
    steps: int = 8,
    hopeless: float = 0.2,
    promising: float = -1.0,
) -> tuple[Doubles, Floats, Floats]:
    """Move each local affine match to where its two patches agree best.

    What is worked out of the first patch is used for all matches of that point that stand one
    after the other.

    Args:
        image: float32 (H, W), C-contiguous, usually a band-pass.
        matches: float64 (n, 8), C-contiguous: x, y of the first point, x, y of the second, then
            the linear map a, b, c, d from offsets at the first to offsets at the second, row by
            row.
        radius: the patch is 2 * radius + 1 pixels wide at the first point.
        steps: at most so many Gauss-Newton steps.
        hopeless: matches that correlate less than this before the first step are left as they are.
        promising: matches that correlate less than this after two steps are given up.

    Returns:
        The matches with second point and map refined; the normalised correlation of each, float32,
        -1 where a patch leaves the image or is flat; the lower standard deviation of the two
        patches, float32, in the image's unit.

    Raises:
        ValueError: matches have not 8 columns.
    """
    if matches.ndim != 2 or matches.shape[1] != 8:
        raise ValueError(f"matches are (n, 8). Got: {matches.shape}")
    refined = np.empty_like(matches)
    correlation = np.empty(len(matches), np.float32)
    contrast = np.empty(len(matches), np.float32)
    differs = (matches[1:, :2] != matches[:-1, :2]).any(axis=1)
    inner = np.flatnonzero(differs) + 1
    ends = (np.zeros(min(len(matches), 1), np.int64), inner, np.full(1, len(matches), np.int64))
    starts = np.concatenate(ends)
    _refine(
        image, matches, starts, radius, steps, hopeless, promising, refined, correlation, contrast
    )
    return refined, correlation, contrast
