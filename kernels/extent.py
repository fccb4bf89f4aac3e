"""How far the agreement around a local affine match reaches.

A patch that happens to look like another agrees with it in the patch and nowhere else. A copy
agrees up to its outline, in the fine bands too. Both are measured here in a window around each
match: local normalised correlation, flooded from the match outwards.

Of refined matches nine of ten agree further than half the neighbourhood, those by chance too: to
look at its middle first, and at all of it only where the flood reaches the middle's border, took
longer than to look at all of it at once.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel

FEATURES = ("area", "correlation", "fine", "lowest", "reach")
"""The columns of what `extent` returns."""

Floats = NDArray[np.float32]

_FLAT = 1e-3
"""Variance below which a window holds nothing to correlate, in the image's unit squared."""
_CHUNK = 16
"""Matches that one turn of the parallel loop takes, with one set of buffers."""
_SEED = 3
"""The flood starts from the pixels that agree within so many pixels of the match."""


@kernel("float32(float32[:, ::1], float64, float64)")
def _bilinear(image: Floats, x: float, y: float) -> np.float32:
    ix = int(x)
    iy = int(y)
    fx = np.float32(x - ix)
    fy = np.float32(y - iy)
    top = image[iy, ix] + fx * (image[iy, ix + 1] - image[iy, ix])
    low = image[iy + 1, ix] + fx * (image[iy + 1, ix + 1] - image[iy + 1, ix])
    return np.float32(top + fy * (low - top))


@kernel(
    "boolean(float32[:, ::1], float64[::1], int64, int64, int64, int64[::1], float32[:, ::1],"
    " float32[:, ::1], float32[:, ::1])"
)
def _look_inside(
    image: Floats,
    match: NDArray[np.float64],
    x0: int,
    y0: int,
    reach: int,
    at: NDArray[np.int64],
    work: Floats,
    here: Floats,
    there: Floats,
) -> bool:
    """The image around a point and what the map says stands there; False where either is cut off.

    Then nothing is written. `at` and `work` hold what goes from one loop over a row to the next:
    the compiler makes vector instructions of all but the look-up.
    """
    height, width = image.shape
    last = 2.0 * reach
    a, b, c, d = match[4], match[5], match[6], match[7]
    u0, v0 = x0 - reach - match[0], y0 - reach - match[1]
    px0 = match[2] + a * u0 + b * v0
    py0 = match[3] + c * u0 + d * v0
    low_x = px0 + min(0.0, a * last) + min(0.0, b * last)
    high_x = px0 + max(0.0, a * last) + max(0.0, b * last)
    low_y = py0 + min(0.0, c * last) + min(0.0, d * last)
    high_y = py0 + max(0.0, c * last) + max(0.0, d * last)
    # Asked this way round, NaN is outside too. The margin covers what float32 rounds away.
    inside = x0 >= reach and y0 >= reach and x0 + reach < width and y0 + reach < height
    inside = inside and low_x >= 0.001 and low_y >= 0.001
    inside = inside and high_x < width - 1.002 and high_y < height - 1.002
    if not inside:
        return False
    flat = image.reshape(-1)
    left, top = int(low_x), int(low_y)
    one, below = np.uint64(1), np.uint64(width)
    a4, c4 = np.float32(a), np.float32(c)
    side = 2 * reach + 1
    for v in range(side):
        # Positions from the neighbourhood's own corner, where float32 is good to 1e-5 of a pixel.
        x, y = np.float32(px0 + b * v - left), np.float32(py0 + d * v - top)
        for u in range(side):
            px = x + a4 * np.float32(u)
            py = y + c4 * np.float32(u)
            ix, iy = np.int32(px), np.int32(py)
            work[0, u], work[1, u] = px - np.float32(ix), py - np.float32(iy)
            at[u] = (top + iy) * width + left + ix
        for u in range(side):
            place = np.uint64(at[u])
            work[2, u], work[3, u] = flat[place], flat[place + one]
            work[4, u], work[5, u] = flat[place + below], flat[place + below + one]
        for u in range(side):
            upper = work[2, u] + work[0, u] * (work[3, u] - work[2, u])
            lower = work[4, u] + work[0, u] * (work[5, u] - work[4, u])
            there[v, u] = upper + work[1, u] * (lower - upper)
        here[v, :] = image[y0 + v - reach, x0 - reach : x0 + reach + 1]
    return True


