"""Compare an image with its own warp, densely, inside a window."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.settings import MatchSettings
from kernels.affine_map import mark_outside
from kernels.local_correlation import local_correlation as box_correlation

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open rectangle of pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def grown(self, by: int, shape: tuple[int, int]) -> Window:
        """The window with a margin of `by` pixels, cut at an image of the given (H, W)."""
        return Window(
            max(0, self.left - by),
            max(0, self.top - by),
            min(shape[1], self.right + by),
            min(shape[0], self.bottom + by),
        )

    def within(self, bounds: Window) -> Window:
        """The part of the window that lies in another."""
        return Window(
            max(self.left, bounds.left),
            max(self.top, bounds.top),
            min(self.right, bounds.right),
            min(self.bottom, bounds.bottom),
        )

    def cut(self, image: FloatImage) -> FloatImage:
        """The part of an image inside the window (a view)."""
        return image[self.top : self.bottom, self.left : self.right]

    def shifted(self, affine: Affine) -> Affine:
        """The map seen from the window's own corner: window pixels to image pixels."""
        moved = affine.copy()
        moved[:, 2] += affine[:, 0] * self.left + affine[:, 1] * self.top
        return moved


def warp_into(image: FloatImage, affine: Affine, window: Window) -> FloatImage:
    """What `affine` says stands at each pixel of a window: image[affine @ (x, y, 1)], bilinear.

    Pixels whose content lies outside the image, by more than half a pixel, are NaN.
    """
    moved = window.shifted(affine)
    warped: FloatImage = np.asarray(
        cv2.warpAffine(
            image,
            moved,
            (window.width, window.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.float32,
    )
    # A border of NaN would do the same, but takes the image's last row and column with it.
    corners = np.array([(x, y) for x in (0, window.width - 1) for y in (0, window.height - 1)])
    landed = corners @ moved[:, :2].T + moved[:, 2]
    bound = np.array([image.shape[1], image.shape[0]]) - 0.5
    if not ((landed >= -0.5) & (landed <= bound)).all():
        mark_outside(warped, np.ascontiguousarray(moved), (image.shape[0], image.shape[1]))
    return warped


@dataclass(frozen=True, slots=True)
class Placed:
    """A mask that knows where in the image it lies.

    Attributes:
        window: its place.
        mask: bool (window.height, window.width).
    """

    window: Window
    mask: Mask

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    def on(self, shape: tuple[int, int]) -> Mask:
        """The mask on the whole image, bool (H, W)."""
        full = np.zeros(shape, bool)
        window = self.window
        full[window.top : window.bottom, window.left : window.right] = self.mask
        return full

    def into(self, window: Window) -> Mask:
        """The mask as seen in another window, bool (window.height, window.width)."""
        seen = np.zeros((window.height, window.width), bool)
        left, top = max(window.left, self.window.left), max(window.top, self.window.top)
        right = min(window.right, self.window.right)
        bottom = min(window.bottom, self.window.bottom)
        if left < right and top < bottom:
            seen[
                top - window.top : bottom - window.top, left - window.left : right - window.left
            ] = self.mask[
                top - self.window.top : bottom - self.window.top,
                left - self.window.left : right - self.window.left,
            ]
        return seen

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the points (x, y), float64 (n, 2), lie on the mask."""
        column = np.rint(points[:, 0]).astype(np.int64) - self.window.left
        row = np.rint(points[:, 1]).astype(np.int64) - self.window.top
        held = (row >= 0) & (row < self.window.height)
        held &= (column >= 0) & (column < self.window.width)
        held[held] = self.mask[row[held], column[held]]
        return held


def warp_mask(placed: Placed, affine: Affine, shape: tuple[int, int]) -> Placed:
    """Where a mask lands under a map, cut at an image of shape (H, W)."""
    window = placed.window
    corners = np.array(
        [(x, y) for x in (window.left, window.right) for y in (window.top, window.bottom)]
    )
    landed = corners @ affine[:, :2].T + affine[:, 2]
    low = np.floor(landed.min(0)).astype(int) - 1
    high = np.ceil(landed.max(0)).astype(int) + 2
    target = Window(
        min(max(0, int(low[0])), shape[1] - 1),
        min(max(0, int(low[1])), shape[0] - 1),
        max(min(shape[1], int(high[0])), 1),
        max(min(shape[0], int(high[1])), 1),
    )
    local = window.shifted(affine)
    local[:, 2] -= (target.left, target.top)
    warped = cv2.warpAffine(
        placed.mask.astype(np.float32),
        local,
        (max(target.width, 1), max(target.height, 1)),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    target = Window(
        target.left,
        target.top,
        target.left + int(warped.shape[1]),
        target.top + int(warped.shape[0]),
    )
    return Placed(target, np.asarray(warped > 0.5))


def cover(first: Placed, second: Placed, settings: MatchSettings) -> bool:
    """Whether two masks share so much of the smaller that they are one region."""
    shared = int(np.count_nonzero(first.mask & second.into(first.window)))
    return shared > settings.same_region * min(first.area, second.area)


def local_correlation(first: FloatImage, second: FloatImage, side: int) -> FloatImage:
    """Normalised correlation of two images in a box of `side` pixels around every pixel.

    float32, same shape; -1 where one of them is flat or NaN inside the box.
    """
    return box_correlation(first, second, side)


def correlation_inside(first: FloatImage, second: FloatImage, inside: Mask) -> float:
    """Normalised correlation of two images over the pixels of a mask; 0 where undefined."""
    p = first[inside].astype(np.float64)
    q = second[inside].astype(np.float64)
    known = np.isfinite(q)
    p, q = p[known], q[known]
    if p.size < 8:
        return 0.0
    p -= p.mean()
    q -= q.mean()
    scale = float(np.sqrt((p * p).sum() * (q * q).sum()))
    return float((p * q).sum() / scale) if scale > 1e-9 else 0.0


def view(bands: Bands, name: str, affine: Affine, window: Window) -> tuple[FloatImage, FloatImage]:
    """One band inside a window, and what the map says stands there."""
    image: FloatImage = getattr(bands, name)
    return np.ascontiguousarray(window.cut(image)), warp_into(image, affine, window)
