"""Running sums along rows, modulo the type's range: undoes TIFF's horizontal differencing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel, readonly

_TYPES = ("uint8", "uint16", "uint32", "uint64")


def running_sums(differences: NDArray[Any]) -> NDArray[Any]:
    """Sum each channel of each row from the left, as `np.add.accumulate(axis=1)` of that dtype.

    Args:
        differences: uint8, 16, 32 or 64, (H, W, C).

    Returns:
        (H, W, C) of the same dtype, C-contiguous, new.

    Raises:
        ValueError: another dtype or number of axes.
    """
    if differences.ndim != 3 or differences.dtype not in _TYPES:
        raise ValueError(
            "differences must be unsigned integers (H, W, C). "
            f"Got: {differences.dtype} {differences.shape}"
        )
    out = np.empty(differences.shape, differences.dtype)
    if out.size:
        _sum_rows(np.ascontiguousarray(differences), out)
    return out


@kernel(*(f"void({readonly(t, 3)}, {t}[:, :, ::1])" for t in _TYPES))
def _sum_rows(differences: NDArray[Any], out: NDArray[Any]) -> None:
    height, width, channels = differences.shape
    for y in range(height):
        # The common counts keep their sums in registers.
        if channels == 1:
            a = differences[y, 0, 0] - differences[y, 0, 0]
            for x in range(width):
                a += differences[y, x, 0]
                out[y, x, 0] = a
        elif channels == 3:
            a = b = c = differences[y, 0, 0] - differences[y, 0, 0]
            for x in range(width):
                a += differences[y, x, 0]
                b += differences[y, x, 1]
                c += differences[y, x, 2]
                out[y, x, 0], out[y, x, 1], out[y, x, 2] = a, b, c
        elif channels == 4:
            a = b = c = d = differences[y, 0, 0] - differences[y, 0, 0]
            for x in range(width):
                a += differences[y, x, 0]
                b += differences[y, x, 1]
                c += differences[y, x, 2]
                d += differences[y, x, 3]
                out[y, x, 0], out[y, x, 1], out[y, x, 2], out[y, x, 3] = a, b, c, d
        else:
            for k in range(channels):
                out[y, 0, k] = differences[y, 0, k]
            for x in range(1, width):
                for k in range(channels):
                    out[y, x, k] = out[y, x - 1, k] + differences[y, x, k]
