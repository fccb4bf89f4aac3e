"""The most similar descriptors to each one, in original and in mirrored form, all against all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel

Floats = NDArray[np.float32]
Best = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Indices, int64 (n, k), and similarities, float32 (n, k), best first."""

_BLOCK = 512
"""Two blocks of so many rows and columns stay in a core's cache between making and reading."""
_CHUNK = 32
"""Similarities that are looked over at once for any that matters."""

# The two kernels below run on one thread: called between two products, numba's threads and those of
# the BLAS would wait for each other while they spin, and two threads took ten times as long as one.
_LISTS = "float64[:, ::1], float64, int64[:, :, ::1], float32[:, :, ::1]"


@kernel("boolean(float32[::1], float32[::1], float32[::1])")
def _matters(even: Floats, odd: Floats, least: Floats) -> bool:
    """Whether any similarity of the two forms is over its bound."""
    over = np.int32(0)
    for n in range(even.size):
        over |= np.int32(even[n] + abs(odd[n]) > least[n])
    return bool(over != 0)


@kernel("void(int64[::1], float32[::1], float32, int64)")
def _insert(index: NDArray[np.int64], value: Floats, similarity: float, which: int) -> None:
    place = index.size - 1
    while place > 0 and similarity > value[place - 1]:
        value[place] = value[place - 1]
        index[place] = index[place - 1]
        place -= 1
    value[place] = similarity
    index[place] = which


@kernel("void(float32[:, ::1], float32[:, ::1], int64, int64, " + _LISTS + ")")
def _take_rows(
    even: Floats,
    odd: Floats,
    first_row: int,
    first_column: int,
    points: NDArray[np.float64],
    apart: float,
    index: NDArray[np.int64],
    value: Floats,
) -> None:
    """Offer the columns of a block to its rows."""
    rows, columns = even.shape
    last = index.shape[2] - 1
    for row in range(rows):
        i = first_row + row
        least = np.full(_CHUNK, min(value[0, i, last], value[1, i, last]), np.float32)
        for start in range(0, columns, _CHUNK):
            stop = min(start + _CHUNK, columns)
            if not _matters(even[row, start:stop], odd[row, start:stop], least):
                continue
            for column in range(start, stop):
                j = first_column + column
                for form in range(2):
                    change = odd[row, column] if form == 0 else -odd[row, column]
                    similarity = even[row, column] + change
                    if similarity <= value[form, i, last]:
                        continue
                    dx, dy = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1]
                    if dx * dx + dy * dy >= apart * apart:
                        _insert(index[form, i], value[form, i], similarity, j)
            least[:] = min(value[0, i, last], value[1, i, last])


@kernel("void(float32[:, ::1], float32[:, ::1], int64, int64, " + _LISTS + ")")
def _take_columns(
    even: Floats,
    odd: Floats,
    first_row: int,
    first_column: int,
    points: NDArray[np.float64],
    apart: float,
    index: NDArray[np.int64],
    value: Floats,
) -> None:
    """Offer the rows of a block to its columns."""
    rows, columns = even.shape
    last = index.shape[2] - 1
    for start in range(0, columns, _CHUNK):
        stop = min(start + _CHUNK, columns)
        least = np.empty(_CHUNK, np.float32)
        for column in range(start, stop):
            j = first_column + column
            least[column - start] = min(value[0, j, last], value[1, j, last])
        for row in range(rows):
            i = first_row + row
            if not _matters(even[row, start:stop], odd[row, start:stop], least):
                continue
            for column in range(start, stop):
                j = first_column + column
                for form in range(2):
                    change = odd[row, column] if form == 0 else -odd[row, column]
                    similarity = even[row, column] + change
                    if similarity <= value[form, j, last]:
                        continue
                    dx, dy = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1]
                    if dx * dx + dy * dy >= apart * apart:
                        _insert(index[form, j], value[form, j], similarity, i)
                        least[column - start] = min(value[0, j, last], value[1, j, last])


def most_similar(
    descriptors: Floats,
    mirror: NDArray[np.int64],
    points: NDArray[np.float64],
    *,
    apart: float,
    k: int,
    least: float = -np.inf,
) -> tuple[Best, Best]:
    """The k most similar descriptors of other places to each one, plain and mirrored.

    Mirroring exchanges entries of a descriptor. So with the half sum and half difference of the
    entries that are exchanged, a product of two descriptors is the sum of the products of both
    parts, and the product with the mirrored one is their difference: both cost together what one
    would. Both are symmetric, so half of all pairs are enough.

    Args:
        descriptors: float32 (n, d), C-contiguous.
        mirror: int64 (d,): entry e of a mirrored descriptor is entry mirror[e] of the descriptor.
        points: float64 (n, 2), C-contiguous: the place of each.
        apart: least distance between the places of a pair that counts.
        k: how many.
        least: pairs that are no more similar than this do not count.

    Returns:
        For the plain and for the mirrored form: indices, int64 (n, k), -1 where there are fewer
        than k, and products, float32 (n, k), -inf likewise; best first, the lower index first
        among equals.

    Raises:
        ValueError: the arrays do not fit each other, mirroring twice changes the order, or k is
            not positive.
    """
    n, width = descriptors.shape
    own = np.arange(width)
    if points.shape != (n, 2) or mirror.shape != (width,):
        raise ValueError(
            f"{descriptors.shape} descriptors have ({n}, 2) points and a mirror of {width} entries."
            f" Got: {points.shape} and {mirror.shape}"
        )
    if (mirror[mirror] != own).any():
        raise ValueError("mirroring twice changes nothing. Got another order")
    if k < 1:
        raise ValueError(f"k is at least 1. Got: {k}")
    even, odd = _parts(descriptors, mirror)
    index = np.full((2, n, k), -1, np.int64)
    value = np.full((2, n, k), least, np.float32)
    buffers = np.empty((2, _BLOCK * _BLOCK), np.float32)
    for top in range(0, n, _BLOCK):
        rows = slice(top, min(top + _BLOCK, n))
        for left in range(top, n, _BLOCK):
            columns = slice(left, min(left + _BLOCK, n))
            shape = rows.stop - rows.start, columns.stop - columns.start
            first, second = (buffer[: shape[0] * shape[1]].reshape(shape) for buffer in buffers)
            # Half of the product: half of one factor is exact.
            np.matmul(np.float32(0.5) * even[rows], even[columns].T, out=first)
            np.matmul(np.float32(0.5) * odd[rows], odd[columns].T, out=second)
            _take_rows(first, second, top, left, points, apart, index, value)
            if left > top:
                _take_columns(first, second, top, left, points, apart, index, value)
    value[index < 0] = -np.inf
    return (index[0], value[0]), (index[1], value[1])


def _parts(descriptors: Floats, mirror: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """What mirroring leaves as it is, and what it negates; entries of half the squared length."""
    own = np.arange(mirror.size)
    pairs = own[own < mirror]
    fixed = own[own == mirror]
    here, there = descriptors[:, pairs], descriptors[:, mirror[pairs]]
    kept = descriptors[:, fixed] * np.float32(2**0.5)
    even = np.concatenate((here + there, kept), axis=1)
    return np.ascontiguousarray(even, np.float32), np.ascontiguousarray(here - there, np.float32)
