"""The exact outline of a copied region, from the residual between the region and its copy.

Local correlation is measured in a window, so its edge is only good to half a window. Where the
content stops being a copy the residual jumps within a pixel or two.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Placed, Window, local_correlation, view
from forgecli.match.bands import Bands
from forgecli.match.grow import CopiedRegion
from forgecli.match.settings import MatchSettings

_GAP, _RING = 4, 9
"""Pixels from a region at which its surroundings are looked at: beyond the correlation's window."""
_FEWEST = 40
"""Pixels of the surroundings that tell how they differ."""
_WIDEST_GAP = 31
_TEXTURE = 9
"""Side of the window in which texture is compared: it holds too little for a smaller one."""


def gain_and_offset(here: NDArray[np.float64], there: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares gain and offset with here = gain * there + offset; gain 1 where it is flat."""
    mean_here, mean_there = float(here.mean()), float(there.mean())
    centred = there - mean_there
    energy = float((centred * centred).sum())
    gain = float((centred * (here - mean_here)).sum() / energy) if energy > 1e-6 else 1.0
    return gain, mean_here - gain * mean_there


def outline(bands: Bands, region: CopiedRegion, settings: MatchSettings) -> CopiedRegion:
    """The region with its edge moved to where the residual jumps; empty if nothing of it holds.

    Gaps up to a share of the region's size are filled where the residual is as low as elsewhere:
    smooth ground inside a copy has nothing to correlate. Around a small region the window of the
    correlation reaches as far as the region itself, so there the edge is drawn tighter: where the
    residual is between that of the inside and that of the surroundings. Where the two hardly
    differ, it is drawn where the texture stops to agree, or, if there is none, a pixel further in.
    """
    affine = region.affine
    window = region.first.window.grown(_RING, bands.shape)
    mask = region.first.into(window)
    area = int(np.count_nonzero(mask))
    here, there = view(bands, "smooth", affine, window)
    known = np.isfinite(there)
    core = _eroded(mask, 5) & known
    if np.count_nonzero(core) < settings.min_area // 2:
        core = mask & known
    if np.count_nonzero(core) < 8:
        return CopiedRegion(Placed(window, np.zeros_like(mask)), affine)
    gain, offset = gain_and_offset(here[core].astype(np.float64), there[core].astype(np.float64))
    residual = np.abs(here - np.float32(gain) * np.where(known, there, 0) - np.float32(offset))
    spread = float(np.median(residual[core])) * 1.4826
    residual = cv2.blur(residual.astype(np.float32), (3, 3))
    limit = settings.outline_spread * max(spread, settings.outline_floor)

    doubtful = False
    if area < settings.outline_small:
        ring = known & _dilated(mask, 2 * _RING + 1) & ~_dilated(mask, 2 * _GAP + 1)
        if np.count_nonzero(ring) < _FEWEST:
            doubtful = True
        else:
            outside = float(np.median(residual[ring]))
            between = np.sqrt(max(outside, 0.05) * max(float(np.median(residual[core])), 0.05))
            limit = min(limit, max(float(between), float(np.quantile(residual[core], 0.9))))
            doubtful = outside < settings.outline_doubt * limit

    textured = _textured(bands, affine, window, core, settings) if doubtful else None
    held = known & (residual < limit)
    if textured is not None:
        held &= textured
        core = core & textured
    side = int(np.clip(settings.outline_gap * np.sqrt(area), 3, _WIDEST_GAP)) | 1
    reach = _dilated(mask, 3) | _closed(mask, side)
    kept = _closed(reach & held, 5)
    kept = np.asarray(cv2.morphologyEx(kept.astype(np.uint8), cv2.MORPH_OPEN, _disc(5)) > 0)
    if doubtful and textured is None:
        kept = _eroded(kept, 3)
    return CopiedRegion(Placed(window, fill_holes(connected_to(kept, core))), affine)


def _textured(
    bands: Bands, affine: Affine, window: Window, core: Mask, settings: MatchSettings
) -> Mask | None:
    """Where the texture agrees half as well as it mostly does in a core; None if it hardly does."""
    here, there = view(bands, "middle", affine, window)
    correlation = local_correlation(here, there, _TEXTURE)
    usual = float(np.quantile(correlation[core], 0.75))
    if usual < settings.outline_texture:
        return None
    return np.asarray(correlation > 0.5 * usual)


def _disc(side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _closed(mask: Mask, side: int) -> Mask:
    """A mask with its gaps narrower than a disc filled."""
    padded = np.pad(mask.astype(np.uint8), side)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _disc(side))
    return np.asarray(closed[side:-side, side:-side] > 0)


def _eroded(mask: Mask, side: int) -> Mask:
    return np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def _dilated(mask: Mask, side: int) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def connected_to(mask: Mask, core: Mask) -> Mask:
    """The 4-connected components of a mask that touch a core."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    keep = np.zeros(count, bool)
    keep[np.unique(labels[core & mask])] = True
    keep[0] = False
    return np.asarray(keep[labels])


def fill_holes(mask: Mask) -> Mask:
    """A mask without its holes."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled.astype(bool)
