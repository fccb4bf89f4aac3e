"""How far a copy of a panel reaches over ground that shows nothing.

Cells on a dark film correlate, the film between them does not: a panel that is shown again is found
as a few cells. Nothing in the rest of the two panels differs, and that is measured here.
"""

from __future__ import annotations

import cv2
import numpy as np

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Placed, Window, warp_into, warp_mask
from forgecli.match.bands import FloatImage
from forgecli.match.outline import gain_and_offset
from forgecli.match.settings import MatchSettings

_RIM = 9
"""Side of the square around a region or a mark in which the two may differ: edges lie half a pixel
off, and letters ring in JPEG."""
_EDGE = 7
"""The same along the edges of the panels."""


def over_ground(
    grey: FloatImage,
    marks: Mask,
    first: Placed,
    affine: Affine,
    panels: tuple[Window, Window],
    settings: MatchSettings,
) -> tuple[Placed, Placed] | None:
    """The two regions as far as their panels agree: a box of the first panel, and its copy.

    Each side of the box around the first region is moved to the edge of what the panels have in
    common, if they do not differ on the way.

    Args:
        grey: float32 (H, W), 0 to 255, less its finest noise.
        marks: bool (H, W), text and other drawings, which may differ.
        first: the region, in the first panel.
        affine: maps it onto its copy, in the second panel.
        panels: the two, apart.
        settings: how much the panels may differ.

    Returns:
        None where the panels differ between the parts of the region too, or on all four sides of
        it, or the region is too small a part of them to speak for the rest.
    """
    home, away = panels
    common = _landing(affine, home, away)
    region = first.into(home) & common
    area = int(np.count_nonzero(region))
    if area < max(settings.min_area, settings.ground_least * np.count_nonzero(common)):
        return None
    differs = _differs(grey, _near(region) & common, affine, home, settings)
    differs &= _within(common) & ~_near(region | _marked(marks, affine, home))
    box = _box(region)
    if np.count_nonzero(differs[_cut(box)]) > settings.ground_inside * area:
        return None
    limits = _box(common)
    for side in range(4):
        box = _moved(box, side, limits, differs, settings.ground_beyond * area)
    if box == _box(region):  # something differs all around: an object, and no panel
        return None
    filled = np.zeros_like(common)
    filled[_cut(box)] = common[_cut(box)]
    whole = Placed(home, filled)
    landed = warp_mask(whole, affine, (grey.shape[0], grey.shape[1]))
    copy = Placed(away, landed.into(away))
    return (whole, copy) if copy.area else None


def _landing(affine: Affine, home: Window, away: Window) -> Mask:
    """The pixels of one window that a map takes into another."""
    moved = home.shifted(affine)
    y, x = np.mgrid[0 : home.height, 0 : home.width].astype(np.float32)
    right = moved[0, 0] * x + moved[0, 1] * y + moved[0, 2]
    down = moved[1, 0] * x + moved[1, 1] * y + moved[1, 2]
    inside = (right >= away.left - 0.5) & (right <= away.right - 0.5)
    inside &= (down >= away.top - 0.5) & (down <= away.bottom - 0.5)
    return np.asarray(inside, bool)


def _differs(
    grey: FloatImage, around: Mask, affine: Affine, home: Window, settings: MatchSettings
) -> Mask:
    """Where what stands at the copy is something else, gain and offset aside.

    These are of the region and of the ground next to it, for it is ground that is compared.
    """
    here, there = home.cut(grey), warp_into(grey, affine, home)
    known = np.isfinite(there)
    inside = around & known
    if np.count_nonzero(inside) < 8:
        return np.ones_like(around)
    p, q = here[inside].astype(np.float64), there[inside].astype(np.float64)
    gain, offset = gain_and_offset(p, q)
    residual = np.abs(here - np.float32(gain) * np.where(known, there, 0) - np.float32(offset))
    residual = cv2.blur(residual.astype(np.float32), (3, 3))
    usual = 1.4826 * float(np.median(residual[inside]))
    limit = max(settings.ground_contrast * float(p.std()), settings.ground_spread * usual)
    return np.asarray(known & (residual > limit))


def _marked(marks: Mask, affine: Affine, home: Window) -> Mask:
    """Marks in a window, and those that stand where its pixels land."""
    if marks.size == 0:
        return np.zeros((home.height, home.width), bool)
    there = warp_into(marks.astype(np.float32), affine, home)
    here = marks[home.top : home.bottom, home.left : home.right]
    return np.asarray(here | (np.nan_to_num(there) > 0.25))


def _near(mask: Mask) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((_RIM, _RIM), np.uint8)) > 0)


def _within(mask: Mask) -> Mask:
    """A mask without its edge, where gutters shine through."""
    padded = np.pad(mask.astype(np.uint8), 1)
    return np.asarray(cv2.erode(padded, np.ones((_EDGE, _EDGE), np.uint8))[1:-1, 1:-1] > 0)


def _box(mask: Mask) -> Window:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Window(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _cut(box: Window) -> tuple[slice, slice]:
    return slice(box.top, box.bottom), slice(box.left, box.right)


def _moved(box: Window, side: int, limits: Window, differs: Mask, allowed: float) -> Window:
    """A box with one side (left, top, right, bottom) moved out to its limit, unless more than
    `allowed` pixels differ on the way: where in the empty ground the copy ends nobody can see."""
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    if side == 0:
        left = limits.left
    elif side == 1:
        top = limits.top
    elif side == 2:
        right = limits.right
    else:
        bottom = limits.bottom
    moved = Window(left, top, right, bottom)
    more = np.count_nonzero(differs[_cut(moved)]) - np.count_nonzero(differs[_cut(box)])
    return moved if more <= allowed else box
