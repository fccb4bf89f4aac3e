"""A forged image beside its authentic twin and its truth."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.report import marks
from forgecli.report.legend import color_of
from forgecli.report.marks import Image

SIDE = 640
"""Long side of a panel in pixels."""

_MOST_ENLARGED = 3


def panel(pixels: Image, side: int = SIDE) -> Image:
    """A picture at the size of a panel: reduced to fit, or enlarged by a whole number.

    Args:
        pixels: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (h, w, 3), neither longer than `side`. Another array in any case.
    """
    height, width = _fitting(pixels.shape[:2], side)
    times = min(height // pixels.shape[0], width // pixels.shape[1])
    if times:
        return np.repeat(np.repeat(pixels, times, axis=0), times, axis=1)
    reduced = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.uint8)


def outlined(pixels: Image, instances: NDArray[np.uint8], side: int = SIDE) -> Image:
    """A panel with every instance of the truth outlined in a colour of its own.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        instances: uint8 (N, H, W), nonzero inside.
    """
    drawn = panel(pixels, side)
    width = max(2, round(max(drawn.shape) / 250))
    masks = [_mask_of(instance, drawn.shape[:2]) for instance in instances]
    for number, mask in enumerate(masks):
        marks.outline(drawn, mask, (0, 0), color_of(number), width)
    for number, mask in enumerate(masks):  # over all outlines, to hide nothing
        content = panel(pixels, side)
        marks.fill(drawn, mask, content, color_of(number))
    return drawn


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    height, width = shape
    long = max(height, width)
    if long <= side:
        times = min(_MOST_ENLARGED, max(1, side // long))
        return height * times, width * times
    scale = side / long
    return max(1, math.floor(height * scale)), max(1, math.floor(width * scale))


def _mask_of(instance: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mask at the size of a panel. What is smaller than a pixel there still shows."""
    height, width = shape
    binary = (instance > 0).view(np.uint8)
    times = min(height // binary.shape[0], width // binary.shape[1])
    if times:
        return np.repeat(np.repeat(binary, times, axis=0), times, axis=1)
    if not binary.any():
        return np.zeros((height, width), np.uint8)
    share = cv2.resize(binary.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    covered = share >= min(0.5, float(share.max()))
    return np.asarray(covered, np.uint8)