@kernel(
    "void(float32[:, ::1], float64[::1], int64, int64, int64, float32[:, ::1],"
    " float32[:, ::1], float32[:, ::1])"
)
def _look_across(
    image: Floats,
    match: NDArray[np.float64],
    x0: int,
    y0: int,
    reach: int,
    here: Floats,
    there: Floats,
    known: Floats,
) -> None:
    """As `_look_inside` where the image's border is near: `known` is 1 where both are inside."""
    height, width = image.shape
    for v in range(2 * reach + 1):
        y = y0 + v - reach
        for u in range(2 * reach + 1):
            x = x0 + u - reach
            known[v, u] = np.float32(0)
            if y < 0 or y >= height or x < 0 or x >= width:
                continue
            dx, dy = x - match[0], y - match[1]
            px = match[2] + match[4] * dx + match[5] * dy
            py = match[3] + match[6] * dx + match[7] * dy
            if px >= 0.0 and py >= 0.0 and px < width - 1.001 and py < height - 1.001:
                here[v, u] = image[y, x]
                there[v, u] = _bilinear(image, px, py)
                known[v, u] = np.float32(1)
    # What is unknown gets the level that is taken out, so that it adds nothing to the sums.
    for v in range(2 * reach + 1):
        for u in range(2 * reach + 1):
            if known[v, u] == 0:
                here[v, u] = here[reach, reach] if known[reach, reach] else np.float32(0)
                there[v, u] = there[reach, reach] if known[reach, reach] else np.float32(0)


@kernel("void(float32[:, ::1], int64, int64, boolean, float32[:, ::1])")
def _count(known: Floats, side: int, half: int, whole: bool, counts: Floats) -> None:
    """How many pixels of the window around each are known; -1 around an unknown one."""
    columns = np.zeros(side, np.float32)
    for v in range(side):
        rows = min(side, v + half + 1) - max(0, v - half)
        if whole:
            for u in range(side):
                counts[v, u] = rows * (min(side, u + half + 1) - max(0, u - half))
            continue
        columns[:] = np.float32(0)
        for i in range(max(0, v - half), min(side, v + half + 1)):
            for u in range(side):
                columns[u] += known[i, u]
        for u in range(side):
            total = np.float32(0)
            for j in range(max(0, u - half), min(side, u + half + 1)):
                total += columns[j]
            counts[v, u] = total if known[v, u] > 0 else np.float32(-1)


@kernel("void(float32[:, ::1], float32[:, ::1], int64, float64, int64, float64[:, ::1])")
def _add_row(
    here: Floats, there: Floats, row: int, sign: float, half: int, columns: NDArray[np.float64]
) -> None:
    """Add the moments of a row to the sums over columns, which have `half` more on each side."""
    middle, side = here.shape[0] // 2, here.shape[1]
    level_here, level_there = float(here[middle, middle]), float(there[middle, middle])
    # Parts that start at 0: of loops over others the compiler makes no vector instructions.
    end = half + side
    ps, qs = columns[0, half:end], columns[1, half:end]
    pps, qqs, pqs = columns[2, half:end], columns[3, half:end], columns[4, half:end]
    for u in range(side):
        p = float(here[row, u]) - level_here
        q = float(there[row, u]) - level_there
        ps[u] += sign * p
        qs[u] += sign * q
        pps[u] += sign * p * p
        qqs[u] += sign * q * q
        pqs[u] += sign * p * q


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], int64, int64, float64[:, ::1],"
    " float64[:, ::1], float32[:, ::1])"
)
def _correlate(
    here: Floats,
    there: Floats,
    counts: Floats,
    half: int,
    least: int,
    columns: NDArray[np.float64],
    sums: NDArray[np.float64],
    local: Floats,
) -> None:
    """Normalised correlation in the window around each pixel, cut at the neighbourhood's border;
    -1 where it holds fewer than `least` pixels or nothing to correlate."""
    side = here.shape[0]
    columns[:] = 0.0
    for row in range(min(half, side)):
        _add_row(here, there, row, 1.0, half, columns)
    for v in range(side):
        if v + half < side:
            _add_row(here, there, v + half, 1.0, half, columns)
        if v - half - 1 >= 0:
            _add_row(here, there, v - half - 1, -1.0, half, columns)
        p = q = pp = qq = pq = 0.0
        for u in range(2 * half):
            p += columns[0, u]
            q += columns[1, u]
            pp += columns[2, u]
            qq += columns[3, u]
            pq += columns[4, u]
        for u in range(side):
            new = u + 2 * half
            p += columns[0, new]
            q += columns[1, new]
            pp += columns[2, new]
            qq += columns[3, new]
            pq += columns[4, new]
            sums[0, u], sums[1, u], sums[2, u], sums[3, u], sums[4, u] = p, q, pp, qq, pq
            p -= columns[0, u]
            q -= columns[1, u]
            pp -= columns[2, u]
            qq -= columns[3, u]
            pq -= columns[4, u]
        for u in range(side):
            count = float(counts[v, u])
            share = 1.0 / count
            mean_p, mean_q = sums[0, u] * share, sums[1, u] * share
            var_p = sums[2, u] * share - mean_p * mean_p
            var_q = sums[3, u] * share - mean_q * mean_q
            covariance = sums[4, u] * share - mean_p * mean_q
            value = covariance / math.sqrt(max(var_p * var_q, _FLAT * _FLAT))
            holds = (count >= least) & (var_p > _FLAT) & (var_q > _FLAT)
            local[v, u] = np.float32(value) if holds else np.float32(-1)


