"""Which window of a picture a sample shows, and the crop itself, with its masks.

A window is cut out and resized once, by the rule that prediction uses. More interpolations than
needed would blur the fine texture that tells a copy from a look-alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgecli.segment.preprocess import MOST_ENLARGED, View, padded, resized
from forgecli.train.data import CropSettings, LoneRegions
from forgecli.train.regions import Regions, regions_of, union_box

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

_MARGIN = 1.1
_SEEN = 0.5
"""Share of its pixels that a region must have in a window to count as seen."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture, pixels.

    Attributes:
        size: height and width that it is brought to.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A part of a picture with its truth.

    Attributes:
        pixels: uint8 (H, W, 3), RGB.
        masks: uint8 (n, H, W) of 0 and 1, none of them empty.
    """

    pixels: Pixels
    masks: Pixels


@dataclass(frozen=True, slots=True)
class Chooser:
    """Draws windows, mostly such that source and copy of a group are seen together.

    Attributes:
        size: side of the crop, pixels.
        view: ``resize``: the picture's long side becomes `size`, times the jitter. ``tile``: the
            picture's own pixels, times the jitter.
        extents: of forged images, see `Facts.extent`. Authentic images have no regions that would
            have to fit; they are scaled as if theirs were drawn from these, so that scale says
            nothing about the class.
    """

    size: int
    view: View
    settings: CropSettings
    extents: tuple[float, ...] = ()

    def choose(
        self, shape: tuple[int, int], groups: Sequence[Regions], rng: np.random.Generator
    ) -> Window:
        """A window of a picture of `shape` (H, W) whose instances have these regions."""
        long = max(shape)
        limit = np.log(self.settings.scale_jitter)
        jitter = float(np.exp(rng.uniform(-limit, limit)))
        whole = max(long, self.size / MOST_ENLARGED)
        side = (whole if self.view == "resize" else self.size) / jitter
        fits = self.view == "resize" or rng.random() < self.settings.fit
        looks = rng.random() >= self.settings.random_crops
        box: Box | None = None
        if groups and looks:
            regions = groups[int(rng.integers(len(groups)))]
            box = _box_of(regions, 2, rng)
            around = _around(max(box[2] - box[0], box[3] - box[1]), long)
            if around > side and not fits:
                box = _box_of(regions, 1, rng)
            elif around > side:
                side = around
        elif self.extents and looks and fits:
            extent = self.extents[int(rng.integers(len(self.extents)))] * long
            side = max(side, _around(extent, long))
        return self._place(shape, side, box, rng)

    def _place(
        self, shape: tuple[int, int], side: float, box: Box | None, rng: np.random.Generator
    ) -> Window:
        """A square of `side`, cut to the picture, anywhere or where it shows `box`."""
        starts, lengths, sizes = [], [], []
        for axis in (0, 1):
            length = max(1, min(shape[axis], round(side)))
            low, high = 0, shape[axis] - length
            if box is not None:
                # A box that is larger than the window is shown in part.
                edges = sorted((box[axis + 2] - length, box[axis]))
                low, high = max(low, min(edges[0], high)), min(high, max(edges[1], low))
            starts.append(int(rng.integers(low, high + 1)))
            lengths.append(length)
            sizes.append(max(1, min(self.size, round(length * self.size / side))))
        return Window(starts[0], starts[1], lengths[0], lengths[1], (sizes[0], sizes[1]))


def _box_of(regions: Regions, most: int, rng: np.random.Generator) -> Box:
    """The box around so many regions, drawn from all; around fewer where there are fewer."""
    drawn = rng.choice(regions.count, min(most, regions.count), replace=False)
    return union_box(regions.boxes[drawn])


def _around(extent: float, long: int) -> float:
    """The side of a window that shows something with a margin; no more than the long side."""
    return min(extent * _MARGIN, long)


def cut(
    pixels: Pixels,
    masks: Pixels,
    groups: Sequence[Regions],
    window: Window,
    lone: LoneRegions = "drop",
) -> Crop:
    """The crop that a window shows, at the window's size, not padded.

    Where a picture shrinks, a pixel of a mask is set if half of what it stands for is. Instances of
    which no pixel is left are left out, and with `lone` ``drop`` those of several regions of which
    one only is seen (half of its pixels or more); see `CropSettings.lone_regions`. What is less
    than half seen of other regions goes with it.

    Args:
        pixels: uint8 (H, W, 3).
        masks: uint8 (n, H, W) of 0 and 1.
        groups: the regions of each instance.
    """
    top, left, height, width = window.top, window.left, window.height, window.width
    rows, columns = slice(top, top + height), slice(left, left + width)
    kept = []
    for mask, regions in zip(masks, groups, strict=True):
        part = mask[rows, columns]
        if not part.any():
            continue
        if lone == "drop" and regions.count > 1:
            seen = regions.seen(top, left, height, width) >= _SEEN
            if seen.sum() < 2:
                continue
        part = resize_mask(part, window.size)
        if part.any():
            kept.append(part)
    crop = resized(np.ascontiguousarray(pixels[rows, columns]), window.size)
    return Crop(crop, np.stack(kept) if kept else np.zeros((0, *window.size), np.uint8))


def resize_mask(mask: Pixels, size: tuple[int, int]) -> Pixels:
    """A mask at another size: set where half or more of a pixel's area is.

    Args:
        mask: uint8 (H, W) of 0 and 1.
        size: (h, w).
    """
    import cv2

    if mask.shape == size:
        return np.ascontiguousarray(mask)
    shrinks = size[0] * size[1] < mask.shape[0] * mask.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    level = cv2.resize(np.ascontiguousarray(mask) * np.uint8(255), size[::-1], interpolation=how)
    return np.asarray(level >= 128, np.uint8)


def pad(crop: Crop, size: int) -> Crop:
    """Fill up to `size` x `size` at the right and the bottom, as prediction does.

    What is filled in belongs to no mask.
    """
    height, width = crop.pixels.shape[:2]
    masks = np.pad(crop.masks, ((0, 0), (0, size - height), (0, size - width)))
    return Crop(padded(crop.pixels, (size, size)), masks)


def groups_of(masks: Pixels) -> list[Regions]:
    """The regions of each instance; masks uint8 (n, H, W)."""
    return [regions_of(mask) for mask in masks]
