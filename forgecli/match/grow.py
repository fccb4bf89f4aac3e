"""From a local match to the region that really repeats: grow, fit again, outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import (
    Mask,
    Placed,
    Window,
    local_correlation,
    view,
)
from forgecli.match.bands import Bands
from forgecli.match.fit import fit_map
from forgecli.match.settings import MatchSettings

_CROSS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class CopiedRegion:
    """A region of the image, and the map under which its content stands elsewhere too.

    Attributes:
        first: the region.
        affine: maps it onto its copy, float64 (2, 3).
    """

    first: Placed
    affine: Affine


def grow(
    bands: Bands, affine: Affine, seeds: NDArray[np.float64], settings: MatchSettings
) -> CopiedRegion | None:
    """Grow a region from points that a map is known to hold at.

    Args:
        bands: the image.
        affine: float64 (2, 3), the map from the region to its copy.
        seeds: float64 (n, 2), points (x, y) of the region.
        settings: thresholds.

    Returns:
        The connected region around the seeds in which the image agrees with its warp, with the
        map fitted to all of it; None where nothing agrees.
    """
    height, width = bands.shape
    low = np.floor(seeds.min(0)).astype(int)
    high = np.ceil(seeds.max(0)).astype(int) + 1
    margin = settings.grow_margin
    window = Window(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    window = window.grown(margin, (height, width))
    touched = _paint_seeds(seeds, window)
    affine = affine.copy()
    for _ in range(settings.grow_rounds):
        found = _agreeing(bands, affine, window, touched, settings)
        if found is None:
            return None
        mask = found
        fitted = _fit(bands, affine, window, mask, settings)
        moved = _largest_move(affine, fitted, window, mask)
        affine = fitted
        reaches = _touches_border(mask, window, (height, width))
        if not reaches and moved < 0.1:
            break
        before = window
        if reaches:
            window = window.grown(max(margin, max(window.width, window.height) // 2), bands.shape)
        touched = Placed(before, mask).into(window)
    found = _agreeing(bands, affine, window, touched, settings)
    if found is None:
        return None
    return CopiedRegion(Placed(window, found), affine)


def _paint_seeds(seeds: NDArray[np.float64], window: Window) -> Mask:
    painted = np.zeros((window.height, window.width), np.uint8)
    for x, y in seeds:
        cv2.circle(painted, (round(x - window.left), round(y - window.top)), 4, 1, -1)
    return painted.astype(bool)


def _touches_border(mask: Mask, window: Window, shape: tuple[int, int]) -> bool:
    """Whether the region reaches a side of the window that is not a side of the image."""
    return bool(
        (window.top > 0 and mask[:2].any())
        or (window.bottom < shape[0] and mask[-2:].any())
        or (window.left > 0 and mask[:, :2].any())
        or (window.right < shape[1] and mask[:, -2:].any())
    )


def _agreeing(
    bands: Bands, affine: Affine, window: Window, touched: Mask, settings: MatchSettings
) -> Mask | None:
    """Pixels that agree, with hysteresis, connected to pixels already known to."""
    here, there = view(bands, "smooth", affine, window)
    correlation = local_correlation(here, there, settings.correlation_side)
    weak = (correlation > settings.weak_correlation) & far_enough(affine, window, settings)
    weak_pixels = cv2.morphologyEx(weak.astype(np.uint8), cv2.MORPH_OPEN, _CROSS)
    count, labels = cv2.connectedComponents(weak_pixels, connectivity=4)
    if count < 2:
        return None
    strong = correlation > settings.strong_correlation
    keep = np.zeros(count, bool)
    keep[np.unique(labels[touched & strong])] = True
    keep[0] = False
    mask: Mask = keep[labels]
    return mask if mask.any() else None


def far_enough(affine: Affine, window: Window, settings: MatchSettings) -> Mask:
    """Pixels that the map moves far enough not to be compared with themselves."""
    x = np.arange(window.left, window.right, dtype=np.float64)
    y = np.arange(window.top, window.bottom, dtype=np.float64)[:, None]
    dx = (affine[0, 0] - 1) * x + affine[0, 1] * y + affine[0, 2]
    dy = affine[1, 0] * x + (affine[1, 1] - 1) * y + affine[1, 2]
    return np.asarray(dx * dx + dy * dy >= settings.min_distance**2)


def _fit(
    bands: Bands, affine: Affine, window: Window, mask: Mask, settings: MatchSettings
) -> Affine:
    """Fit the map to the whole region but its rim, which may have grown over the copy's edge."""
    size = settings.correlation_side
    inner = cv2.erode(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    if np.count_nonzero(inner) < settings.min_fit_area:
        return affine
    ys, xs = np.nonzero(inner)
    rows = slice(int(ys.min()), int(ys.max()) + 1)
    columns = slice(int(xs.min()), int(xs.max()) + 1)
    box = Window(
        window.left + columns.start,
        window.top + rows.start,
        window.left + columns.stop,
        window.top + rows.stop,
    )
    fitted = fit_map(bands.smooth, affine, box, inner[rows, columns], steps=settings.fit_steps)
    if fitted is None or _largest_move(affine, fitted, window, mask) > settings.fit_reach:
        return affine
    return fitted


def _largest_move(old: Affine, new: Affine, window: Window, mask: Mask) -> float:
    """How far two maps differ at the corners of a region's box, in pixels."""
    ys, xs = np.nonzero(mask)
    if xs.size == 0:
        return 0.0
    difference = new - old
    worst = 0.0
    for x in (xs.min() + window.left, xs.max() + window.left):
        for y in (ys.min() + window.top, ys.max() + window.top):
            worst = max(worst, float(np.hypot(*(difference @ (x, y, 1.0)))))
    return worst
