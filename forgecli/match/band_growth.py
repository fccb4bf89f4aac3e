"""From two bands that look alike to the region that was copied, with the bands' own ground.

Lanes are alike by nature. A region that may grow wherever the picture agrees with its warp goes on
over the neighbouring bands, and the map fitted to all of it then fits none. So here a region holds
whole bands or none of one: the pair it began with, and those that agree under the same map, gain
and offset as well as it does. Of the ground it takes what is textured and agrees, and of ground
where there is nothing to see as much as a copied band comes with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from forgecli.detection import Affine
from forgecli.match.agreement import (
    Mask,
    Placed,
    Window,
    correlation_inside,
    local_correlation,
    view,
    warp_mask,
)
from forgecli.match.band_likeness import box_of, extent_of
from forgecli.match.band_pairs import BandPair
from forgecli.match.bands import Bands
from forgecli.match.candidates import Candidate
from forgecli.match.fit import fit_map
from forgecli.match.grow import far_enough
from forgecli.match.lanes import Band
from forgecli.match.outline import connected_to, fill_holes, gain_and_offset
from forgecli.match.settings import MatchSettings

_CORE = 0.8
"""Of a band's size: its middle, where a region begins."""
_FIT_STEPS = 8
_FIT_REACH = 2.5
"""Pixels a fit to all the bands of a region may move one of its corners."""
_ROUNDS = 3
"""Times the window may be enlarged: a lane is several bands long."""
_SPACING = 8.0
"""Pixels between the places that support is counted at."""


@dataclass(frozen=True, slots=True)
class _Own:
    """How well a band agrees with its copy: what others are held to."""

    gain: float
    offset: float
    agreement: float


def band_candidates(
    views: Bands,
    found: Sequence[Band],
    pairs: Sequence[BandPair],
    panels: Sequence[Window],
    usable: Mask,
    settings: MatchSettings,
) -> Iterator[Candidate]:
    """A candidate for every pair of bands, the most similar first, each copied piece once.

    Args:
        views: the figure.
        found: its bands.
        pairs: of them, best first. At most `max_band_copies` candidates are made.
        panels: in which the bands are, by `Band.panel`.
        usable: bool (H, W), what may be evidence.
        settings: section "Blots".
    """
    made: list[Candidate] = []
    for pair in pairs:
        if len(made) == settings.max_band_copies or pair.similarity < settings.band_similarity:
            return
        if _known(found[pair.first], pair.affine, made, settings):
            continue
        region = grow_bands(views, found, pair, panels, settings)
        if region is None:
            continue
        first, affine, members = region
        if first.area < settings.min_area:
            continue
        window = first.window
        if _share(usable, first) < settings.usable_share:
            continue
        second = warp_mask(first, affine, views.shape)
        if second.area < settings.min_area // 2:
            continue
        shared = np.count_nonzero(first.mask & second.into(window))
        if shared > settings.same_region * min(first.area, second.area):
            continue  # a band that repeats onto itself is a smear
        candidate = Candidate(
            first=first,
            second=second,
            affine=affine,
            support=2 * sum(_places(found[member]) for member in members),
            rivals=len(made),
            rank_score=pair.similarity,
        )
        made.append(candidate)
        yield candidate


def grow_bands(
    views: Bands,
    found: Sequence[Band],
    pair: BandPair,
    panels: Sequence[Window],
    settings: MatchSettings,
) -> tuple[Placed, Affine, list[int]] | None:
    """The region around the first band of a pair that its map holds for.

    Returns:
        the region, its map fitted to all of it, and the numbers of the bands in it; None where
        not even the first band agrees.
    """
    band = found[pair.first]
    panel = panels[band.panel]
    affine = pair.affine
    own = _own(views, [band], affine, panel)
    if own is None:
        return None
    members = company(views, found, pair, panels, own, settings)
    mine = [found[member] for member in members]
    affine = _fitted(views, mine, affine, panel)
    own = _own(views, mine, affine, panel)
    if own is None:
        return None
    region = _region(views, found, members, panel, affine, own, settings)
    return None if region is None else (region, affine, members)


