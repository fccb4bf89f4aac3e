"""The pieces of a mask, joined to components.

A piece is a run of set pixels within one column. The pieces of a column are joined with those of
the column to their left that they touch, in a forest whose roots are the first pieces of their
components (union-find with path halving; the idea of He, Chao and Suzuki, "A run-based two-scan
labeling algorithm", 2008). Which pieces touch is read from the mask's bits, 64 rows at a time.
No image of labels is made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bitplane import Words
from kernels.bits import count_ones, trailing_zeros
from kernels.jit import kernel, readonly

Labels = NDArray[np.uint32]
"""uint32: a piece's parent, later its component.

It and other indices here are unsigned, since numba then omits the test for an index that counts
from the end. The loops do so little else that they take a quarter less time.
"""

_INTS = readonly("int32", 1)
_LONGS = readonly("int64", 1)
_WORDS = readonly("uint64", 2)


@kernel(f"int64({_WORDS}, int64)")
def count(words: Words, width: int) -> int:
    """The number of pieces of a mask of W columns."""
    one, top = np.uint64(1), np.uint64(63)
    above = np.zeros(width, np.uint64)
    starts = 0
    for group in range(words.shape[0]):
        line = words[group]
        for c in range(width):
            starts += count_ones(line[c] & ~(line[c] << one | above[c]))
            above[c] = line[c] >> top
    return starts


@kernel(f"void({_WORDS}, int64, int32[::1], int32[::1], int32[::1])")
def locate(
    words: Words,
    height: int,
    firsts: NDArray[np.int32],
    tops: NDArray[np.int32],
    bottoms: NDArray[np.int32],
) -> None:
    """List all pieces, column by column, each column downwards.

    Args:
        firsts: int32 (W + 1,), the first piece of every column, and the number of all; filled.
        tops, bottoms: the rows of every piece, the last exclusive; filled.
    """
    one, top = np.uint64(1), np.uint64(63)
    begun = ended = np.uint64(0)
    for c in range(firsts.size - 1):
        firsts[c] = begun
        above = np.uint64(0)
        for group in range(words.shape[0]):
            word = words[group, c]
            changes = word ^ (word << one | above)
            above = word >> top
            while changes:
                row = group * 64 + trailing_zeros(changes)
                changes &= changes - one
                if begun == ended:
                    tops[begun] = row
                    begun += one
                else:
                    bottoms[ended] = row
                    ended += one
        if begun > ended:
            bottoms[ended] = height
            ended += one
    firsts[-1] = begun


@kernel()
def _root(parents: Labels, piece: np.uint32) -> np.uint32:
    """The root of a piece; halves the way there."""
    while parents[piece] != piece:
        parents[piece] = parents[parents[piece]]
        piece = parents[piece]
    return piece


@kernel(f"int64({_WORDS}, {_INTS}, int64, uint32[::1])")
def connect(words: Words, firsts: NDArray[np.int32], connectivity: int, parents: Labels) -> int:
    """Join the pieces that touch, 64 rows of two neighbouring columns at a time.

    Two pieces that touch do so from the later of their first rows on, so each pair shows as one
    bit: the start of one within the other, which for corners reaches one row further down. The
    number of starts up to that bit tells which pieces they are.

    Args:
        parents: filled: every piece is a root or has a parent before it.

    Returns:
        the number of roots.
    """
    width = firsts.size - 1
    one, top = np.uint64(1), np.uint64(63)
    down = ~np.uint64(0) if connectivity == 8 else np.uint64(0)
    for piece in range(parents.size):
        parents[piece] = piece
    roots = parents.size
    next_piece = firsts[:-1].copy()  # of every column, the first that starts in this group or below
    starts = np.empty(width, np.uint64)
    within = np.empty(width, np.uint64)
    above = np.zeros(width, np.uint64)
    touching = np.zeros(width, np.uint64)
    for group in range(words.shape[0]):
        line = words[group]
        for c in range(width):
            moved = line[c] << one | above[c]
            above[c] = line[c] >> top
            starts[c] = line[c] & ~moved
            within[c] = line[c] | (moved & down)
        for c in range(1, width):
            touching[c] = (starts[c] & within[c - 1]) | (starts[c - 1] & within[c])
        for c in range(1, width):
            pairs = touching[c]
            while pairs:
                up_to = pairs ^ (pairs - one)  # the lowest bit and all below
                pairs &= pairs - one
                left = next_piece[c - 1] + count_ones(starts[c - 1] & up_to) - 1
                right = next_piece[c] + count_ones(starts[c] & up_to) - 1
                left_root = _root(parents, np.uint32(left))
                right_root = _root(parents, np.uint32(right))
                if left_root != right_root:
                    parents[max(left_root, right_root)] = min(left_root, right_root)
                    roots -= 1
        for c in range(width):
            next_piece[c] += count_ones(starts[c])
    return roots


@kernel()
def _goes_on(
    column: int,
    tops: NDArray[np.int32],
    bottoms: NDArray[np.int32],
    firsts: NDArray[np.int32],
    height: int,
    labels: Labels,
) -> bool:
    """Whether a column's first piece and the piece before it are one run of one component."""
    piece = firsts[column]
    return (
        column > 0
        and firsts[column - 1] < piece < firsts[column + 1]
        and bottoms[piece - 1] == height
        and tops[piece] == 0
        and labels[piece - 1] == labels[piece]
    )


