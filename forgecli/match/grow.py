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
from forgecli.match.proposals import Matches
from forgecli.match.settings import MatchSettings
from kernels.affine_map import moved_at_least
from kernels.support import explained

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
    bands: Bands,
    affine: Affine,
    seeds: NDArray[np.float64],
    settings: MatchSettings,
    *,
    matches: Matches | None = None,
    usable: Mask | None = None,
) -> CopiedRegion | None:
    """Grow a region from points that a map is known to hold at.

    Args:
        bands: the image.
        affine: float64 (2, 3), the map from the region to its copy.
        seeds: float64 (n, 2), points (x, y) of the region.
        settings: thresholds.
        matches: float64 (m, 8), further local matches. Those near the region that its map explains
            are seeds too, so that a copy which agrees in pieces only (after strong JPEG, or with
            empty ground between its objects) is found whole.
        usable: bool (H, W), what may be evidence. A region that lies mostly on other ground after
            the first round is given up: it would not become evidence later.

    Returns:
        The region in which the image agrees with its warp, connected to the seeds, with the map
        fitted to all of it; None where nothing agrees.
    """
    window = _around(seeds, settings.grow_margin, bands.shape)
    touched = _paint_seeds(seeds, window)
    affine = affine.copy()
    mask: Mask | None = None
    asked = np.empty((0, 8)) if matches is None else np.ascontiguousarray(matches)
    for turn in range(settings.grow_rounds):
        mask = _agreeing(bands, affine, window, touched, settings)
        if mask is None or (
            turn == 0 and usable is not None and _share(usable, window, mask) < settings.early_share
        ):
            return None
        fitted = _fit(bands, affine, window, mask, settings)
        moved = _largest_move(affine, fitted, _box(window, mask))
        affine = fitted
        before, reaches = window, _touches_border(mask, window, bands.shape)
        if reaches:
            side = max(window.width, window.height)
            window = window.grown(max(settings.grow_margin, side // 2), bands.shape)
        near = _company(asked, affine, Placed(before, mask), window, settings)
        points = asked[near, :2]
        if len(near):
            asked = np.delete(asked, near, axis=0)
            window = _joined(window, _around(points, settings.grow_margin, bands.shape))
        if window == before and moved < settings.grow_still and not len(near):
            return CopiedRegion(Placed(window, mask), affine)
        touched = Placed(before, mask).into(window) | _paint_seeds(points, window)
    mask = _agreeing(bands, affine, window, touched, settings)
    return None if mask is None else CopiedRegion(Placed(window, mask), affine)


def _around(points: NDArray[np.float64], margin: int, shape: tuple[int, int]) -> Window:
    low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int) + 1
    tight = Window(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    return tight.grown(margin, shape)


def _joined(a: Window, b: Window) -> Window:
    return Window(
        min(a.left, b.left), min(a.top, b.top), max(a.right, b.right), max(a.bottom, b.bottom)
    )


def _share(usable: Mask, window: Window, mask: Mask) -> float:
    """The share of a mask that may be evidence."""
    return float(usable[window.top : window.bottom, window.left : window.right][mask].mean())


def _company(
    matches: Matches,
    affine: Affine,
    region: Placed,
    window: Window,
    settings: MatchSettings,
) -> NDArray[np.int64]:
    """Indices of matches beside a region that its map explains."""
    reach = max(settings.grow_margin, max(region.window.width, region.window.height) // 2)
    around = window.left - reach, window.top - reach, window.right + reach, window.bottom + reach
    near = explained(matches, affine, around, settings.support_tolerance)
    # A map that undoes itself, such as a mirror's, holds from the copy back to the region too.
    return near[~(region.holds(matches[near, :2]) | region.holds(matches[near, 2:4]))]


def _paint_seeds(seeds: NDArray[np.float64], window: Window) -> Mask:
    painted = np.zeros((window.height, window.width), np.uint8)
    for x, y in seeds:  # cut at the window by OpenCV
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
    keep[labels[touched & strong]] = True
    keep[0] = False
    return np.asarray(keep[labels]) if keep.any() else None


def far_enough(affine: Affine, window: Window, settings: MatchSettings) -> Mask:
    """Pixels that the map moves far enough not to be compared with themselves."""
    seen = window.shifted(affine)
    seen[:, 2] -= (window.left, window.top)
    shape = (window.height, window.width)
    return moved_at_least(np.ascontiguousarray(seen), shape, settings.min_distance)


def _fit(
    bands: Bands, affine: Affine, window: Window, mask: Mask, settings: MatchSettings
) -> Affine:
    """Fit the map to the whole region but its rim, which may have grown over the copy's edge."""
    box = _box(window, mask)
    size = settings.correlation_side
    around = box.grown(size, bands.shape).within(window)
    near = Placed(window, mask).into(around).view(np.uint8)
    # Beyond the window nothing is eroded.
    inner = cv2.erode(near, np.ones((size, size), np.uint8)).view(np.bool_)
    if np.count_nonzero(inner) < settings.min_fit_area:
        return affine
    fitted = fit_map(bands.smooth, affine, around, inner, steps=settings.fit_steps)
    if fitted is None or _largest_move(affine, fitted, box) > settings.fit_reach:
        return affine
    return fitted


def _box(window: Window, mask: Mask) -> Window:
    """What holds all pixels of a mask, which has some."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    left, top = left + window.left, top + window.top
    return Window(left, top, left + width, top + height)


def _largest_move(old: Affine, new: Affine, box: Window) -> float:
    """How far two maps differ at the corners of a region's box, in pixels."""
    difference = new - old
    corners = np.array(
        [(x, y, 1.0) for x in (box.left, box.right - 1) for y in (box.top, box.bottom - 1)]
    )
    moved = corners @ difference.T
    return float(np.hypot(moved[:, 0], moved[:, 1]).max())