def _own(views: Bands, members: Sequence[Band], affine: Affine, panel: Window) -> _Own | None:
    """How well some bands agree with what a map says are their copies; None if one is negative, or
    too much of them lies outside the image."""
    boxes = [box_of(member, 1.1, panel) for member in members]
    window = _around(boxes)
    here, there = view(views, "smooth", affine, window)
    inside = _painted(boxes, window)
    known = inside & np.isfinite(there)
    if np.count_nonzero(known) < 0.7 * np.count_nonzero(inside):
        return None
    p, q = here[known].astype(np.float64), there[known].astype(np.float64)
    gain, offset = gain_and_offset(p, q)
    agreement = correlation_inside(here, there, known)
    return _Own(gain, offset, agreement) if gain > 0 else None


def company(
    views: Bands,
    found: Sequence[Band],
    pair: BandPair,
    panels: Sequence[Window],
    own: _Own,
    settings: MatchSettings,
) -> list[int]:
    """The bands that were copied together with the first of a pair, itself included.

    Those of its panel that agree about as well as it does under its map, with about its gain. A
    band between them that does not is not asked for: it may be too faint to agree.
    """
    band = found[pair.first]
    panel = panels[band.panel]
    least = 1.0 - max(settings.company_disagreement, 2.0 * (1.0 - own.agreement))
    least = max(least, settings.company_least)
    members = [pair.first]
    for number, other in enumerate(found):
        if number == pair.first or other.panel != band.panel:
            continue
        landed = pair.affine @ np.array([other.x, other.y, 1.0])
        moved = float(np.hypot(landed[0] - other.x, landed[1] - other.y))
        if moved < settings.min_distance:
            continue
        theirs = _own(views, [other], pair.affine, panel)
        if theirs is None or theirs.agreement < least:
            continue
        if abs(np.log(theirs.gain / own.gain)) < np.log(settings.company_gain):
            members.append(number)
    return members


def _fitted(views: Bands, members: Sequence[Band], affine: Affine, panel: Window) -> Affine:
    """The map fitted to all the bands of a region; as it is where that would move them far."""
    boxes = [box_of(member, 1.2, panel) for member in members]
    window = _around(boxes)
    fitted = fit_map(views.smooth, affine, window, _painted(boxes, window), steps=_FIT_STEPS)
    if fitted is None:
        return affine
    corners = np.array(
        [(x, y, 1.0) for x in (window.left, window.right) for y in (window.top, window.bottom)]
    )
    moved = float(np.hypot(*(corners @ (fitted - affine).T).T).max())
    return fitted if moved < _FIT_REACH else affine


def _painted(boxes: Sequence[Window], window: Window) -> Mask:
    inside = np.zeros((window.height, window.width), bool)
    for box in boxes:
        inside[_in(box, window)] = True
    return inside


