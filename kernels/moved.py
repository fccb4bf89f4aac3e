"""How well a region agrees with its copy, and with what stands a little beside the copy.

A copy agrees in its place only; what is smooth or repeats agrees beside it too.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel

Doubles = NDArray[np.float64]

_FEWEST = 8
"""Pixels that decide a correlation."""


@kernel("float64(float32[:, ::1], int64[::1], int64[::1], float64[:, ::1], float64, float64)")
def _correlation(
    image: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    affine: Doubles,
    dx: float,
    dy: float,
) -> float:
    height, width = image.shape
    count = 0
    p = q = pp = qq = pq = 0.0
    level = 0.0
    for n in range(rows.size):
        x, y = columns[n], rows[n]
        px = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2] + dx
        py = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2] + dy
        # Asked this way round, NaN is outside too.
        if not (px >= -0.5 and py >= -0.5 and px <= width - 0.5 and py <= height - 0.5):
            continue
        px = min(max(px, 0.0), width - 1.0)
        py = min(max(py, 0.0), height - 1.0)
        ix, iy = int(px), int(py)
        right, below = min(ix + 1, width - 1), min(iy + 1, height - 1)
        fx, fy = px - ix, py - iy
        top = image[iy, ix] + fx * (image[iy, right] - image[iy, ix])
        low = image[below, ix] + fx * (image[below, right] - image[below, ix])
        here = float(image[y, x])
        there = top + fy * (low - top)
        if count == 0:
            level = here  # taken out for precision
        here -= level
        there -= level
        count += 1
        p += here
        q += there
        pp += here * here
        qq += there * there
        pq += here * there
    if count < _FEWEST:
        return 0.0
    var_p, var_q = pp - p * p / count, qq - q * q / count
    if var_p <= 1e-12 * pp or var_q <= 1e-12 * qq:
        return 0.0
    scale = math.sqrt(var_p * var_q)
    return (pq - p * q / count) / scale if scale > 1e-9 else 0.0


@kernel(
    "void(float32[:, ::1], int64[::1], int64[::1], float64[:, ::1], float64[:, ::1], float64[::1])"
)
def _correlations(
    image: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    affine: Doubles,
    moves: Doubles,
    out: Doubles,
) -> None:
    for n in range(out.size):
        out[n] = _correlation(image, rows, columns, affine, moves[n, 0], moves[n, 1])


def correlations(
    image: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    affine: Doubles,
    moves: Doubles,
) -> Doubles:
    """Correlation of an image with its warp over the pixels of a region, for several moves.

    Args:
        image: float32 (H, W), C-contiguous.
        rows, columns: int64 (n,), the region's pixels, inside the image.
        affine: float64 (2, 3), C-contiguous, maps (x, y) of the region to its copy.
        moves: float64 (m, 2), C-contiguous: x and y that the copy is moved by.

    Returns:
        float64 (m,): normalised correlation over the pixels whose copy, bilinear, is no more than
        half a pixel outside; 0 where those are fewer than 8 or flat.

    Raises:
        ValueError: an array has another shape, or a pixel is outside.
    """
    if rows.shape != columns.shape or affine.shape != (2, 3) or moves.shape[1:] != (2,):
        raise ValueError(
            "pixels are two (n,), the map (2, 3), moves (m, 2)."
            f" Got: {rows.shape}, {columns.shape}, {affine.shape} and {moves.shape}"
        )
    out = np.zeros(len(moves))
    if rows.size == 0:
        return out
    low, high = (rows.min(), columns.min()), (rows.max(), columns.max())
    if min(low) < 0 or high[0] >= image.shape[0] or high[1] >= image.shape[1]:
        raise ValueError(f"pixels of an image {image.shape}. Got: {low} to {high}")
    pixels = np.ascontiguousarray(rows), np.ascontiguousarray(columns)
    _correlations(image, *pixels, affine, moves, out)
    return out
