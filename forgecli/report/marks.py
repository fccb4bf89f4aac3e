"""Marks on a picture: outlines, tags, lines between copies. All keep a dark halo, so that they are
seen on any ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]
Image = NDArray[np.uint8]

PALETTE: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
    (0, 158, 115),
    (213, 94, 0),
)
"""RGB, told apart by colour-blind people (Okabe and Ito, 2008), the lightest first."""

HALO: Color = (16, 16, 16)
_FILL = 0.16
_SHIFT = 4  # OpenCV draws at fractions of a pixel in fixed point with this many bits
_FONT = cv2.FONT_HERSHEY_DUPLEX


def fill(image: Image, mask: Image, content: Image, color: Color) -> None:
    """Put content where a mask is, tinted lightly enough to see what it is.

    Args:
        image: uint8 (h, w, 3), changed in place.
        mask: uint8 (h, w), 0 or 1.
        content: uint8 (h, w, 3).
    """
    inside = mask.view(np.bool_)
    blended = content[inside] * (1 - _FILL) + np.array(color) * _FILL
    image[inside] = np.round(blended).astype(np.uint8)


def outline(image: Image, mask: Image, corner: tuple[int, int], color: Color, width: int) -> None:
    """Draw a line just outside a region, and inside its holes.

    Args:
        image: uint8 (H, W, 3), changed in place.
        mask: uint8 (h, w), nonzero inside: a window of the image.
        corner: (x, y) of the window's top left pixel in the image.
        width: of the line in pixels; the halo adds half of it on either side.
    """
    reach = width // 2 + _rim(width) + 1
    padded = cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    contours, _ = cv2.findContours(
        cv2.dilate(padded, disc),
        cv2.RETR_CCOMP,
        cv2.CHAIN_APPROX_TC89_L1,
        offset=(corner[0] - reach, corner[1] - reach),
    )
    cv2.drawContours(image, contours, -1, HALO, width + 2 * _rim(width), cv2.LINE_AA)
    cv2.drawContours(image, contours, -1, color, width, cv2.LINE_AA)


def join(
    image: Image, ends: Sequence[tuple[Sequence[float], Sequence[float]]], color: Color, width: int
) -> None:
    """Draw lines with a dot at either end.

    Args:
        image: uint8 (H, W, 3), changed in place.
        ends: pairs of points (x, y).
        width: of the line in pixels.
    """
    fixed = [(_fixed(first), _fixed(second)) for first, second in ends]
    radius = (2 * width) << _SHIFT
    for ink, extra in ((HALO, _rim(width)), (color, 0)):
        for first, second in fixed:
            cv2.line(image, first, second, ink, width + 2 * extra, cv2.LINE_AA, _SHIFT)
        for point in (point for pair in fixed for point in pair):
            cv2.circle(image, point, radius + (extra << _SHIFT), ink, -1, cv2.LINE_AA, _SHIFT)


def mirror_sign(image: Image, center: Sequence[float], color: Color, size: float) -> None:
    """Draw two triangles that face each other across a bar: the content is turned over.

    Args:
        image: uint8 (H, W, 3), changed in place.
        center: (x, y) of the bar.
        size: half the width of the sign in pixels.
    """
    x, y = center
    sides = [
        np.array([[x + s * 0.25 * size, y], [x + s * size, y - 0.7 * size],
                  [x + s * size, y + 0.7 * size]])
        for s in (-1, 1)
    ]  # fmt: skip
    bar = (_fixed((x, y - size)), _fixed((x, y + size)))
    thin = max(1, round(size / 6))
    cv2.circle(
        image, _fixed(center), int(1.5 * size * (1 << _SHIFT)), HALO, -1, cv2.LINE_AA, _SHIFT
    )
    for side in sides:
        points = np.round(side * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(image, [points], color, cv2.LINE_AA, _SHIFT)
    cv2.line(image, *bar, color, thin, cv2.LINE_AA, _SHIFT)


def text_size(text: str, height: int) -> tuple[int, int]:
    """Width in pixels of a line of text, and pixels it reaches below its base line.

    Args:
        height: of a capital letter in pixels.
    """
    scale, thickness = _text_style(height)
    (width, _), base = cv2.getTextSize(text, _FONT, scale, thickness)
    return width, base


def write(image: Image, text: str, at: tuple[int, int], color: Color, height: int) -> None:
    """Write a line of ASCII text.

    Args:
        image: uint8 (H, W, 3), changed in place.
        at: (x, y) of the left end of the base line.
        height: of a capital letter in pixels.
    """
    scale, thickness = _text_style(height)
    cv2.putText(image, text, at, _FONT, scale, color, thickness, cv2.LINE_AA)


def tag_size(text: str, height: int) -> tuple[int, int]:
    """Width and height in pixels of the box that `tag` draws."""
    return text_size(text, height)[0] + height, 2 * height


def tag(image: Image, text: str, corner: tuple[int, int], color: Color, height: int) -> None:
    """Write text in a box of the colour.

    Args:
        image: uint8 (H, W, 3), changed in place.
        corner: (x, y) of the top left pixel of the box.
        height: of a capital letter in pixels.
    """
    x, y = corner
    wide, high = tag_size(text, height)
    rim = max(1, height // 10)
    cv2.rectangle(image, (x - rim, y - rim), (x + wide - 1 + rim, y + high - 1 + rim), HALO, -1)
    cv2.rectangle(image, (x, y), (x + wide - 1, y + high - 1), color, -1)
    write(image, text, (x + height // 2, y + (3 * height) // 2), ink_on(color), height)


def ink_on(color: Color) -> Color:
    """Black or white, whichever is read more easily on the colour."""
    luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    return HALO if luminance > 110 else (255, 255, 255)


def _text_style(height: int) -> tuple[float, int]:
    (_, tall), _ = cv2.getTextSize("H", _FONT, 1.0, 1)
    return height / tall, max(1, round(height / 20))


def _rim(width: int) -> int:
    return max(1, width // 2)


def _fixed(point: Sequence[float]) -> Any:
    return tuple(round(float(value) * (1 << _SHIFT)) for value in point)
