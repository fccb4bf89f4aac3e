"""The most similar rows of a block of a similarity matrix, leaving out neighbours in the plane."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel


@kernel(
    "void(float32[:, ::1], float64[:, ::1], float64[:, ::1], float64, int64[:, ::1],"
    " float32[:, ::1])",
    parallel=True,
)
def _most_similar(
    similarity: NDArray[np.float32],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    apart: float,
    index: NDArray[np.int64],
    value: NDArray[np.float32],
) -> None:
    k = index.shape[1]
    for i in prange(similarity.shape[0]):
        for r in range(k):
            index[i, r] = -1
            value[i, r] = -np.inf
        for j in range(similarity.shape[1]):
            s = similarity[i, j]
            if s <= value[i, k - 1]:
                continue
            dx = rows[i, 0] - columns[j, 0]
            dy = rows[i, 1] - columns[j, 1]
            if dx * dx + dy * dy < apart * apart:
                continue
            r = k - 1
            while r > 0 and s > value[i, r - 1]:
                value[i, r] = value[i, r - 1]
                index[i, r] = index[i, r - 1]
                r -= 1
            value[i, r] = s
            index[i, r] = j


def most_similar(
    similarity: NDArray[np.float32],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    *,
    apart: float,
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k largest entries of each row whose points lie apart.

    Args:
        similarity: float32 (n, m), C-contiguous.
        rows, columns: float64 (n, 2) and (m, 2), C-contiguous: the point of each row and column.
        apart: least distance between the points of a pair that counts.
        k: how many.

    Returns:
        Column indices, int64 (n, k), -1 where there are fewer than k, and their similarities,
        float32 (n, k), -inf likewise; best first, the lower index first among equals.

    Raises:
        ValueError: the points do not fit the matrix, or k is not positive.
    """
    if (rows.shape, columns.shape) != tuple((side, 2) for side in similarity.shape):
        raise ValueError(
            f"a matrix {similarity.shape} has (n, 2) and (m, 2) points."
            f" Got: {rows.shape} and {columns.shape}"
        )
    if k < 1:
        raise ValueError(f"k is at least 1. Got: {k}")
    index = np.empty((similarity.shape[0], k), np.int64)
    value = np.empty((similarity.shape[0], k), np.float32)
    _most_similar(similarity, rows, columns, apart, index, value)
    return index, value
