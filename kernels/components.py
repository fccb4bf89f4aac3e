"""Connected components of a mask, with areas, boxes and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kernels import bitplane, pieces
from kernels.jit import kernel, readonly
from kernels.rle import Mask, Runs, contiguous_pixels, encode

_LONGS = readonly("int64", 1)
_RUNS = readonly("int64", 2)


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The components of a mask, in column-major order of their first pixels.

    Attributes:
        areas: int64 (n,), pixels.
        boxes: int32 (n, 4), rows and columns: top, left, bottom, right, the last two exclusive.
        runs: int64 (k, 2), the canonical runs of all components, those of one after the other.
        offsets: int64 (n + 1,), where the runs of each component begin, and where the last's end.
    """

    areas: NDArray[np.int64]
    boxes: NDArray[np.int32]
    runs: Runs
    offsets: NDArray[np.int64]

    @property
    def count(self) -> int:
        """The number of components."""
        return len(self.areas)

    def runs_of(self, index: int) -> Runs:
        """The runs of one component, a view.

        Raises:
            IndexError: there is no such component.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"there are {self.count} components. Got: {index}")
        return self.runs[self.offsets[index] : self.offsets[index + 1]]


def components(mask: Mask, connectivity: Literal[4, 8] = 8, min_area: int = 0) -> Components:
    """The connected components of the set pixels.

    Args:
        mask: bool or uint8 (H, W), any memory order and strides; nonzero is set.
        connectivity: 4 joins pixels that share an edge, 8 also those that share a corner.
        min_area: components of fewer pixels are left out.

    Raises:
        ValueError: not a mask, or another connectivity.
    """
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity is 4 or 8. Got: {connectivity}")
    pixels = contiguous_pixels(mask)
    height, width = pixels.shape
    words = bitplane.empty_words(height, width)
    if pixels.flags.c_contiguous:
        bitplane.pack(pixels, words)
    else:
        words[:] = 0
        bitplane.set_runs(encode(pixels), height, words)
    total = pieces.count(words, width)
    tops, bottoms, parents = np.empty((3, total), np.int32)
    firsts = np.empty(width + 1, np.int32)
    pieces.locate(words, height, firsts, tops, bottoms)
    labels = parents.view(np.uint32)
    count = pieces.connect(words, firsts, connectivity, labels)
    areas, boxes = np.empty(count, np.int64), np.empty((count, 4), np.int32)
    offsets = np.zeros(count + 1, np.int64)
    ends = offsets[1:]  # of every component: first its number of runs, then where they begin
    pieces.measure(tops, bottoms, firsts, height, labels, areas, boxes, ends)
    runs = np.empty((pieces.allot(areas, min_area, ends), 2), np.int64)
    pieces.group(tops, bottoms, firsts, height, labels, ends, runs)
    kept = areas >= min_area
    if kept.all():
        return Components(areas, boxes, runs, offsets)
    return Components(areas[kept], boxes[kept], runs, np.append(0, ends[kept]))


def label_image(found: Components, shape: tuple[int, int]) -> NDArray[np.int32]:
    """A picture of the components: 0 where there is none, else the component's index plus 1.

    Args:
        shape: (H, W) of the mask they were found in.

    Returns:
        int32 (H, W), C-contiguous.

    Raises:
        ValueError: a component leaves the shape.
    """
    height, width = shape
    if found.count and (found.boxes[:, 2:].max(axis=0) > shape).any():
        bottom, right = found.boxes[:, 2:].max(axis=0)
        raise ValueError(f"components reach row {bottom - 1}, column {right - 1}. Got: {shape}")
    labels = np.zeros((height, width), np.int32)
    _paint(found.runs, found.offsets, labels)
    return labels


@kernel(f"void({_RUNS}, {_LONGS}, int32[:, ::1])")
def _paint(runs: Runs, offsets: NDArray[np.int64], labels: NDArray[np.int32]) -> None:
    """Write index + 1 along the runs of every component."""
    height = labels.shape[0]
    for index in range(offsets.size - 1):
        for i in range(offsets[index], offsets[index + 1]):
            column, row = divmod(runs[i, 0], height)
            for _ in range(runs[i, 1]):
                if row == height:
                    column, row = column + 1, 0
                labels[row, column] = index + 1
                row += 1
