"""What is drawn and not photographed: text, axes, scale bars, legends, diagrams, empty ground.

Drawings repeat by nature, and exactly, so they never count as evidence.
"""

from __future__ import annotations

import cv2
import numpy as np

from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage
from forgecli.match.settings import MatchSettings


def drawn(grey: FloatImage, settings: MatchSettings) -> Mask:
    """Pixels of drawings, bool (H, W).

    Around a drawn line or letter most pixels equal their neighbours, and its edge is a pixel or two
    wide; a cell or a band has a soft edge, and texture or noise beside it.

    Args:
        grey: float32 (H, W), 0 to 255.
    """
    side = settings.drawing_window
    box = np.ones((side, side), np.uint8)
    span = cv2.dilate(grey, box) - cv2.erode(grey, box)
    small = np.ones((3, 3), np.uint8)
    step = cv2.dilate(grey, small) - cv2.erode(grey, small)
    quiet = (step <= settings.drawing_ripple).astype(np.float32)
    quiet_share = cv2.boxFilter(quiet, cv2.CV_32F, (side, side))
    steepest = cv2.dilate(step, box)
    marks = (
        (span > settings.drawing_contrast)
        & (steepest > settings.drawing_steepness * span)
        & (quiet_share > settings.drawing_quiet)
    )
    return np.asarray(marks | overlaid(grey, step, settings))


def overlaid(grey: FloatImage, step: FloatImage, settings: MatchSettings) -> Mask:
    """Letters, arrows and bars drawn in black or white on a photograph, bool (H, W).

    They are flat, at an end of the scale, small, and steep all around.

    Args:
        grey: float32 (H, W).
        step: float32 (H, W), range of grey levels in 3 x 3 pixels.
    """
    marks = np.zeros(grey.shape, np.uint8)
    largest = settings.annotation_share * grey.size
    for ends in (grey >= 250, grey <= 5):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            ends.astype(np.uint8), connectivity=8
        )
        if count < 2:
            continue
        rim = ends & (step > 0)
        steps = np.bincount(labels[rim], weights=step[rim], minlength=count)
        rims = np.maximum(np.bincount(labels[rim], minlength=count), 1)
        area = stats[:, cv2.CC_STAT_AREA]
        drawn_ = (area >= 12) & (area <= largest) & (steps / rims > settings.drawing_contrast)
        drawn_[0] = False
        marks |= drawn_[labels]
    return cv2.dilate(marks, np.ones((7, 7), np.uint8)) > 0


def empty(grey: FloatImage, settings: MatchSettings) -> Mask:
    """Pixels whose whole neighbourhood has one grey level, bool (H, W)."""
    box = np.ones((9, 9), np.uint8)
    return np.asarray(cv2.dilate(grey, box) - cv2.erode(grey, box) <= 1.0)
