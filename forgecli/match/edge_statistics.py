"""What the pixels around the edge of a copied region show of where it ends.

Three things tell: how much the two places differ (against the inside, against the ground further
out, and against what two unlike places would), how well they correlate, and whether an object ends
there: objects are copied whole, over ground that looks the same at both places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Placed, Window, local_correlation, view, warp_into
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.outline import gain_and_offset

EDGE_STATISTICS = (
    "differs_pixel", "differs_near", "differs_wide",  # the residual, to that of the inside
    "beyond_near", "beyond_wide",  # to that of the ground further out
    "unlike_near", "unlike_wide",  # to the contrast there: what unlike places would differ by
    "grain",  # the residual of the pixel, to that around it
    "alike_smooth", "alike_fine",  # local correlation
    "depth", "depth_share",  # distance inside the first outline, and to the region's size
    "contrast", "slope", "slope_inside",
    "object",  # 1: the colour of the inside, 0: of the ground further out
    "object_clear", "edge_clear", "size",  # of the region as a whole
)  # fmt: skip
"""Names of the columns, in order."""

_FINEST = np.float32(0.4)
"""Grey levels added before logarithms: rounding alone makes as much."""
_NEAR, _WIDE, _LOCAL = 0.9, 2.2, 2.0
"""Standard deviations, in pixels, of the surroundings of a pixel."""
_REACH, _LEAST, _MOST = 0.35, 10, 40
"""How far around a region is looked, to the root of its area, and in pixels."""
_OUT = 4.0
"""Pixels from the first outline at which the ground further out begins."""
_FEWEST = 30
"""Pixels of it that tell what it is like."""
_MOST_GAIN = 4.0


@dataclass(frozen=True, slots=True)
class EdgeStatistics:
    """The pixels that may be the region's, and what they show.

    Attributes:
        window: where they are.
        near: bool (window.height, window.width), those that are measured; what lies deeper inside
            the first outline belongs to the region, and what lies further out does not.
        values: float32 (count of near, len(EDGE_STATISTICS)), in the order of `np.nonzero`.
    """

    window: Window
    near: Mask
    values: NDArray[np.float32]


def planes_of(pixels: NDArray[np.uint8]) -> tuple[FloatImage, ...]:
    """The channels of an RGB image, uint8 (H, W, 3), that are not the same, float32 (H, W) each."""
    red, *others = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
    kept = [red] if all(np.array_equal(red, other) for other in others) else [red, *others]
    return tuple(plane.astype(np.float32) for plane in kept)


def edge_statistics(
    planes: Sequence[FloatImage], bands: Bands, region: Placed, affine: Affine
) -> EdgeStatistics | None:
    """Measure around the edge of a region.

    Args:
        planes: of the image, as `planes_of` gives them.
        bands: of the same image.
        region: not empty.
        affine: maps it onto its copy.

    Returns:
        None where the region is too small, or lies too far outside under the map, to be compared.
    """
    area = region.area
    reach = int(np.clip(_REACH * np.sqrt(area), _LEAST, _MOST))
    window = _tight(region).grown(reach, bands.shape)
    depth = _depth(region.into(window))
    known = np.isfinite(warp_into(planes[0], affine, window))
    core = known & (depth > min(3.0, 0.5 * float(depth.max())))
    if np.count_nonzero(core) < 8:
        return None
    ring = known & (depth < -_OUT)
    if np.count_nonzero(ring) < _FEWEST:
        ring = known & (depth < -1.0)
    if np.count_nonzero(ring) < 8:
        ring = known

    power, contrast = _compared(planes, affine, window, core, area)
    pixel, near, wide = np.sqrt(power), np.sqrt(_blur(power, _NEAR)), np.sqrt(_blur(power, _WIDE))
    thing, slope, clear = _object(planes, window, core, ring)
    inside, around = _median(near, core), _median(near, ring)
    asked = known & (np.abs(depth) <= reach)
    columns: Iterator[FloatImage] = (
        # One at a time: each is as large as the window.
        made()
        for made in (
            lambda: _log(pixel, _median(pixel, core)),
            lambda: _log(near, inside),
            lambda: _log(wide, _median(wide, core)),
            lambda: _log(near, around),
            lambda: _log(wide, _median(wide, ring)),
            lambda: _log(near, contrast),
            lambda: _log(wide, contrast),
            lambda: _log(pixel, wide),
            lambda: local_correlation(*view(bands, "smooth", affine, window), 7),
            lambda: local_correlation(*view(bands, "middle", affine, window), 9),
            lambda: np.clip(depth, -20.0, 20.0),
            lambda: np.clip(depth / np.sqrt(area), -0.5, 0.5),
            lambda: _log(contrast),
            lambda: _log(slope),
            lambda: _log(slope, _median(slope, core)),
            lambda: np.clip(thing, -1.0, 2.0),
        )
    )
    whole = (clear, float(_log(np.float32(around), inside)), float(np.log(area)))
    values = np.empty((np.count_nonzero(asked), len(EDGE_STATISTICS)), np.float32)
    values[:, -len(whole) :] = whole
    for number, column in enumerate(columns):
        values[:, number] = column[asked]
    return EdgeStatistics(window, asked, values)


def _compared(
    planes: Sequence[FloatImage], affine: Affine, window: Window, core: Mask, area: int
) -> tuple[FloatImage, FloatImage]:
    """Mean square residual of the channels, and the contrast of both places together.

    Gain and offset are those of the core. An offset that changes slowly within it is taken out too:
    Poisson blending makes one (Perez, Gangnet, Blake, "Poisson image editing", 2003).
    """
    power = np.zeros(core.shape, np.float32)
    contrast = np.zeros(core.shape, np.float32)
    slow = max(4.0, 0.2 * float(np.sqrt(area)))
    weight = core.astype(np.float32)
    known = _blur(weight, slow) + np.float32(0.02)
    for plane in planes:
        here = np.ascontiguousarray(window.cut(plane))
        there = np.nan_to_num(warp_into(plane, affine, window))
        p, q = here[core].astype(np.float64), there[core].astype(np.float64)
        gain, offset = gain_and_offset(p, q)
        if not 1.0 / _MOST_GAIN < gain < _MOST_GAIN:  # hardly any contrast: it says nothing
            gain, offset = 1.0, float(p.mean() - q.mean())
        there = there * np.float32(gain)
        residual = here - there - np.float32(offset)
        residual -= _blur(residual * weight, slow) / known
        power += residual * residual / len(planes)
        contrast += (_variance(here) + _variance(there)) / len(planes)
    return power, np.sqrt(contrast)


def _object(
    planes: Sequence[FloatImage], window: Window, core: Mask, ring: Mask
) -> tuple[FloatImage, FloatImage, float]:
    """Where between the ground's colour (0) and the inside's (1) every pixel lies; how steep the
    image is there; and how clearly the two colours differ."""
    along = np.zeros(core.shape, np.float32)
    steep = np.zeros(core.shape, np.float32)
    step = spread = 0.0
    for plane in planes:
        view_of = _blur(np.ascontiguousarray(window.cut(plane)), 1.0)
        ground, inside = _median(view_of, ring), _median(view_of, core)
        along += (view_of - np.float32(ground)) * np.float32(inside - ground)
        step += (inside - ground) ** 2
        spread += float(np.mean(np.square(view_of[ring] - np.float32(ground))))
        for x, y in ((1, 0), (0, 1)):
            steep += cv2.Sobel(view_of, cv2.CV_32F, x, y, scale=0.125) ** 2 / len(planes)
    clear = float(np.log((np.sqrt(step) + 1.0) / (np.sqrt(spread) + 1.0)))
    return along / np.float32(step + 4.0), np.sqrt(steep), clear


def _tight(region: Placed) -> Window:
    rows = np.flatnonzero(region.mask.any(axis=1))
    columns = np.flatnonzero(region.mask.any(axis=0))
    left, top = region.window.left, region.window.top
    return Window(
        left + int(columns[0]), top + int(rows[0]),
        left + int(columns[-1]) + 1, top + int(rows[-1]) + 1,
    )  # fmt: skip


def _depth(mask: Mask) -> FloatImage:
    """Distance to the outline in pixels, positive inside; float32. The window's edge is outside."""
    padded = np.pad(mask, 1).astype(np.uint8)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)
    return np.asarray(np.where(padded > 0, inside - 0.5, 0.5 - outside)[1:-1, 1:-1], np.float32)


def _blur(image: FloatImage, sigma: float) -> FloatImage:
    return np.asarray(
        cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.float32
    )


def _variance(image: FloatImage) -> FloatImage:
    mean = _blur(image, _LOCAL)
    return np.asarray(np.maximum(_blur(image * image, _LOCAL) - mean * mean, 0), np.float32)


def _median(values: FloatImage, where: Mask) -> float:
    return float(np.median(values[where]))


def _log(
    values: FloatImage | np.float32, to: FloatImage | float | None = None
) -> NDArray[np.float32]:
    """Logarithm, of a ratio if there is something to compare with."""
    said: NDArray[np.float32] = np.log(np.asarray(values, np.float32) + _FINEST)
    if to is not None:
        said = said - np.log(np.asarray(to, np.float32) + _FINEST)
    return said