def _region(
    views: Bands,
    found: Sequence[Band],
    members: Sequence[int],
    panel: Window,
    affine: Affine,
    own: _Own,
    settings: MatchSettings,
) -> Placed | None:
    """The pixels of some bands and their ground that agree with what the map says stands there."""
    mine = [found[member] for member in members]
    joined = set(members)
    others = [
        other
        for number, other in enumerate(found)
        if number not in joined and other.panel == mine[0].panel
    ]
    window = _around([box_of(band, 1.0, panel) for band in mine])
    margin = settings.grow_margin
    mask: Mask | None = None
    for _ in range(_ROUNDS):
        window = window.grown(margin, views.shape).within(panel)
        mask = _agreeing(views, mine, others, window, panel, affine, own, settings)
        if mask is None or not _reaches(mask, window, panel):
            break
        margin = max(margin, max(window.width, window.height) // 2)
    return None if mask is None else Placed(window, mask)


def _agreeing(
    views: Bands,
    mine: Sequence[Band],
    others: Sequence[Band],
    window: Window,
    panel: Window,
    affine: Affine,
    own: _Own,
    settings: MatchSettings,
) -> Mask | None:
    here, there = view(views, "smooth", affine, window)
    known = np.isfinite(there) & far_enough(affine, window, settings)
    residual = np.abs(here - np.float32(own.gain) * np.nan_to_num(there) - np.float32(own.offset))
    residual = cv2.blur(residual.astype(np.float32), (3, 3))
    core = np.zeros(known.shape, bool)
    rim = np.zeros(known.shape, bool)
    for band in mine:
        core[_in(box_of(band, _CORE, panel), window)] = True
        rim[_in(_with_rim(band, panel, settings), window)] = True
    core &= known
    if np.count_nonzero(core) < settings.min_area // 2:
        return None
    spread = max(float(np.median(residual[core])) * 1.4826, settings.outline_floor)
    held = known & (residual < settings.outline_spread * spread)
    ground = local_correlation(here, there, settings.correlation_side)
    textured = held & (ground > settings.band_ground)
    kept = (held & rim) | textured
    for other in others:
        kept[_in(box_of(other, 1.0, panel), window)] &= rim[_in(box_of(other, 1.0, panel), window)]
    closed = cv2.morphologyEx(kept.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    mask = fill_holes(connected_to(np.asarray(opened > 0), core))
    return mask if mask.any() else None


def _with_rim(band: Band, panel: Window, settings: MatchSettings) -> Window:
    """The box of a band with the ground that a person copies with it."""
    box = box_of(band, 1.0, panel)
    rim = round(settings.band_rim * box.height) + 2
    return Window(box.left - rim, box.top - rim, box.right + rim, box.bottom + rim).within(panel)


def _around(boxes: Sequence[Window]) -> Window:
    return Window(
        min(box.left for box in boxes), min(box.top for box in boxes),
        max(box.right for box in boxes), max(box.bottom for box in boxes),
    )  # fmt: skip


def _in(box: Window, window: Window) -> tuple[slice, slice]:
    """The rows and columns of a box, seen in a window and cut at it."""
    top, left = max(box.top - window.top, 0), max(box.left - window.left, 0)
    return (
        slice(top, max(top, box.bottom - window.top)),
        slice(left, max(left, box.right - window.left)),
    )


def _reaches(mask: Mask, window: Window, panel: Window) -> bool:
    """Whether a region reaches a side of its window that is not one of the panel."""
    return bool(
        (window.top > panel.top and mask[:2].any())
        or (window.bottom < panel.bottom and mask[-2:].any())
        or (window.left > panel.left and mask[:, :2].any())
        or (window.right < panel.right and mask[:, -2:].any())
    )


def _known(band: Band, affine: Affine, made: Sequence[Candidate], settings: MatchSettings) -> bool:
    """Whether a band already lies in a region whose map takes it to the same place."""
    place = np.array([[band.x, band.y]])
    landed = place @ affine[:, :2].T + affine[:, 2]
    for candidate in made:
        linear, shift = candidate.affine[:, :2], candidate.affine[:, 2]
        for start, end in ((place, landed), (landed, place)):
            if candidate.first.holds(start)[0]:
                apart = float(np.hypot(*(start @ linear.T + shift - end)[0]))
                if apart < settings.candidate_separation:
                    return True
    return False


def _share(usable: Mask, region: Placed) -> float:
    window = region.window
    allowed = usable[window.top : window.bottom, window.left : window.right]
    return float(allowed[region.mask].mean())


def _places(band: Band) -> int:
    """How many places, a spacing apart, a band has for matches; at most five each way."""
    across, down = (int(np.clip(2 * 0.8 * half // _SPACING + 1, 1, 5)) for half in extent_of(band))
    return across * down