@kernel("int64(float32[:, ::1], float64, int64, uint8[::1], int32[::1])")
def _flood(
    local: Floats,
    threshold: float,
    shift: int,
    open_: NDArray[np.uint8],
    queue: NDArray[np.int32],
) -> int:
    """Pixels that agree, connected to one near the middle.

    Writes their numbers to the queue, which has room for one more; returns how many there are. A
    pixel's number is its row, shifted, and its column; both count from 1, so that every pixel has
    four neighbours. `open_` is 0 where there is no pixel.
    """
    side = local.shape[0]
    for v in range(side):
        row = open_[((v + 1) << shift) + 1 : ((v + 1) << shift) + 1 + side]
        for u in range(side):
            row[u] = np.uint8(local[v, u] > threshold)
    middle, last = side // 2, side - 1
    filled = 0
    for v in range(max(0, middle - _SEED), min(last, middle + _SEED) + 1):
        for u in range(max(0, middle - _SEED), min(last, middle + _SEED) + 1):
            here = ((v + 1) << shift) + u + 1
            queue[filled] = here
            filled += 1 if open_[here] else 0
            open_[here] = 0
    turn = 0
    while turn < filled:
        here = int(queue[turn])
        turn += 1
        # Written whether it counts or not: what comes next overwrites it, and there is no branch.
        for step in (1 << shift, -(1 << shift), 1, -1):
            there = here + step
            queue[filled] = there
            filled += 1 if open_[there] else 0
            open_[there] = 0
    return filled


@kernel("int64(int32[::1], int64, int64, int64)")
def _on_border(queue: NDArray[np.int32], filled: int, side: int, shift: int) -> int:
    """How many of the flooded pixels lie on the neighbourhood's border."""
    count = 0
    for turn in range(filled):
        v = queue[turn] >> shift
        u = queue[turn] & ((1 << shift) - 1)
        if v in (1, side) or u in (1, side):
            count += 1
    return count


