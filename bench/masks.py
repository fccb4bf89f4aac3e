"""Masks to bench with: few large regions as a detector finds them, and noise as the worst case."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MASKS = ("blobs 5 %", "noise 10 %")
"""Names for `mask`."""

SIDES = (1024, 4096)
"""Pixels: the masks are square."""


def mask(name: str, side: int) -> NDArray[np.uint8]:
    """A mask of 0 and 1, uint8 (side, side), the same one on every call."""
    random = np.random.default_rng(side)
    if name == "noise 10 %":
        return (random.random((side, side)) < 0.1).astype(np.uint8)
    drawn = np.zeros((side, side), np.uint8)
    while np.count_nonzero(drawn) < 0.05 * drawn.size:
        x, y = random.integers(0, side, 2)
        axes = random.integers(side // 200, side // 25, 2)
        angle = float(random.uniform(0, 180))
        cv2.ellipse(
            drawn, (int(x), int(y)), (int(axes[0]), int(axes[1])), angle, 0, 360, (1,), cv2.FILLED
        )
    return drawn
