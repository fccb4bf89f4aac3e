"""Which local matches agree with a map, and how many around each one agree with its own."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel

_CELLS = 8


@kernel(
    "void(float64[:, ::1], int64[::1], float64, float64, int64[::1])",
    parallel=True,
)
def _support(
    matches: NDArray[np.float64],
    order: NDArray[np.int64],
    radius: float,
    tolerance: float,
    out: NDArray[np.int64],
) -> None:
    n = order.size
    cell = 2.0 * radius / _CELLS
    for turn in prange(n):
        place = np.int64(turn)  # numba counts the turns of a prange without a sign
        i = order[place]
        x, y = matches[i, 0], matches[i, 1]
        taken = np.zeros(_CELLS * _CELLS, np.bool_)
        count = 0
        for direction in (-1, 1):
            other = place if direction == 1 else place - 1
            while 0 <= other < n:
                j = order[other]
                other += direction
                dx = matches[j, 0] - x
                if abs(dx) >= radius:
                    break
                dy = matches[j, 1] - y
                if abs(dy) >= radius:
                    continue
                error_x = matches[i, 2] + matches[i, 4] * dx + matches[i, 5] * dy - matches[j, 2]
                error_y = matches[i, 3] + matches[i, 6] * dx + matches[i, 7] * dy - matches[j, 3]
                if error_x * error_x + error_y * error_y > tolerance * tolerance:
                    continue
                row = min(_CELLS - 1, int((dy + radius) / cell))
                here = row * _CELLS + min(_CELLS - 1, int((dx + radius) / cell))
                if not taken[here]:
                    taken[here] = True
                    count += 1
        out[i] = count


def support(
    matches: NDArray[np.float64], *, radius: float = 32.0, tolerance: float = 2.0
) -> NDArray[np.int64]:
    """Count, for each match, the places around it where other matches agree with its map.

    The square of `2 * radius` pixels around a match is divided into 8 x 8 places; a place counts
    once however many matches lie in it, since keypoints come in heaps. A match counts itself, so
    that the least is 1.

    Args:
        matches: float64 (n, 8), as in `kernels.correlate.refine`.
        tolerance: pixels that a neighbour's second point may lie off the map.

    Returns:
        int64 (n,), 1 to 64.
    """
    out = np.empty(len(matches), np.int64)
    order = np.argsort(matches[:, 0], kind="stable")
    _support(np.ascontiguousarray(matches), order, radius, tolerance, out)
    return out


@kernel("int64(float64[:, ::1], float64[:, ::1], float64[::1], float64, int64[::1])")
def _explained(
    matches: NDArray[np.float64],
    affine: NDArray[np.float64],
    box: NDArray[np.float64],
    square: float,
    found: NDArray[np.int64],
) -> int:
    count = 0
    for i in range(matches.shape[0]):
        x, y = matches[i, 0], matches[i, 1]
        if x < box[0] or y < box[1] or x >= box[2] or y >= box[3]:
            continue
        off_x = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2] - matches[i, 2]
        off_y = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2] - matches[i, 3]
        if off_x * off_x + off_y * off_y < square:
            found[count] = i
            count += 1
    return count


def explained(
    matches: NDArray[np.float64],
    affine: NDArray[np.float64],
    box: tuple[float, float, float, float],
    tolerance: float,
) -> NDArray[np.int64]:
    """Which matches start in a box and end where a map takes their start.

    Args:
        matches: float64 (n, 8), C-contiguous, as in `kernels.correlate.refine`.
        affine: float64 (2, 3), maps first points to second ones.
        box: left, top, right and bottom, the last two outside.
        tolerance: pixels, less than which the second point lies off the map.

    Returns:
        int64 (k,), their indices, ascending.
    """
    found = np.empty(len(matches), np.int64)
    count = _explained(
        matches, np.ascontiguousarray(affine), np.array(box, float), tolerance * tolerance, found
    )
    return found[:count]
