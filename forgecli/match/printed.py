"""What tells print from a photograph: few even levels, edges climbed at once, and nothing between.

Words, hatches and marks are drawn on photographs and films in any colour, and repeat; where they
were not found as drawings, their own statistics say what they are.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.annotations import range_of
from forgecli.match.bands import FloatImage

_LEVEL = 0.06
"""Half of the width of a level, in contrasts of the region; two grey levels at least."""
_APART = 0.35
"""Contrasts between the two levels, at least."""
_QUIET = 0.08
"""Of the contrast: a range in 3 x 3 pixels under it is no edge."""


class Print(NamedTuple):
    """How much like print a region is.

    Attributes:
        plateau: share of the pixels at one of the two commonest levels.
        crisp: range in 3 x 3 pixels at the steepest twentieth, in contrasts of the region.
        quiet: share of the pixels with hardly any range in 3 x 3 pixels.
    """

    plateau: float
    crisp: float
    quiet: float


def print_of(grey: FloatImage, inside: Mask) -> Print:
    """Statistics of a region.

    The contrast is what lies between the twentieths of the darkest and the brightest pixels, one
    grey level at least.

    Args:
        grey: float32 (h, w), whole levels from 0 to 255, the region and a pixel around it.
        inside: bool (h, w), of at least one pixel.
    """
    levels = np.asarray(cv2.convertScaleAbs(grey), np.uint8)
    counts = np.bincount(levels[inside], minlength=256)
    low, high = _quantile(counts, 0.05), _quantile(counts, 0.95)
    contrast = max(high - low, 1)
    half = max(2, round(_LEVEL * contrast))
    near = np.convolve(counts, np.ones(2 * half + 1, np.int64), "same")
    first = int(near.argmax())
    apart = np.abs(np.arange(256) - first) > max(_APART * contrast, 2 * half)
    second = int(near[apart].max(initial=0))
    steps = np.bincount(range_of(levels, 3)[inside], minlength=256)
    area = int(counts.sum())
    return Print(
        plateau=(int(near[first]) + second) / area,
        crisp=_quantile(steps, 0.95) / contrast,
        quiet=int(steps[np.arange(256) < _QUIET * contrast].sum()) / area,
    )


def _quantile(counts: NDArray[np.int64], share: float) -> int:
    """The lowest level up to which such a share of the pixels lies."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, share * below[-1]))
