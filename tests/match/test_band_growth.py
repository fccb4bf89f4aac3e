"""A region grown from two bands holds what was copied, and stops at the neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Placed, Window, warp_mask
from forgecli.match.band_growth import band_candidates, grow_bands
from forgecli.match.band_pairs import BandPair, pairs_of
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.blots import bands_and_lanes, blot_candidates
from forgecli.match.candidates import Candidate
from forgecli.match.lanes import Band
from forgecli.match.settings import MatchSettings
from tests.match.drawn_blots import DrawnBlot, blot, copied, views_of

SETTINGS = MatchSettings()
Box = tuple[int, int, int, int]


def around(drawn: DrawnBlot, row: int, columns: range, rim: int = 5) -> Box:
    """A box (left, top, right, bottom) around some bands of a row."""
    x, y = drawn.centres[row, columns.start : columns.stop].T
    return (
        round(x.min()) - 19 - rim, round(y.min()) - 7 - rim,
        round(x.max()) + 19 + rim, round(y.max()) + 7 + rim,
    )  # fmt: skip


def shift(drawn: DrawnBlot, source: tuple[int, int], goal: tuple[int, int]) -> Affine:
    move = np.rint(drawn.centres[goal] - drawn.centres[source])
    return np.column_stack((np.eye(2), move))


def forged(grey: FloatImage, affine: Affine, box: Box) -> tuple[Bands, Mask, Mask]:
    """The views of a blot with a box copied, and the masks of the box and of its copy."""
    views = views_of(copied(grey, affine, box))
    first = np.zeros(grey.shape, bool)
    first[box[1] : box[3], box[0] : box[2]] = True
    placed = Placed(Window(0, 0, grey.shape[1], grey.shape[0]), first)
    return views, first, warp_mask(placed, affine, grey.shape).on(grey.shape)


def compared(views: Bands) -> tuple[list[Band], list[BandPair], tuple[Window, ...]]:
    panels = (Window(0, 0, views.shape[1], views.shape[0]),)
    bands, _ = bands_and_lanes(views, panels, np.ones(views.shape, bool), SETTINGS)
    return bands, pairs_of(views, bands, panels, SETTINGS), panels


def share_inside(region: Mask, truth: Mask) -> tuple[float, float]:
    """Precision and recall."""
    shared = np.count_nonzero(region & truth)
    return shared / np.count_nonzero(region), shared / np.count_nonzero(truth)


def both(candidate: Candidate, shape: tuple[int, int]) -> Mask:
    return np.asarray(candidate.first.on(shape) | candidate.second.on(shape))


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_copied_band_is_held_whole_and_alone(seed: int) -> None:
    drawn = blot(seed)
    affine = shift(drawn, (0, 1), (1, 4))
    views, source, copy = forged(drawn.grey, affine, around(drawn, 0, range(1, 2)))
    bands, pairs, panels = compared(views)
    region = grow_bands(views, bands, pairs[0], panels, SETTINGS)
    assert region is not None
    placed, found, members = region
    assert len(members) == 1
    mask = placed.on(views.shape) | warp_mask(placed, found, views.shape).on(views.shape)
    precision, recall = share_inside(mask, source | copy)
    assert precision > 0.8 and recall > 0.75


def test_bands_copied_side_by_side_are_one_region_and_their_neighbours_none() -> None:
    drawn = blot(7, columns=8)
    affine = shift(drawn, (0, 1), (1, 4))
    views, source, copy = forged(drawn.grey, affine, around(drawn, 0, range(1, 4)))
    bands, pairs, panels = compared(views)
    region = grow_bands(views, bands, pairs[0], panels, SETTINGS)
    assert region is not None
    placed, found, members = region
    assert len(members) == 3
    mask = placed.on(views.shape) | warp_mask(placed, found, views.shape).on(views.shape)
    precision, recall = share_inside(mask, source | copy)
    assert precision > 0.8 and recall > 0.75
    # All three pairs say the same, and are said once.
    usable = np.ones(views.shape, bool)
    few = list(band_candidates(views, bands, pairs[:3], panels, usable, SETTINGS))
    over = [one for one in few if share_inside(both(one, views.shape), source | copy)[0] > 0.7]
    assert len(over) == 1 and over[0].support > 2


def test_candidates_are_few_ranked_and_of_what_may_be_evidence() -> None:
    drawn = blot(9)
    affine = shift(drawn, (0, 1), (1, 4))
    views, source, copy = forged(drawn.grey, affine, around(drawn, 0, range(1, 2)))
    panels = (Window(0, 0, views.shape[1], views.shape[0]),)
    usable = np.ones(views.shape, bool)
    some = replace(SETTINGS, max_band_copies=4, band_similarity=-1e9)
    made, wholes = blot_candidates(views, panels, usable, some)
    assert len(made) == 4 and not wholes
    assert [one.rivals for one in made] == [0, 1, 2, 3]
    assert made[0].rank_score == max(one.rank_score for one in made)
    assert share_inside(both(made[0], views.shape), source | copy)[0] > 0.8
    strict = replace(SETTINGS, band_similarity=1e9)
    assert blot_candidates(views, panels, usable, strict) == ([], [])
    assert blot_candidates(views, panels, ~usable, some) == ([], [])
    assert blot_candidates(views, (), usable, some) == ([], [])


def test_a_map_that_leaves_the_picture_grows_nothing() -> None:
    drawn = blot(11)
    views = views_of(drawn.grey)
    bands, pairs, panels = compared(views)
    away = replace(pairs[0], affine=pairs[0].affine + np.array([[0, 0, 0], [0, 0, 900.0]]))
    assert grow_bands(views, bands, away, panels, SETTINGS) is None
