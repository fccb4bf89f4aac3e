"""Rows of packed samples to arrays: what several formats share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def unpack_bits(rows: NDArray[np.uint8], width: int, depth: int) -> NDArray[Any]:
    """Samples that do not fill bytes, the first in the high bits of the first byte.

    Args:
        rows: uint8 (H, n), n >= width * depth / 8.
        depth: bits of a sample, 1 to 16.

    Returns:
        (H, width), values below 2**depth, uint8 for a depth up to 8, else uint16.
    """
    if depth == 1:
        return np.unpackbits(rows, axis=1, count=width)
    if depth not in (2, 4):
        bits = np.unpackbits(rows, axis=1, count=width * depth)
        dtype = np.uint8 if depth <= 8 else np.uint16
        values = np.zeros((len(rows), width), dtype)
        for place in range(depth):
            values = values << 1 | bits[:, place::depth]
        return values
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    values = (rows[:, :, None] >> shifts) & np.uint8((1 << depth) - 1)
    return np.ascontiguousarray(values.reshape(len(rows), -1)[:, :width])


def look_up(table: NDArray[np.uint8], indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Expand a palette.

    Args:
        table: uint8 (256, 4), C-contiguous.
        indices: uint8 (H, W).

    Returns:
        uint8 (H, W, 4).
    """
    # Four bytes at once: several times faster than looking up rows of bytes.
    words = table.view(np.uint32)[:, 0]
    return words[indices].view(np.uint8).reshape(*indices.shape, 4)
