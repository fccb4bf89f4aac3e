"""A copied band is the most similar pair, with the true map; blots match as wholes or do not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Window
from forgecli.match.band_likeness import among_rivals, likeness
from forgecli.match.band_pairs import POSES, pairs_of, shortlist
from forgecli.match.bands import FloatImage
from forgecli.match.blots import BlotPairs, bands_and_lanes, compare_bands, whole_blots
from forgecli.match.settings import MatchSettings
from tests.match.drawn_blots import blot, copied, views_of

SETTINGS = MatchSettings()
EVERYTHING = replace(SETTINGS, band_similarity=-1e9, max_band_copies=500)


def whole(grey: FloatImage) -> tuple[Window, ...]:
    return (Window(0, 0, grey.shape[1], grey.shape[0]),)


def usable(grey: FloatImage) -> Mask:
    return np.ones(grey.shape, bool)


def forged(
    seed: int, linear: np.ndarray, *, gain: float = 1.0, offset: float = 0.0
) -> tuple[FloatImage, FloatImage, Affine]:
    """A blot, the same with a band of its upper row copied into its lower row, and the map."""
    drawn = blot(seed)
    (x, y), goal = drawn.centres[0, 1], drawn.centres[1, 4]
    affine = np.column_stack((linear, goal - linear @ (x, y)))
    box = (round(x - 24), round(y - 13), round(x + 24), round(y + 13))
    return drawn.grey, copied(drawn.grey, affine, box, gain=gain, offset=offset), affine


def from_left(pair_affine: Affine, first_x: float, source_x: float) -> Affine:
    """The map of a pair as seen from its source."""
    if abs(first_x - source_x) < 10:
        return pair_affine
    return np.asarray(cv2.invertAffineTransform(pair_affine), np.float64)


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize(
    ("scale", "turn", "gain", "offset"),
    [(1.0, 0.0, 1.0, 0.0), (1.1, 0.0, 0.8, -10.0), (0.9, 0.0, 1.0, 0.0), (1.0, 2.0, 1.15, 8.0)],
)
def test_a_copied_band_is_the_most_similar_pair_with_the_true_map(
    pose: tuple[int, int], scale: float, turn: float, gain: float, offset: float
) -> None:
    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * rotation @ np.diag([float(pose[0]), float(pose[1])])
    _, grey, affine = forged(11, linear, gain=gain, offset=offset)
    found = compare_bands(views_of(grey), whole(grey), usable(grey), EVERYTHING)
    best = found.pairs[0]
    source = found.bands[best.first]
    got = from_left(best.affine, source.x, blot(11).centres[0, 1, 0])
    x, y = blot(11).centres[0, 1]
    for u, v in ((0, 0), (15, 0), (-15, 0), (0, 4)):
        point = np.array([x + u, y + v, 1.0])
        assert np.hypot(*((got - affine) @ point)) < 1.2


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_copies_stand_out_from_what_bands_have_in_common(seed: int) -> None:
    before, after, _ = forged(seed, np.diag([-1.0, 1.0]))
    authentic = compare_bands(views_of(before), whole(before), usable(before), EVERYTHING)
    copy = compare_bands(views_of(after), whole(after), usable(after), EVERYTHING)
    assert copy.pairs[0].similarity > SETTINGS.band_similarity
    assert copy.pairs[0].similarity > authentic.pairs[0].similarity + 2
    assert copy.pairs[0].similarity > copy.pairs[1].similarity + 2


def test_what_may_not_be_evidence_is_not_compared() -> None:
    _, grey, _ = forged(41, np.eye(2))
    allowed = usable(grey)
    allowed[: grey.shape[0] // 2] = False
    found = compare_bands(views_of(grey), whole(grey), allowed, EVERYTHING)
    assert found.bands and all(band.y > grey.shape[0] / 2 for band in found.bands)


def test_likeness_is_blind_to_gain_and_offset_and_nothing_without_a_copy() -> None:
    _, grey, affine = forged(51, np.eye(2))
    views = views_of(grey, noise=0.0)
    bands, _ = bands_and_lanes(views, whole(grey), usable(grey), SETTINGS)
    x, y = blot(51).centres[0, 1]
    source = min(bands, key=lambda band: np.hypot(band.x - x, band.y - y))
    true = likeness(views, source, affine, whole(grey)[0])
    aside = affine + np.array([[0, 0, 2.0], [0, 0, 1.0]])
    wrong = likeness(views, source, aside, whole(grey)[0])
    assert true is not None and wrong is not None
    assert (true[:4] > wrong[:4] + 0.2).all() and true[4] < wrong[4]
    outside = affine + np.array([[0, 0, 0.0], [0, 0, 500.0]])
    assert likeness(views, source, outside, whole(grey)[0]) is None


def test_no_band_is_compared_with_itself_or_with_another_size() -> None:
    drawn = blot(61, rows=1, columns=3)
    large = blot(62, rows=1, columns=2, size=(36.0, 10.0), pitch=(110, 72))
    height = drawn.grey.shape[0] + large.grey.shape[0]
    grey = np.full((height, max(drawn.grey.shape[1], large.grey.shape[1])), 205, np.float32)
    grey[: drawn.grey.shape[0], : drawn.grey.shape[1]] = drawn.grey
    grey[drawn.grey.shape[0] :, : large.grey.shape[1]] = large.grey
    views = views_of(grey)
    bands, _ = bands_and_lanes(views, whole(grey), usable(grey), SETTINGS)
    assert len(bands) == 5
    for first, second, _ in shortlist(views.grey, bands, SETTINGS):
        assert first < second
        ratio = bands[first].spread_x / bands[second].spread_x
        assert 0.7 < ratio < 1.4


@pytest.mark.parametrize("shape", [(1, 1), (20, 20), (64, 200)])
def test_pictures_without_bands_match_nothing(shape: tuple[int, int]) -> None:
    grey = np.full(shape, 200, np.float32)
    found = compare_bands(views_of(grey), whole(grey), usable(grey), SETTINGS)
    assert found.pairs == ()
    assert whole_blots(found, whole(grey), SETTINGS) == []


def test_the_number_of_pairs_is_bounded() -> None:
    drawn = blot(71, rows=3, columns=8)
    views = views_of(drawn.grey)
    few = replace(EVERYTHING, band_pairs=7, max_band_copies=3)
    bands, _ = bands_and_lanes(views, whole(drawn.grey), usable(drawn.grey), few)
    assert len(shortlist(views.grey, bands, few)) == 7
    assert len(pairs_of(views, bands, whole(drawn.grey), few)) <= 7


def two_panels(
    first: FloatImage, second: FloatImage, *, noise: float = 1.0
) -> tuple[BlotPairs, tuple[Window, ...]]:
    """Two blots, one above the other, searched together."""
    gap = 12
    width = max(first.shape[1], second.shape[1])
    figure = np.full((first.shape[0] + gap + second.shape[0], width), 255, np.float32)
    panels = (
        Window(0, 0, first.shape[1], first.shape[0]),
        Window(0, first.shape[0] + gap, second.shape[1], figure.shape[0]),
    )
    for panel, grey in zip(panels, (first, second), strict=True):
        figure[panel.top : panel.bottom, panel.left : panel.right] = grey
    return compare_bands(views_of(figure, noise=noise), panels, usable(figure), SETTINGS), panels


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_blot_shown_twice_matches_as_a_whole(mirrored: bool) -> None:
    grey = blot(81, rows=1, columns=6).grey
    other = np.ascontiguousarray(grey[:, ::-1] if mirrored else grey) * np.float32(0.9) + 12
    found, panels = two_panels(grey, other)
    (one,) = whole_blots(found, panels, SETTINGS)
    assert (one.first, one.second) == (0, 1) and one.lanes >= 4
    width = grey.shape[1]
    sign, start = (-1.0, width - 1.0) if mirrored else (1.0, 0.0)
    true = np.array([[sign, 0, start], [0, 1, panels[1].top]])
    corners = np.array([(width * 0.2, 30, 1.0), (width * 0.8, 40, 1.0)])
    assert np.abs(corners @ (one.affine - true).T).max() < 4


def test_different_blots_and_single_shared_bands_do_not_match_as_wholes() -> None:
    first, second = blot(82, rows=1, columns=6), blot(83, rows=1, columns=6)
    found, panels = two_panels(first.grey, second.grey)
    assert whole_blots(found, panels, SETTINGS) == []
    grey = second.grey.copy()
    for column in (0, 3):  # two of six lanes
        (x, y), (to_x, to_y) = first.centres[0, column], second.centres[0, column]
        a, b, c, d = round(x), round(y), round(to_x), round(to_y)
        grey[d - 10 : d + 11, c - 24 : c + 25] = first.grey[b - 10 : b + 11, a - 24 : a + 25]
    found, panels = two_panels(first.grey, grey)
    assert len(found.pairs) >= 2
    assert whole_blots(found, panels, SETTINGS) == []


def test_two_lanes_are_too_few_for_a_whole() -> None:
    grey = blot(84, rows=1, columns=2).grey
    found, panels = two_panels(grey, grey)
    assert found.pairs
    assert whole_blots(found, panels, SETTINGS) == []


def test_rivals_lower_what_does_not_stand_out() -> None:
    alone = among_rivals(np.array([4.0, *[-4.0] * 20]))
    crowded = among_rivals(np.array([4.0, *[3.5] * 20]))
    assert alone[0] > crowded[0] + 2
    assert among_rivals(np.empty(0)).shape == (0,)
