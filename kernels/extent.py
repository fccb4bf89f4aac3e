"""How far the agreement around a local affine match reaches.

A patch that happens to look like another agrees with it in the patch and nowhere else. A copy
agrees up to its outline, in the fine bands too. Both are measured here in a window around each
match: local normalised correlation, flooded from the match outwards.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel

FEATURES = ("area", "correlation", "fine", "lowest", "reach")
"""The columns of what `extent` returns."""

_FLAT = 1e-3
"""Variance below which a window holds nothing to correlate, in the image's unit squared."""


@kernel("float32(float32[:, ::1], float64, float64)")
def _bilinear(image: NDArray[np.float32], x: float, y: float) -> np.float32:
    ix = int(x)
    iy = int(y)
    fx = np.float32(x - ix)
    fy = np.float32(y - iy)
    top = image[iy, ix] + fx * (image[iy, ix + 1] - image[iy, ix])
    low = image[iy + 1, ix] + fx * (image[iy + 1, ix + 1] - image[iy + 1, ix])
    return np.float32(top + fy * (low - top))


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float64[:, ::1], int64, int64, float64,"
    " float32[:, ::1])",
    parallel=True,
)
def _extent(
    image: NDArray[np.float32],
    fine: NDArray[np.float32],
    matches: NDArray[np.float64],
    radius: int,
    half: int,
    threshold: float,
    out: NDArray[np.float32],
) -> None:
    height, width = image.shape
    side = 2 * radius + 1
    # Half a window, so that pixels on the neighbourhood's border count too.
    least = (2 * half + 1) * (2 * half + 1) // 2
    for m in prange(matches.shape[0]):
        here = np.zeros((side, side), np.float32)
        there = np.zeros((side, side), np.float32)
        known = np.zeros((side, side), np.bool_)
        x0 = round(matches[m, 0])
        y0 = round(matches[m, 1])
        for v in range(side):
            y = y0 + v - radius
            if y < 0 or y >= height:
                continue
            for u in range(side):
                x = x0 + u - radius
                if x < 0 or x >= width:
                    continue
                du = x - matches[m, 0]
                dv = y - matches[m, 1]
                px = matches[m, 2] + matches[m, 4] * du + matches[m, 5] * dv
                py = matches[m, 3] + matches[m, 6] * du + matches[m, 7] * dv
                if px >= 0.0 and py >= 0.0 and px < width - 1.001 and py < height - 1.001:
                    here[v, u] = image[y, x]
                    there[v, u] = _bilinear(image, px, py)
                    known[v, u] = True

        # Sums over windows from integral images; the mean is taken out first for precision.
        mean_here = np.float64(here[radius, radius])
        mean_there = np.float64(there[radius, radius])
        sums = np.zeros((6, side + 1, side + 1))
        for v in range(side):
            row = np.zeros(6)
            for u in range(side):
                if known[v, u]:
                    p = here[v, u] - mean_here
                    q = there[v, u] - mean_there
                    row[0] += 1.0
                    row[1] += p
                    row[2] += q
                    row[3] += p * p
                    row[4] += q * q
                    row[5] += p * q
                for k in range(6):
                    sums[k, v + 1, u + 1] = sums[k, v, u + 1] + row[k]
        local = np.full((side, side), np.float32(-1.0))
        window = np.empty(6)
        for v in range(side):
            top = max(0, v - half)
            bottom = min(side, v + half + 1)
            for u in range(side):
                if not known[v, u]:
                    continue
                left = max(0, u - half)
                right = min(side, u + half + 1)
                for k in range(6):
                    window[k] = (
                        sums[k, bottom, right]
                        - sums[k, top, right]
                        - sums[k, bottom, left]
                        + sums[k, top, left]
                    )
                n = window[0]
                if n < least:
                    continue
                var_p = window[3] / n - (window[1] / n) ** 2
                var_q = window[4] / n - (window[2] / n) ** 2
                if var_p > _FLAT and var_q > _FLAT:
                    cov = window[5] / n - window[1] * window[2] / (n * n)
                    local[v, u] = cov / math.sqrt(var_p * var_q)

        # Flood from the middle over pixels that agree.
        inside = np.zeros((side, side), np.bool_)
        stack = np.empty(side * side, np.int64)
        depth = 0
        for v in range(max(0, radius - 3), min(side, radius + 4)):
            for u in range(max(0, radius - 3), min(side, radius + 4)):
                if local[v, u] > threshold:
                    inside[v, u] = True
                    stack[depth] = v * side + u
                    depth += 1
        area = 0
        total = 0.0
        edge = 0
        f0 = f1 = f2 = f3 = f4 = 0.0
        histogram = np.zeros(64, np.int64)
        while depth > 0:
            depth -= 1
            v = stack[depth] // side
            u = stack[depth] % side
            area += 1
            value = local[v, u]
            total += value
            histogram[min(63, max(0, int(value * 64.0)))] += 1
            if v == 0 or u == 0 or v == side - 1 or u == side - 1:
                edge += 1
            y = y0 + v - radius
            x = x0 + u - radius
            du = x - matches[m, 0]
            dv = y - matches[m, 1]
            px = matches[m, 2] + matches[m, 4] * du + matches[m, 5] * dv
            py = matches[m, 3] + matches[m, 6] * du + matches[m, 7] * dv
            p = float(fine[y, x])
            q = float(_bilinear(fine, px, py))
            f0 += p
            f1 += q
            f2 += p * p
            f3 += q * q
            f4 += p * q
            for step in range(4):
                nv = v + (1 if step == 0 else -1 if step == 1 else 0)
                nu = u + (1 if step == 2 else -1 if step == 3 else 0)
                if nv < 0 or nu < 0 or nv >= side or nu >= side:
                    continue
                if not inside[nv, nu] and local[nv, nu] > threshold:
                    inside[nv, nu] = True
                    stack[depth] = nv * side + nu
                    depth += 1
        for k in range(5):
            out[m, k] = 0.0
        if area == 0:
            continue
        out[m, 0] = area
        out[m, 1] = total / area
        var_p = f2 - f0 * f0 / area
        var_q = f3 - f1 * f1 / area
        if var_p > 1e-6 and var_q > 1e-6:
            out[m, 2] = (f4 - f0 * f1 / area) / math.sqrt(var_p * var_q)
        seen = 0
        for k in range(64):
            seen += histogram[k]
            if seen * 10 >= area:
                out[m, 3] = (k + 0.5) / 64.0
                break
        out[m, 4] = edge / (4.0 * side)


def extent(
    image: NDArray[np.float32],
    fine: NDArray[np.float32],
    matches: NDArray[np.float64],
    *,
    radius: int = 24,
    window: int = 7,
    threshold: float = 0.75,
) -> NDArray[np.float32]:
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
