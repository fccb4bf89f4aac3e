"""Normalised correlation of two images in a window around every pixel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_FLAT = 1e-3
"""Variance below which a window holds nothing to correlate, in the images' unit squared."""


@kernel("int64(int64, int64)")
def _reflected(place: int, length: int) -> int:
    """A place outside of 0..length-1 mirrored at the first or last pixel, which is not repeated."""
    if length == 1:
        return 0
    while place < 0 or place >= length:
        place = -place if place < 0 else 2 * (length - 1) - place
    return place


@kernel("void(float32[:, ::1], float32[:, ::1], int64, float64, float64, float64[:, ::1])")
def _add_row(
    first: Floats, second: Floats, row: int, sign: float, level: float, sums: Doubles
) -> None:
    """Add the moments of one row to the sums over columns; the last counts what is not known."""
    for x in range(first.shape[1]):
        seen = second[row, x]
        known = np.isfinite(seen)
        p = float(first[row, x]) - level
        q = float(seen) - level if known else 0.0
        sums[0, x] += sign * p
        sums[1, x] += sign * q
        sums[2, x] += sign * (p * p)
        sums[3, x] += sign * (q * q)
        sums[4, x] += sign * (p * q)
        sums[5, x] += 0.0 if known else sign


@kernel("void(float64[:, ::1], int64, int64, int64, float64[:, ::1])")
def _across(columns: Doubles, width: int, before: int, side: int, windows: Doubles) -> None:
    """Sums over `side` columns from `before` to the left of each; columns beyond are reflected."""
    for k in range(6):
        total = 0.0
        for x in range(-before, side - before):
            total += columns[k, _reflected(x, width)]
        windows[k, 0] = total
    a, b, c, d, e, f = (
        windows[0, 0], windows[1, 0], windows[2, 0], windows[3, 0], windows[4, 0], windows[5, 0],
    )  # fmt: skip
    for x in range(1, width):
        gone, new = x - 1 - before, x - before + side - 1
        if gone < 0 or new >= width:
            gone, new = _reflected(gone, width), _reflected(new, width)
        a += columns[0, new] - columns[0, gone]
        b += columns[1, new] - columns[1, gone]
        c += columns[2, new] - columns[2, gone]
        d += columns[3, new] - columns[3, gone]
        e += columns[4, new] - columns[4, gone]
        f += columns[5, new] - columns[5, gone]
        windows[0, x], windows[1, x], windows[2, x] = a, b, c
        windows[3, x], windows[4, x], windows[5, x] = d, e, f


@kernel("void(float32[:, ::1], float32[:, ::1], int64, float64, float32[:, ::1])")
def _correlate(first: Floats, second: Floats, side: int, level: float, out: Floats) -> None:
    height, width = first.shape
    before = side // 2
    columns = np.zeros((6, width))
    windows = np.empty((6, width))
    share = 1.0 / (side * side)
    for row in range(-before, side - before - 1):
        _add_row(first, second, _reflected(row, height), 1.0, level, columns)
    for y in range(height):
        new = _reflected(y + side - before - 1, height)
        _add_row(first, second, new, 1.0, level, columns)
        _across(columns, width, before, side, windows)
        gone = _reflected(y - before, height)
        _add_row(first, second, gone, -1.0, level, columns)
        for x in range(width):
            mean_p, mean_q = windows[0, x] * share, windows[1, x] * share
            square_p, square_q = windows[2, x] * share, windows[3, x] * share
            var_p = square_p - mean_p * mean_p
            var_q = square_q - mean_q * mean_q
            covariance = windows[4, x] * share - mean_p * mean_q
            value = covariance / math.sqrt(max(var_p * var_q, _FLAT * _FLAT))
            # Far from the level, rounding of the image itself looks like a little variance.
            holds = (var_p > _FLAT + 2e-7 * square_p) & (var_q > _FLAT + 2e-7 * square_q)
            holds &= windows[5, x] < 0.5
            out[y, x] = np.float32(value) if holds else np.float32(-1)


def local_correlation(first: Floats, second: Floats, side: int) -> Floats:
    """Normalised correlation of two images in a box of `side` pixels around every pixel.

    The images are reflected at their first and last rows and columns, which are not repeated.

    Args:
        first: float32 (H, W), finite.
        second: float32 (H, W); what is not finite is not known.
        side: of the box; one of even side reaches further to the left and up.

    Returns:
        float32 (H, W), -1 where either image is flat or not known somewhere inside the box.

    Raises:
        ValueError: the images differ in shape, or the box has no pixel.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"both images have one shape. Got: {first.shape} and {second.shape}")
    if side < 1:
        raise ValueError(f"the box is at least a pixel wide. Got: {side}")
    out = np.empty(first.shape, np.float32)
    if out.size:
        level = float(first.mean())
        _correlate(np.ascontiguousarray(first), np.ascontiguousarray(second), side, level, out)
    return out
