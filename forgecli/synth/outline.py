"""Regions as small masks with a place: what is cloned, and where it can be."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outline:
    """A region of an image.

    Attributes:
        x, y: the left upper corner of its bounding box, in pixels of the image.
        mask: bool (h, w), the bounding box; touches all four of its sides.
    """

    x: int
    y: int
    mask: Mask

    @property
    def area(self) -> int:
        """In pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the bounding box."""
        height, width = self.mask.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)

    def moved(self, right: int, down: int) -> Outline:
        """The same region elsewhere."""
        return Outline(self.x + right, self.y + down, self.mask)

    def full(self, shape: tuple[int, int]) -> Mask:
        """As a mask of the whole image, bool (H, W). The region must lie inside."""
        whole = np.zeros(shape, bool)
        whole[self.box] = self.mask
        return whole


def outline_of(mask: Mask, x: int = 0, y: int = 0) -> Outline | None:
    """The outline of the pixels that are set in `mask`, whose corner is at (x, y)."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return Outline(x + int(left), y + int(top), np.ascontiguousarray(mask[top:bottom, left:right]))


def rectangle(x: int, y: int, width: int, height: int) -> Outline:
    """A rectangle as an outline."""
    return Outline(x, y, np.ones((height, width), bool))


def freehand(rng: np.random.Generator, width: int, height: int) -> Mask:
    """A shape as drawn by hand with a lasso: a smooth closed curve in a box, bool (h, w).

    The radius is a sum of a few cosines of random phase over the angle.
    """
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radius = np.ones_like(angles)
    for wave in range(2, 6):
        size = rng.uniform(0, 0.28) / wave
        radius += size * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    x, y = radius * np.cos(angles), radius * np.sin(angles)
    # Sixteenths of a pixel, because fillPoly takes whole numbers.
    points = np.stack([_spread(x, width), _spread(y, height)], axis=1)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 1, shift=4)
    return mask > 0


def _spread(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    spread: NDArray[np.float64] = (values - low) / (high - low) * (side - 1)
    return spread


def grown(outline: Outline, pixels: int, shape: tuple[int, int]) -> Outline:
    """The outline, larger by some pixels all around, clipped to an image of `shape` (H, W)."""
    if pixels <= 0:
        return outline
    padded = np.pad(outline.mask, pixels).astype(np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    wide = cv2.dilate(padded, disk) > 0
    x, y = outline.x - pixels, outline.y - pixels
    left, top = max(0, -x), max(0, -y)
    inside = wide[top : shape[0] - y, left : shape[1] - x]
    larger = outline_of(inside, x + left, y + top)
    return larger if larger is not None else outline
