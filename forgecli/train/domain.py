"""What kind of picture it is, told cheaply from its look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIDE = 48
_GREY = 4.0
_DARK, _LIGHT = 64.0, 192.0


def domain_of(pixels: NDArray[np.uint8]) -> str:
    """One of ``grey`` and ``colour`` with one of ``dark``, ``middle`` and ``light``.

    Fluorescence is dark, stained tissue is colourful and light, blots are grey and light, and
    electron microscopy is grey and of middle brightness, mostly. It serves to spread kinds of
    pictures over the sides of a split; a user's own column `domain` is better.

    Args:
        pixels: uint8 (H, W, 3), RGB.
    """
    import cv2

    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    chroma = float((small.max(axis=2) - small.min(axis=2)).mean())
    level = float(np.median(small.mean(axis=2)))
    brightness = "dark" if level < _DARK else "light" if level >= _LIGHT else "middle"
    return f"{'grey' if chroma < _GREY else 'colour'} {brightness}"
