"""Orders of points in which neighbours in many dimensions often stand side by side.

Morton's curve (G. M. Morton, "A computer oriented geodetic data base", IBM 1966) through random
projections: what one order keeps apart another brings together (Liao, Lopez, Leutenegger, "High
dimensional similarity search with space filling curves", ICDE 2001).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel

_DIMENSIONS = 6
"""Of the curve: with a quarter of a million points, eight cells along each hold a point each."""
_BITS = 5
"""Cells along a dimension, as a power of 2."""
_SPREAD = 5.0
"""Standard deviations that the cells cover; what lies beyond falls into the outermost."""


@kernel("void(float32[:, ::1], int64, uint64[::1])", parallel=True)
def _keys(cells: NDArray[np.float32], bits: int, keys: NDArray[np.uint64]) -> None:
    """Keys whose upper 32 bits interleave those of the cells, and whose lower 32 are the row."""
    most = np.float32(2**bits - 1)
    for turn in prange(cells.shape[0]):
        i = np.int64(turn)
        key = np.uint64(0)
        for bit in range(bits):
            for d in range(cells.shape[1]):
                cell = np.uint64(min(max(cells[i, d], np.float32(0.0)), most))
                digit = (cell >> np.uint64(bits - 1 - bit)) & np.uint64(1)
                key = (key << np.uint64(1)) | digit
        keys[i] = (key << np.uint64(32)) | np.uint64(i)


def curve_orders(
    features: NDArray[np.uint8], count: int, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """So many orders of points, each along a Morton curve through its own random projections.

    Args:
        features: uint8 (n, k), of comparable scale.
        count: how many orders.
        random: draws the projections.

    Yields:
        int64 (n,), the points' numbers. Points of one cell stand in the order they came in.
    """
    centred = features.astype(np.float32)
    if len(features):  # in float32, the sums of many points would saturate
        centred -= centred.mean(axis=0, dtype=np.float64).astype(np.float32)
    keys = np.empty(len(features), np.uint64)
    for _ in range(count):
        projection = random.normal(size=(features.shape[1], _DIMENSIONS)).astype(np.float32)
        start = random.uniform(-0.5, 0.5, _DIMENSIONS).astype(np.float32)
        along = centred @ projection
        spread = np.ones(_DIMENSIONS, np.float32)
        if len(features):
            spread = np.maximum(along.std(axis=0, dtype=np.float64), 1e-3).astype(np.float32)
        along *= np.float32(2**_BITS / _SPREAD) / spread
        along += np.float32(2 ** (_BITS - 1)) + start
        _keys(along, _BITS, keys)
        keys.sort()
        yield (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
