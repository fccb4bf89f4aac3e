"""Two pictures side by side: regions of the left one, and their copies in the right one.

What stands between the two is no part of either, so statistics must not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Window
from forgecli.match.bands import FloatImage

View = tuple[FloatImage, FloatImage]
"""What a map says stands in a window, and its correlation with what does; float32 (h, w)."""


@dataclass(frozen=True, slots=True)
class Seam:
    """The columns between two pictures of one size.

    The last of them repeats the first of the right picture, since places up to half a pixel beyond
    a picture count as in it.

    Attributes:
        begins: the first column, which is the width of a picture.
        ends: the first of the right picture.
    """

    begins: int
    ends: int

    def unknown(self, window: Window, affine: Affine, beyond: float = -0.5) -> Mask:
        """Which pixels of a window have their copy outside of the right picture on its left.

        Args:
            window: in the left picture.
            affine: from the left picture to the right one.
            beyond: how far right of the centres of its first column the picture begins.

        Returns:
            bool (h, w).
        """
        moved = window.shifted(affine)
        x = moved[0, 0] * np.arange(window.width) + moved[0, 2]
        down = moved[0, 1] * np.arange(window.height)
        return np.asarray(x + down[:, None] < self.ends + beyond)

    def without(
        self,
        views: Sequence[View],
        windows: Sequence[Window],
        affines: NDArray[np.float64],
        side: int,
    ) -> list[View]:
        """Views as they are where what is seen of the seam is not known.

        Args:
            views: of the windows.
            windows: in the left picture.
            affines: float64 (n, 2, 3), of each.
            side: of the box of a correlation; odd.
        """
        box = np.ones((side, side), np.uint8)
        found = []
        for (there, correlation), window, affine in zip(views, windows, affines, strict=True):
            unknown = self.unknown(window, affine)
            touched = cv2.dilate(unknown.astype(np.uint8), box) > 0
            seen: FloatImage = np.where(unknown, np.float32(np.nan), there)
            agreed: FloatImage = np.where(touched, np.float32(-1), correlation)
            found.append((seen, agreed))
        return found
