"""The regions of a group: its connected pieces, source and copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The pieces of one instance that are large enough to be a source or a copy.

    Attributes:
        boxes: int32 (n, 4), top, left, bottom, right in pixels, the last two exclusive.
        areas: int32 (n,), pixels.
        labels: int32 (H, W), a number for each piece, whatever its size.
        numbers: intp (n,), the labels of these regions.
    """

    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]
    labels: NDArray[np.int32]
    numbers: NDArray[np.intp]

    @property
    def count(self) -> int:
        """The number of regions; 1 where source and copy touch."""
        return len(self.areas)

    def seen(self, top: int, left: int, height: int, width: int) -> NDArray[np.float64]:
        """The share of each region's pixels that a window holds, float64 (n,)."""
        inside = self.labels[top : top + height, left : left + width]
        counts = np.bincount(inside.ravel(), minlength=int(self.numbers.max()) + 1)
        return np.asarray(counts[self.numbers] / self.areas)


def regions_of(mask: NDArray[np.uint8]) -> Regions:
    """The regions of one instance.

    Pieces joined by corners are one. Pieces of less than a fiftieth of the largest are specks that
    drawing or resampling left, and no regions.

    Args:
        mask: uint8 (H, W) of 0 and 1, not empty.
    """
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = np.array(stats[:, cv2.CC_STAT_AREA], np.int32)
    areas[0] = 0  # the background
    numbers = np.flatnonzero(areas >= max(1, _LEAST_SHARE * areas.max()))
    left, top, width, height = stats[numbers, :4].T
    boxes = np.stack([top, left, top + height, left + width], axis=1).astype(np.int32)
    return Regions(boxes, areas[numbers], np.asarray(labels, np.int32), numbers)


def union_box(boxes: NDArray[np.int32]) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the smallest box around `boxes` (n, 4)."""
    top, left = boxes[:, :2].min(axis=0)
    bottom, right = boxes[:, 2:].max(axis=0)
    return int(top), int(left), int(bottom), int(right)


def extent_of(regions: Regions) -> int:
    """The side of the smallest square that shows two regions, or the only one, whole; pixels."""
    if regions.count == 1:
        pairs = regions.boxes[None]
    else:
        first, second = np.triu_indices(regions.count, 1)
        pairs = np.stack([regions.boxes[first], regions.boxes[second]], axis=1)
    sides = pairs[:, :, 2:].max(axis=1) - pairs[:, :, :2].min(axis=1)
    return int(sides.max(axis=1).min())
