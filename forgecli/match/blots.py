"""Copies in blots and gels, where keypoints are nearly blind: band by band, and blots as wholes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Window
from forgecli.match.band_growth import band_candidates
from forgecli.match.band_likeness import extent_of
from forgecli.match.band_pairs import BandPair, pairs_of
from forgecli.match.bands import Bands
from forgecli.match.candidates import Candidate
from forgecli.match.lanes import Band, Lane, find_bands, find_lanes
from forgecli.match.settings import MatchSettings


@dataclass(frozen=True, slots=True)
class BlotPairs:
    """What the blots of a figure may hold twice.

    Attributes:
        bands: the bands that were found.
        lanes: their lanes.
        pairs: all that were aligned, the most similar first.
    """

    bands: tuple[Band, ...]
    lanes: tuple[Lane, ...]
    pairs: tuple[BandPair, ...]


@dataclass(frozen=True, slots=True)
class WholeBlot:
    """Two panels that show one blot.

    Attributes:
        first, second: their numbers.
        affine: maps the first onto the second, float64 (2, 3).
        lanes: how many lanes of the first stand in the second.
        alike: `BandPair.alike`, mean over those.
    """

    first: int
    second: int
    affine: Affine
    lanes: int
    alike: float


def bands_and_lanes(
    views: Bands, panels: tuple[Window, ...], usable: Mask, settings: MatchSettings
) -> tuple[list[Band], list[Lane]]:
    """The bands of some panels that may be evidence, at most `settings.max_bands`, and the lanes.

    Args:
        views: the figure.
        panels: those that show blots or gels.
        usable: bool (H, W), what may be evidence.
    """
    found = []
    for number, panel in enumerate(panels):
        for band in find_bands(views.grey, panel, settings, number=number):
            box = band.window
            if usable[box.top : box.bottom, box.left : box.right].mean() >= settings.usable_share:
                found.append(band)
    found.sort(key=lambda band: (-band.strength, band.panel, band.x, band.y))
    found = found[: settings.max_bands]
    return found, find_lanes(found, panels)


def compare_bands(
    views: Bands, panels: tuple[Window, ...], usable: Mask, settings: MatchSettings
) -> BlotPairs:
    """The bands of blot panels, and those that look alike.

    Every band is compared with all others of all the panels, in four poses, at scales from
    1 / `band_scale` to `band_scale`.

    Args:
        views: the figure.
        panels: those that show blots or gels.
        usable: bool (H, W), what may be evidence.
        settings: section "Blots".
    """
    found, lanes = bands_and_lanes(views, panels, usable, settings)
    return BlotPairs(tuple(found), tuple(lanes), tuple(pairs_of(views, found, panels, settings)))


def blot_candidates(
    views: Bands, panels: tuple[Window, ...], usable: Mask, settings: MatchSettings
) -> tuple[list[Candidate], list[tuple[Window, Window]]]:
    """Bands that stand twice in the blots of a figure, and blots that match as wholes.

    Args:
        views: the figure.
        panels: those that show blots or gels.
        usable: bool (H, W), what may be evidence.
        settings: section "Blots".

    Returns:
        candidates, the most similar pair of bands first, ranked among themselves: beside matches
        of texture, those of smooth bands come last. And pairs of panels, over half of whose lanes
        match.
    """
    if not panels:
        return [], []
    found = compare_bands(views, panels, usable, settings)
    made = list(band_candidates(views, found.bands, found.pairs, panels, usable, settings))
    wholes = whole_blots(found, panels, settings)
    return made, [(panels[whole.first], panels[whole.second]) for whole in wholes]


def whole_blots(
    found: BlotPairs, panels: tuple[Window, ...], settings: MatchSettings
) -> list[WholeBlot]:
    """Panels that match as wholes: over half of the lanes of one stand in another, one way.

    Each pair of bands that is as alike as `lane_alike` votes with its map. A lane agrees with a map
    that takes one of its bands to within `lane_tolerance` of a band's width of where that band's
    own copy lies. Panels with fewer than `whole_lanes` lanes are left to their bands.

    Returns:
        the best map of every two panels for which the rule holds, the most lanes first.
    """
    lane_of = {index: number for number, lane in enumerate(found.lanes) for index in lane.bands}
    lanes_in = [sum(lane.panel == number for lane in found.lanes) for number in range(len(panels))]
    by_panels: dict[tuple[int, int], list[tuple[BandPair, bool]]] = {}
    for pair in found.pairs:
        if pair.alike < settings.lane_alike:
            continue
        first, second = found.bands[pair.first].panel, found.bands[pair.second].panel
        if first != second:
            by_panels.setdefault((min(first, second), max(first, second)), []).append(
                (pair, first > second)
            )
    wholes = []
    for (one, other), pairs in by_panels.items():
        fewest = min(lanes_in[one], lanes_in[other])
        if fewest < settings.whole_lanes:
            continue
        best: WholeBlot | None = None
        maps = [_from_smaller(pair, turned) for pair, turned in pairs]
        for affine in maps:
            lanes: dict[int, float] = {}
            for (pair, turned), _ in zip(pairs, maps, strict=True):
                source, goal = (pair.second, pair.first) if turned else (pair.first, pair.second)
                if _agrees(affine, found.bands[source], found.bands[goal], settings):
                    lane = lane_of[source]
                    lanes[lane] = max(pair.alike, lanes.get(lane, -np.inf))
            if len(lanes) > 0.5 * fewest and (best is None or len(lanes) > best.lanes):
                mean = float(np.mean(list(lanes.values())))
                best = WholeBlot(one, other, affine, len(lanes), mean)
        if best is not None and best.lanes >= 2:
            wholes.append(best)
    return sorted(wholes, key=lambda whole: (-whole.lanes, whole.first, whole.second))


def _from_smaller(pair: BandPair, turned: bool) -> Affine:
    """The map of a pair, from the panel with the smaller number to the other."""
    if not turned:
        return pair.affine
    linear = np.linalg.inv(pair.affine[:, :2])
    return np.column_stack((linear, -linear @ pair.affine[:, 2]))


def _agrees(affine: Affine, source: Band, goal: Band, settings: MatchSettings) -> bool:
    """Whether a map takes one band to where another is."""
    landed = affine @ np.array([source.x, source.y, 1.0])
    apart = float(np.hypot(landed[0] - goal.x, landed[1] - goal.y))
    return apart <= max(3.0, settings.lane_tolerance * 2.0 * extent_of(goal)[0])
