"""The most similar descriptors to each one, plain and mirrored, on a GPU.

What `kernels.nearest.most_similar` finds, but for the order in which a product's float32 sum is
taken: neighbours whose similarities differ by some 1e-6 may change places. All against all, without
a matrix of all: a block goes over the columns tile by tile and keeps lists. Every pair is
multiplied twice, once from each side. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Buffer, Device, Scalar, Stream, pointer

WIDTH = 128
"""Entries of a descriptor, at most, after it is split: those of a tile lie in a block's memory."""

_TILE = 32  # in nearest.cu
_THREADS = 256
_BLOCKS = 2048  # that keep a large GPU busy
_MOST_SLICES = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How all pairs are shared out among blocks.

    Attributes:
        count: descriptors.
        k: how many of each are wanted.
        span: columns of a slice.
        slices: of the columns; each has lists of its own until they are merged.
    """

    count: int
    k: int
    span: int
    slices: int

    @property
    def list_bytes(self) -> int:
        """Of the final lists: the indices, int32 (2, count, k), or the values, float32."""
        return 8 * self.count * self.k

    @property
    def work_bytes(self) -> int:
        """Of the slices' lists. At most 16 * k * (2 * count + 65,536), about."""
        return 2 * self.list_bytes * self.slices


def plan(count: int, k: int) -> Plan:
    """Share out the work for so many descriptors, of each of which k neighbours are wanted.

    Raises:
        ValueError: k is not positive.
    """
    if k < 1:
        raise ValueError(f"k is at least 1. Got: {k}")
    tiles = max(-(-count // _TILE), 1)
    slices = min(_MOST_SLICES, tiles, -(-_BLOCKS // tiles))
    span = -(-tiles // slices) * _TILE
    return Plan(count, k, span, max(-(-count // span), 1))


def entries_of(
    descriptors: NDArray[np.float32], mirror: NDArray[np.int64]
) -> tuple[NDArray[np.float32], int, int]:
    """Descriptors as the kernel takes them.

    Args:
        descriptors: float32 (n, d).
        mirror: int64 (d,), as in `kernels.nearest.most_similar`.

    Returns:
        float32 (n, 4 * (even + odd)): the entries that mirroring leaves as they are, then those
        that it negates, each filled up with zeros to a multiple of four; and the quarters of both.

    Raises:
        ValueError: they are more than `WIDTH`.
    """
    own = np.arange(mirror.size)
    pairs, fixed = own[own < mirror], own[own == mirror]
    kept, negated = pairs.size + fixed.size, pairs.size
    even, odd = -(-kept // 4), -(-negated // 4)
    if 4 * (even + odd) > WIDTH:
        raise ValueError(f"on a GPU, descriptors have {WIDTH} entries at most. Got: {mirror.size}")
    entries = np.zeros((len(descriptors), 4 * (even + odd)), np.float32)
    here, there = descriptors[:, pairs], descriptors[:, mirror[pairs]]
    entries[:, :negated] = here + there
    entries[:, negated:kept] = descriptors[:, fixed] * np.float32(2**0.5)
    entries[:, 4 * even : 4 * even + negated] = here - there
    return entries, even, odd


def most_similar(
    device: Device,
    stream: Stream,
    entries: Buffer,
    points: Buffer,
    parts: tuple[int, int],
    how: Plan,
    work: Buffer,
    index: Buffer,
    value: Buffer,
    *,
    apart: float,
    least: float,
) -> None:
    """The lists of all descriptors. Returns before they are there; it is part of the stream.

    Args:
        entries: float32 (n, 4 * (even + odd)), see `entries_of`.
        points: float64 (n, 2).
        parts: even and odd.
        how: for n descriptors.
        work: `Plan.work_bytes` or more, whatever they hold.
        index: int32 (2, n, k), filled: plain, mirrored; -1 where there are fewer.
        value: float32 (2, n, k), filled; -inf likewise.
        apart, least: as in `kernels.nearest.most_similar`.

    Raises:
        ValueError: too little room.
    """
    needed = (how.work_bytes, how.list_bytes, how.list_bytes)
    if any(own.size < size for own, size in zip((work, index, value), needed, strict=True)):
        raise ValueError(f"{how.count} descriptors need {needed} bytes")
    if not how.count:
        return
    half = how.work_bytes // 2
    lists = (pointer(work), pointer(work, half))
    sizes = map(np.int32, (how.count, *parts, how.span))
    bound = np.float32(least)
    given: list[Scalar] = [pointer(entries), pointer(points), *sizes, np.float64(apart)]
    grid = (-(-how.count // _TILE), how.slices)
    arguments: list[Scalar] = [*given, np.int32(how.k), bound, *lists]
    device.launch("nearest", "most_similar", grid, _THREADS, arguments, stream)
    every = 2 * how.count
    numbers: list[Scalar] = [np.int32(how.slices), np.int64(every), np.int32(how.k), bound]
    grid = (-(-every // _THREADS), 1)
    arguments = [*lists, *numbers, pointer(index), pointer(value)]
    device.launch("nearest", "merge", grid, _THREADS, arguments, stream)