@kernel(
    "void(float32[:, ::1], float64[::1], int64, int64, float32[:, ::1], int32[::1], int64,"
    " int64, float32[::1])"
)
def _describe(
    fine: Floats,
    match: NDArray[np.float64],
    x0: int,
    y0: int,
    local: Floats,
    queue: NDArray[np.int32],
    shift: int,
    area: int,
    out: Floats,
) -> None:
    """The first four features of a flooded area that is not empty."""
    side = local.shape[0]
    total = 0.0
    f0 = f1 = f2 = f3 = f4 = 0.0
    histogram = np.zeros(64, np.int64)
    for turn in range(area):
        v = np.int64(queue[turn] >> shift) - 1
        u = np.int64(queue[turn] & ((1 << shift) - 1)) - 1
        value = local[v, u]
        total += value
        histogram[min(63, max(0, int(value * 64.0)))] += 1
        y = y0 + v - side // 2
        x = x0 + u - side // 2
        dx, dy = x - match[0], y - match[1]
        px = match[2] + match[4] * dx + match[5] * dy
        py = match[3] + match[6] * dx + match[7] * dy
        p = float(fine[y, x])
        q = float(_bilinear(fine, px, py))
        f0 += p
        f1 += q
        f2 += p * p
        f3 += q * q
        f4 += p * q
    out[0] = area
    out[1] = total / area
    var_p = f2 - f0 * f0 / area
    var_q = f3 - f1 * f1 / area
    if var_p > 1e-6 and var_q > 1e-6:
        out[2] = (f4 - f0 * f1 / area) / math.sqrt(var_p * var_q)
    seen = 0
    for k in range(64):
        seen += histogram[k]
        if seen * 10 >= area:
            out[3] = (k + 0.5) / 64.0
            break


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float64[:, ::1], int64, int64, float64,"
    " float32[:, ::1])",
    parallel=True,
)
def _extent(
    image: Floats,
    fine: Floats,
    matches: NDArray[np.float64],
    radius: int,
    half: int,
    threshold: float,
    out: Floats,
) -> None:
    # Half a window, so that pixels on the neighbourhood's border count too.
    least = (2 * half + 1) * (2 * half + 1) // 2
    side = 2 * radius + 1
    shift = 1
    while (1 << shift) < side + 2:
        shift += 1
    for chunk in prange((matches.shape[0] + _CHUNK - 1) // _CHUNK):
        here = np.empty((side, side), np.float32)
        there = np.empty((side, side), np.float32)
        known = np.empty((side, side), np.float32)
        counts = np.empty((side, side), np.float32)
        local = np.empty((side, side), np.float32)
        open_ = np.zeros((side + 2) << shift, np.uint8)
        at = np.empty(side, np.int64)
        work = np.empty((6, side), np.float32)
        queue = np.empty(side * side + 1, np.int32)
        columns = np.empty((5, side + 2 * half))
        sums = np.empty((5, side))
        counted = False
        start = int(np.int64(chunk)) * _CHUNK  # numba counts the turns of a prange without a sign
        for m in range(start, min(start + _CHUNK, matches.shape[0])):
            match = matches[m]
            out[m, :] = np.float32(0)
            x0 = round(match[0])
            y0 = round(match[1])
            whole = _look_inside(image, match, x0, y0, radius, at, work, here, there)
            if not whole:
                _look_across(image, match, x0, y0, radius, here, there, known)
            if not (whole and counted):  # those of a whole neighbourhood are always the same
                _count(known, side, half, whole, counts)
            counted = whole
            _correlate(here, there, counts, half, least, columns, sums, local)
            area = _flood(local, threshold, shift, open_, queue)
            if area > 0:
                _describe(fine, match, x0, y0, local, queue, shift, area, out[m])
                out[m, 4] = _on_border(queue, area, side, shift) / (4.0 * side)


def extent(
    image: Floats,
    fine: Floats,
    matches: NDArray[np.float64],
    *,
    radius: int = 24,
    window: int = 7,
    threshold: float = 0.75,
) -> Floats:
    """Measure the connected area around each match in which the image agrees with its map.

    Args:
        image: float32 (H, W), C-contiguous, smoothed by about a pixel.
        fine: float32 (H, W), C-contiguous, a band-pass of fine texture.
        matches: float64 (n, 8), as in `kernels.correlate.refine`.
        radius: the neighbourhood looked at is 2 * radius + 1 pixels wide.
        window: side of the window of the local correlation, odd.
        threshold: local correlation at which a pixel agrees.

    Returns:
        float32 (n, 5): area in pixels; mean local correlation over it; correlation of `fine` over
        it; the 10 % quantile of the local correlation; share of the neighbourhood's border reached.

    Raises:
        ValueError: the two images differ in shape, or matches have not 8 columns.
    """
    if fine.shape != image.shape:
        raise ValueError(f"both images have one shape. Got: {image.shape} and {fine.shape}")
    if matches.ndim != 2 or matches.shape[1] != 8:
        raise ValueError(f"matches are (n, 8). Got: {matches.shape}")
    out = np.empty((len(matches), len(FEATURES)), np.float32)
    _extent(image, fine, matches, radius, window // 2, threshold, out)
    return out
