"""Copies in blots and gels, where keypoints are nearly blind: band by band, and blots as wholes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Window
from forgecli.match.band_likeness import extent_of
from forgecli.match.band_pairs import BandPair, pairs_of
from forgecli.match.bands import Bands
from forgecli.match.lanes import Band, Lane, find_bands, find_lanes
from forgecli.match.proposals import Matches
from forgecli.match.settings import MatchSettings

_SPACING = 8.0
"""Pixels between the matches of one pair: the cells in which support is counted."""


@dataclass(frozen=True, slots=True)
class BlotMatches:
    """What the blots of a figure hold twice.

    Attributes:
        matches: float64 (n, 8), local matches as in `proposals`; several for each pair, spread over
            its band, from each side.
        similarity: float64 (n,), of the pair that a match comes from (`BandPair.similarity`).
        bands: the bands that were found.
        lanes: their lanes.
        pairs: all that were aligned, the most similar first. The matches come from those that reach
            `band_similarity`, at most `max_band_copies` of them.
    """

    matches: Matches
    similarity: NDArray[np.float64]
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


def blot_matches(
    views: Bands, panels: tuple[Window, ...], usable: Mask, settings: MatchSettings
) -> BlotMatches:
    """Bands of blot panels that look like copies of each other, as local matches.

    Every band is compared with all others of all the panels, in four poses, at scales from
    1 / `band_scale` to `band_scale`. Matches are made of the pairs that reach `band_similarity`, at
    most `max_band_copies`, the most similar.

    Args:
        views: the figure.
        panels: those that show blots or gels.
        usable: bool (H, W), what may be evidence.
        settings: section "Blots".
    """
    found, lanes = bands_and_lanes(views, panels, usable, settings)
    pairs = pairs_of(views, found, panels, settings)
    rows, likeness = [], []
    for pair in pairs[: settings.max_band_copies]:
        if pair.similarity < settings.band_similarity:
            break
        made = _spread_over(found[pair.first], pair.affine)
        rows += [made, _reversed(made)]
        likeness += [np.full(2 * len(made), pair.similarity)]
    return BlotMatches(
        matches=np.concatenate(rows) if rows else np.empty((0, 8)),
        similarity=np.concatenate(likeness) if likeness else np.empty(0),
        bands=tuple(found),
        lanes=tuple(lanes),
        pairs=tuple(pairs),
    )


def _spread_over(band: Band, affine: Affine) -> Matches:
    """Local matches of one map all over a band, float64 (n, 8)."""
    half_x, half_y = extent_of(band)
    across = _places(half_x)
    down = _places(half_y)
    x, y = (grid.ravel() for grid in np.meshgrid(band.x + across, band.y + down))
    points = np.column_stack((x, y))
    copies = points @ affine[:, :2].T + affine[:, 2]
    linear = np.broadcast_to(affine[:, :2].ravel(), (len(points), 4))
    return np.ascontiguousarray(np.hstack((points, copies, linear)))


def _places(half: float) -> NDArray[np.float64]:
    """Offsets from the middle, one spacing apart, at most five, none on the very edge."""
    number = int(np.clip(2 * 0.8 * half // _SPACING + 1, 1, 5))
    return np.linspace(-0.8 * half, 0.8 * half, number) if number > 1 else np.zeros(1)


def _reversed(matches: Matches) -> Matches:
    """The same matches seen from the copies."""
    linear = np.linalg.inv(matches[:, 4:].reshape(-1, 2, 2)).reshape(-1, 4)
    return np.ascontiguousarray(np.hstack((matches[:, 2:4], matches[:, :2], linear)))


def whole_blots(
    found: BlotMatches, panels: tuple[Window, ...], settings: MatchSettings
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
