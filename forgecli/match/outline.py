"""The exact outline of a copied region, from the residual between the region and its copy.

Local correlation is measured in a window, so its edge is only good to half a window. Where the
content stops being a copy the residual jumps within a pixel or two.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask, Placed, view
from forgecli.match.bands import Bands
from forgecli.match.grow import CopiedRegion
from forgecli.match.settings import MatchSettings


def gain_and_offset(here: NDArray[np.float64], there: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares gain and offset with here = gain * there + offset; gain 1 where it is flat."""
    mean_here, mean_there = float(here.mean()), float(there.mean())
    centred = there - mean_there
    energy = float((centred * centred).sum())
    gain = float((centred * (here - mean_here)).sum() / energy) if energy > 1e-6 else 1.0
    return gain, mean_here - gain * mean_there


def outline(bands: Bands, region: CopiedRegion, settings: MatchSettings) -> CopiedRegion:
    """The region with its edge moved to where the residual jumps; empty if nothing of it holds."""
    affine, window, mask = region.affine, region.first.window, region.first.mask
    here, there = view(bands, "smooth", affine, window)
    known = np.isfinite(there)
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2) > 0
    core &= known
    if np.count_nonzero(core) < settings.min_area // 2:
        core = mask & known
    if np.count_nonzero(core) < 8:
        return CopiedRegion(Placed(window, np.zeros_like(mask)), affine)
    gain, offset = gain_and_offset(here[core].astype(np.float64), there[core].astype(np.float64))
    residual = np.abs(here - np.float32(gain) * np.where(known, there, 0) - np.float32(offset))
    spread = float(np.median(residual[core])) * 1.4826
    residual = cv2.blur(residual.astype(np.float32), (3, 3))
    limit = settings.outline_spread * max(spread, settings.outline_floor)
    reach = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    holding = (reach & known & (residual < limit)).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(holding, cv2.MORPH_CLOSE, disc)
    kept = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc)
    filled = fill_holes(connected_to(kept > 0, core))
    return CopiedRegion(Placed(window, filled), affine)


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
