"""From a picture to the arrays a network takes. Training and prediction both use this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

View = Literal["resize", "tile"]
Pixels = NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""

MOST_ENLARGED = 4.0
"""A picture smaller than a network's view is enlarged, but not further than this: there is nothing
more in it to see."""

_ELA_QUALITY = 95
_ELA_GAIN = 10


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a network sees a picture.

    Attributes:
        view: ``resize``: the whole picture, its long side made `size` (enlarged four times at
            most), the rest padded to a multiple. ``tile``: overlapping squares of `size` at full
            resolution. Padding repeats the edge: a reflection would be a mirrored copy, which is
            what the networks look for.
        size: pixels, a multiple of what the network asks for.
        overlap: share of a tile that the next one covers as well.
        ela: whether error-level analysis (difference to a JPEG of quality 95, times 10; Krawetz,
            2007) follows the colours as three more channels.
    """

    view: View = "resize"
    size: Annotated[int, Field(ge=32, le=8192)] = 512
    overlap: Annotated[float, Field(ge=0, lt=0.9)] = 0.25
    ela: bool = False

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return 6 if self.ela else 3


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as a network takes it.

    Attributes:
        array: float32 (C, h, w), 0 to 1, C-contiguous.
        shape: (height, width) of the part at the top left that holds the picture; the rest is
            padding.
    """

    array: NDArray[np.float32]
    shape: tuple[int, int]


def channels_of(pixels: Pixels, ela: bool = False) -> NDArray[np.float32]:
    """The channels of a picture or crop.

    Args:
        pixels: uint8 (H, W, 3), RGB; with `ela` at most 65,500 on a side, as JPEG has it.
        ela: whether error-level analysis follows the colours.

    Returns:
        float32 (3 or 6, H, W), 0 to 1, C-contiguous.

    Raises:
        ValueError: too large for a JPEG.
    """
    height, width = pixels.shape[:2]
    channels = np.empty((6 if ela else 3, height, width), np.float32)
    scale = np.float32(1 / 255)
    np.multiply(pixels.transpose(2, 0, 1), scale, out=channels[:3])
    if ela:
        np.multiply(error_levels(pixels).transpose(2, 0, 1), scale, out=channels[3:])
    return channels


def error_levels(pixels: Pixels) -> Pixels:
    """How far each pixel is from what a JPEG of quality 95 makes of it, times 10, 255 at most.

    Neal Krawetz, "A picture's worth: digital image analysis and forensics" (2007). The chroma is
    subsampled 4:2:0, as most programs do.

    Args:
        pixels: uint8 (H, W, 3), RGB, at most 65,500 on a side.

    Raises:
        ValueError: too large for a JPEG.
    """
    import cv2
    import simplejpeg

    encoded = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=_ELA_QUALITY, colorspace="RGB", colorsubsampling="420"
    )
    again = simplejpeg.decode_jpeg(encoded, colorspace="RGB")
    difference = cv2.absdiff(np.ascontiguousarray(pixels), again)
    levels = cv2.convertScaleAbs(difference, alpha=_ELA_GAIN)  # saturates
    return np.asarray(levels, np.uint8)


def to_input(
    pixels: Pixels,
    preprocess: Preprocess,
    multiple: int,
    fixed: tuple[int, int] | None = None,
) -> Prepared:
    """The whole picture at the size of the view ``resize``, padded.

    Args:
        pixels: uint8 (H, W, 3), RGB, any size of 1 x 1 or more.
        preprocess: its `size` and `ela` count here.
        multiple: height and width of the array are multiples of this.
        fixed: (h, w) where the network takes one size only; then the picture is fitted into it,
            whatever `preprocess.size` is.
    """
    shape = view_shape(pixels.shape[:2], fixed or (preprocess.size, preprocess.size))
    frame = fixed or (_up(shape[0], multiple), _up(shape[1], multiple))
    return Prepared(channels_of(padded(resized(pixels, shape), frame), preprocess.ela), shape)


def view_shape(shape: tuple[int, ...], frame: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of a picture fitted into a frame, each 1 or more.

    Args:
        shape: (H, W) of the picture.
        frame: (h, w) that neither side may exceed.
    """
    scale = min(frame[0] / shape[0], frame[1] / shape[1], MOST_ENLARGED)
    height, width = (
        min(max(1, round(side * scale)), limit)
        for side, limit in zip(shape[:2], frame, strict=True)
    )
    return height, width


def resized(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    """A picture at another size: area averages where it shrinks, bilinear where it grows.

    Args:
        pixels: uint8 (H, W, 3).
        shape: (h, w).
    """
    import cv2

    if pixels.shape[:2] == shape:
        return pixels
    shrinks = shape[0] * shape[1] < pixels.shape[0] * pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (shape[1], shape[0]), interpolation=how), np.uint8)


def padded(pixels: Pixels, frame: tuple[int, int]) -> Pixels:
    """A picture with its last row and column repeated until it fills a frame.

    Args:
        pixels: uint8 (H, W, 3), in neither side larger than the frame.
        frame: (h, w).
    """
    import cv2

    height, width = pixels.shape[:2]
    if (height, width) == frame:
        return pixels
    more = cv2.copyMakeBorder(
        pixels, 0, frame[0] - height, 0, frame[1] - width, cv2.BORDER_REPLICATE
    )
    return np.asarray(more, np.uint8)


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