@kernel(
    f"void({_INTS}, {_INTS}, {_INTS}, int64, uint32[::1], int64[::1], int32[:, ::1], int64[::1])"
)
def measure(
    tops: NDArray[np.int32],
    bottoms: NDArray[np.int32],
    firsts: NDArray[np.int32],
    height: int,
    labels: Labels,
    areas: NDArray[np.int64],
    boxes: NDArray[np.int32],
    sizes: NDArray[np.int64],
) -> None:
    """Number the components by their first pieces; fill areas, boxes and numbers of runs.

    Args:
        labels: the parents from `connect`; replaced by the index of every piece's component.
    """
    found = np.uint32(0)
    for column in range(firsts.size - 1):
        for piece in range(np.uint32(firsts[column]), np.uint32(firsts[column + 1])):
            top, bottom = tops[piece], bottoms[piece]
            parent = labels[piece]
            if parent == piece:
                label = found
                found += np.uint32(1)
                areas[label] = bottom - top
                sizes[label] = 1
                boxes[label, 0] = top
                boxes[label, 1] = column
                boxes[label, 2] = bottom
            else:
                label = labels[parent]  # comes before the piece, so it is numbered already
                areas[label] += bottom - top
                sizes[label] += 1
                boxes[label, 0] = min(boxes[label, 0], top)
                boxes[label, 2] = max(boxes[label, 2], bottom)
            boxes[label, 3] = column + 1
            labels[piece] = label
        if _goes_on(column, tops, bottoms, firsts, height, labels):
            sizes[labels[firsts[column]]] -= 1


@kernel(f"int64({_LONGS}, int64, int64[::1])")
def allot(areas: NDArray[np.int64], min_area: int, sizes: NDArray[np.int64]) -> int:
    """Decide where the runs of every component begin.

    Args:
        sizes: their numbers; replaced by the index of the first, or by -1 where the component is
            smaller than `min_area`, and left out.

    Returns:
        the number of runs of those that are kept.
    """
    total = 0
    for i in range(areas.size):
        size = sizes[i]
        sizes[i] = -1
        if areas[i] >= min_area:
            sizes[i] = total
            total += size
    return total


@kernel(
    f"void({_INTS}, {_INTS}, {_INTS}, int64, {readonly('uint32', 1)}, int64[::1], int64[:, ::1])"
)
def group(
    tops: NDArray[np.int32],
    bottoms: NDArray[np.int32],
    firsts: NDArray[np.int32],
    height: int,
    labels: Labels,
    ends: NDArray[np.int64],
    runs: NDArray[np.int64],
) -> None:
    """Write the runs, those of one component after the other.

    Args:
        ends: where the runs of every component begin, -1 for one left out; moved to their end.
    """
    for column in range(firsts.size - 1):
        first = firsts[column]
        if _goes_on(column, tops, bottoms, firsts, height, labels):
            end = ends[labels[first]]
            if end >= 0:
                runs[end - 1, 1] += bottoms[first]
            first += 1
        for piece in range(np.uint32(first), np.uint32(firsts[column + 1])):
            label = labels[piece]
            end = ends[label]
            if end >= 0:
                at = np.uint32(end)
                runs[at, 0] = column * height + tops[piece]
                runs[at, 1] = bottoms[piece] - tops[piece]
                ends[label] = end + 1
