"""Where an affine map takes the pixels of a window: out of the image, or hardly away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel

Affine = NDArray[np.float64]


@kernel("void(float32[:, ::1], float64[:, ::1], float64, float64)")
def _mark_outside(
    values: NDArray[np.float32], affine: Affine, last_x: float, last_y: float
) -> None:
    for y in range(values.shape[0]):
        x0 = affine[0, 1] * y + affine[0, 2]
        y0 = affine[1, 1] * y + affine[1, 2]
        for x in range(values.shape[1]):
            px = affine[0, 0] * x + x0
            py = affine[1, 0] * x + y0
            inside = (px >= -0.5) & (py >= -0.5) & (px <= last_x) & (py <= last_y)
            values[y, x] = values[y, x] if inside else np.float32(np.nan)


@kernel("void(float64[:, ::1], float64, boolean[:, ::1])")
def _moved_at_least(affine: Affine, square: float, moved: NDArray[np.bool_]) -> None:
    for y in range(moved.shape[0]):
        x0 = affine[0, 1] * y + affine[0, 2]
        y0 = (affine[1, 1] - 1.0) * y + affine[1, 2]
        for x in range(moved.shape[1]):
            dx = (affine[0, 0] - 1.0) * x + x0
            dy = affine[1, 0] * x + y0
            moved[y, x] = dx * dx + dy * dy >= square


def mark_outside(values: NDArray[np.float32], affine: Affine, shape: tuple[int, int]) -> None:
    """Make NaN, in place, what lies more than half a pixel outside of an image under a map.

    Args:
        values: float32 (h, w), C-contiguous: a window.
        affine: float64 (2, 3), C-contiguous: from (x, y) in the window to the image.
        shape: (H, W) of the image.
    """
    _mark_outside(values, affine, shape[1] - 0.5, shape[0] - 0.5)


def moved_at_least(affine: Affine, shape: tuple[int, int], distance: float) -> NDArray[np.bool_]:
    """Which pixels of a window a map moves at least so far.

    Args:
        affine: float64 (2, 3), C-contiguous: from (x, y) in the window to (x, y) counted from the
            window's corner too.
        shape: (h, w) of the window.
        distance: in pixels.

    Returns:
        bool (h, w).
    """
    moved = np.empty(shape, np.bool_)
    _moved_at_least(affine, distance * distance, moved)
    return moved
