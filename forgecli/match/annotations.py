"""What is drawn and not photographed: text, axes, scale bars, legends, diagrams, empty ground.

Drawings repeat by nature, and exactly, so they never count as evidence.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage
from forgecli.match.settings import MatchSettings

Levels = NDArray[np.uint8]
"""uint8 (H, W): grey levels, or ranges of them."""


def levels_of(grey: FloatImage) -> Levels:
    """A grey image, float32 (H, W), rounded to whole levels from 0 to 255."""
    return np.asarray(cv2.convertScaleAbs(grey), np.uint8)


def range_of(grey: Levels, side: int) -> Levels:
    """The range of grey levels in a box of `side` pixels around every pixel, uint8 (H, W)."""
    box = np.ones((side, side), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(grey, box), cv2.erode(grey, box)), np.uint8)


def drawn(grey: FloatImage, settings: MatchSettings) -> Mask:
    """Pixels of drawings, bool (H, W).

    Args:
        grey: float32 (H, W), 0 to 255.
    """
    levels = levels_of(grey)
    return marks_of(levels, range_of(levels, 3), settings)


def marks_of(grey: Levels, step: Levels, settings: MatchSettings) -> Mask:
    """Pixels of drawings, bool (H, W).

    Around a drawn line or letter most pixels equal their neighbours, and its edge is a pixel or two
    wide; a cell or a band has a soft edge, and texture or noise beside it.

    Args:
        grey: uint8 (H, W).
        step: uint8 (H, W), range of grey levels in 3 x 3 pixels.
    """
    side = settings.drawing_window
    span = range_of(grey, side)
    steepest = cv2.dilate(step, np.ones((side, side), np.uint8))
    quiet = cv2.inRange(step, 0, int(settings.drawing_ripple))
    quiet_share = cv2.boxFilter(quiet, cv2.CV_8U, (side, side))
    least = cv2.convertScaleAbs(span, alpha=settings.drawing_steepness)
    marks = (
        (span > settings.drawing_contrast)
        & (steepest > least)
        & (quiet_share > round(255 * settings.drawing_quiet))
    )
    return np.asarray(marks | overlaid(grey, step, settings))


def overlaid(grey: Levels, step: Levels, settings: MatchSettings) -> Mask:
    """Letters, arrows and bars drawn in black or white on a photograph, bool (H, W).

    They are flat, at an end of the scale, small, and steep all around.

    Args:
        grey: uint8 (H, W).
        step: uint8 (H, W), range of grey levels in 3 x 3 pixels.
    """
    marks = np.zeros(grey.shape, np.uint8)
    largest = settings.annotation_share * grey.size
    for ends in (cv2.inRange(grey, 250, 255), cv2.inRange(grey, 0, 5)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(ends, connectivity=8)
        if count < 2:
            continue
        rows, columns = np.nonzero(cv2.bitwise_and(ends, cv2.inRange(step, 1, 255)))
        label = labels[rows, columns]
        steps = np.bincount(label, weights=step[rows, columns], minlength=count)
        rims = np.maximum(np.bincount(label, minlength=count), 1)
        area = stats[:, cv2.CC_STAT_AREA]
        is_mark = (area >= 12) & (area <= largest) & (steps / rims > settings.drawing_contrast)
        is_mark[0] = False
        if is_mark.any():
            marks |= is_mark[labels]
    return np.asarray(cv2.dilate(marks, np.ones((7, 7), np.uint8)) > 0)


def empty(grey: FloatImage, settings: MatchSettings) -> Mask:
    """Pixels whose whole neighbourhood has one grey level, bool (H, W)."""
    return blank_of(levels_of(grey))


def blank_of(grey: Levels) -> Mask:
    """Pixels whose neighbourhood of 9 x 9 has one grey level, uint8 (H, W) to bool (H, W)."""
    return np.asarray(range_of(grey, 9) <= 1)
