"""Labelled pieces, as a GPU finds them, as the components that the CPU finds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.components import Components
from kernels.jit import kernel, readonly

Pieces = NDArray[np.int32]
"""int32 (k, 3): start (column * H + row), length, and the label of the piece's component. A piece
is a run within one column; column-major order; no two adjacent in a column."""

_PIECES = readonly("int32", 2)


def group(pieces: Pieces, height: int, labels: int) -> Components:
    """The components of pieces.

    Equal to what `kernels.components.components` finds: components in the order of their first
    pieces, runs of each joined where one goes on at the top of the next column.

    Args:
        pieces: see `Pieces`. Any values as labels, as long as a component has one of its own.
        height: of the picture, H.
        labels: all are less than this.

    Raises:
        ValueError: not pieces.
    """
    if pieces.dtype != np.int32 or pieces.ndim != 2 or pieces.shape[1] != 3 or height < 1:
        raise ValueError(f"pieces are int32 (k, 3). Got: {pieces.dtype} {pieces.shape}, {height}")
    if len(pieces) and not 0 <= pieces[:, 2].min() <= pieces[:, 2].max() < labels:
        raise ValueError(f"labels are from 0 to {labels - 1}. Got: {pieces[:, 2].max()}")
    given = np.ascontiguousarray(pieces)
    numbers = np.full(labels, -1, np.int32)
    owners = np.empty(len(given), np.int32)
    sizes = np.empty(len(given), np.int64)
    last_ends = np.empty(len(given), np.int64)
    count = _number(given, numbers, owners, sizes, last_ends)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(sizes[:count], out=offsets[1:])
    runs = np.empty((int(offsets[-1]), 2), np.int64)
    areas, boxes = np.zeros(count, np.int64), np.empty((count, 4), np.int32)
    _fill(given, owners, offsets, height, areas, boxes, runs)
    return Components(areas, boxes, runs, offsets)


@kernel(f"int64({_PIECES}, int32[::1], int32[::1], int64[::1], int64[::1])")
def _number(
    pieces: Pieces,
    numbers: NDArray[np.int32],
    owners: NDArray[np.int32],
    sizes: NDArray[np.int64],
    last_ends: NDArray[np.int64],
) -> int:
    """Number the components by their first pieces.

    Args:
        numbers: of every label, -1 so far; filled.
        owners: the component of every piece; filled.
        sizes: the runs of every component; filled.
        last_ends: scratch: where each component ends so far.

    Returns:
        the number of components.
    """
    count = 0
    for i in range(pieces.shape[0]):
        start, label = np.int64(pieces[i, 0]), pieces[i, 2]
        owner = numbers[label]
        if owner < 0:
            owner = numbers[label] = count
            sizes[owner] = 1
            count += 1
        elif last_ends[owner] != start:
            sizes[owner] += 1
        last_ends[owner] = start + pieces[i, 1]
        owners[i] = owner
    return count


@kernel(
    f"void({_PIECES}, {readonly('int32', 1)}, {readonly('int64', 1)}, int64, int64[::1], "
    "int32[:, ::1], int64[:, ::1])"
)
def _fill(
    pieces: Pieces,
    owners: NDArray[np.int32],
    offsets: NDArray[np.int64],
    height: int,
    areas: NDArray[np.int64],
    boxes: NDArray[np.int32],
    runs: NDArray[np.int64],
) -> None:
    """Write the runs of each component after one another, its area and box.

    Args:
        areas: int64 (n,), zeros; filled, as are boxes (n, 4) and runs.
    """
    ends = offsets[:-1].copy()
    for i in range(pieces.shape[0]):
        start, length = np.int64(pieces[i, 0]), np.int64(pieces[i, 1])
        column, top = divmod(start, height)
        bottom = top + length
        owner = owners[i]
        end = ends[owner]
        if areas[owner] == 0:
            boxes[owner, 0], boxes[owner, 1], boxes[owner, 2] = top, column, bottom
        else:
            boxes[owner, 0] = min(boxes[owner, 0], top)
            boxes[owner, 2] = max(boxes[owner, 2], bottom)
        boxes[owner, 3] = column + 1
        if areas[owner] and runs[end - 1, 0] + runs[end - 1, 1] == start:
            runs[end - 1, 1] += length
        else:
            runs[end, 0], runs[end, 1] = start, length
            ends[owner] = end + 1
        areas[owner] += length
