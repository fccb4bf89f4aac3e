from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Placed, Window
from forgecli.match.bands import Bands, bands_of
from forgecli.match.candidates import Candidate, candidates
from forgecli.match.grow import CopiedRegion, grow
from forgecli.match.outline import outline
from forgecli.match.proposals import Matches
from forgecli.match.settings import MatchSettings
from tests.match.pictures import (
    Forgery,
    clone,
    mask_of_disc,
    overlap,
    photograph,
    similarity,
    tissue,
)

SHAPE = (240, 320)
SOURCE, TARGET = (80.0, 80.0), (230.0, 150.0)
SETTINGS = MatchSettings()
EVERYWHERE = np.ones(SHAPE, bool)


def matches_on(mask: Mask, affine: Affine, step: int = 9) -> Matches:
    """Exact matches on a grid of points of a mask."""
    ys, xs = np.nonzero(mask)
    on_grid = (xs % step == 0) & (ys % step == 0)
    points = np.column_stack((xs[on_grid], ys[on_grid])).astype(float)
    return following(points, affine)


def following(points: NDArray[np.float64], affine: Affine) -> Matches:
    landed = points @ affine[:, :2].T + affine[:, 2]
    linear = np.tile(affine[:, :2].ravel(), (len(points), 1))
    return np.column_stack((points, landed, linear))


def back(affine: Affine) -> Affine:
    return np.asarray(np.linalg.inv(np.vstack((affine, (0, 0, 1))))[:2])


def strangers(count: int, seed: int = 0) -> Matches:
    """Matches between places that have nothing in common."""
    random = np.random.default_rng(seed)
    points = random.uniform(20, (SHAPE[1] - 20, SHAPE[0] - 20), (count, 2))
    goals = random.uniform(20, (SHAPE[1] - 20, SHAPE[0] - 20), (count, 2))
    turns = random.uniform(0, 2 * np.pi, count)
    linear = np.column_stack((np.cos(turns), -np.sin(turns), np.sin(turns), np.cos(turns)))
    return np.column_stack((points, goals, linear))


def found_in(
    bands: Bands, matches: Matches, usable: Mask = EVERYWHERE, settings: MatchSettings = SETTINGS
) -> list[Candidate]:
    return list(candidates(bands, np.ascontiguousarray(matches), usable, settings))


def shares(candidate: Candidate, forgery: Forgery) -> float:
    both = candidate.first.on(SHAPE) | candidate.second.on(SHAPE)
    return overlap(both, forgery.source | forgery.copy)


@pytest.fixture(scope="module")
def forgery() -> Forgery:
    affine = similarity(SOURCE, TARGET, turn=25)
    return clone(tissue(SHAPE, seed=3), mask_of_disc(SHAPE, SOURCE, 26), affine)


@pytest.fixture(scope="module")
def bands(forgery: Forgery) -> Bands:
    return bands_of(photograph(forgery.grey, noise=1))


def test_one_copy_is_one_candidate_whichever_way_it_was_matched(
    bands: Bands, forgery: Forgery
) -> None:
    matches = np.concatenate(
        (
            matches_on(forgery.source, forgery.affine),
            matches_on(forgery.copy, back(forgery.affine)),
        )
    )
    only, *more = found_in(bands, matches)
    assert len(more) <= 1  # a match at the very edge may be left over
    assert shares(only, forgery) > 0.75
    assert only.rivals == 0
    assert only.support > 30


def test_two_thousand_strangers_do_not_hide_a_copy(bands: Bands, forgery: Forgery) -> None:
    few = matches_on(forgery.source, forgery.affine, step=20)
    assert len(few) <= 8
    found = found_in(bands, np.concatenate((strangers(2000), few)))
    assert found[0].rivals == 0
    assert shares(found[0], forgery) > 0.75


def test_maps_over_what_is_no_evidence_take_no_place(bands: Bands, forgery: Forgery) -> None:
    usable = EVERYWHERE.copy()
    usable[:, 140:180] = False
    on_marks = np.array([[150.0, y, 170.0, y, 1, 0, 0, 1] for y in range(20, 220, 2)])
    copied = np.tile(tissue((240, 20), seed=8), (1, 2))
    grey = bands.grey.copy()
    grey[:, 140:180] = copied  # the best matches of all, on ground that is no evidence
    seen = bands_of(photograph(grey))
    limit = MatchSettings(max_candidates=1)
    matches = np.concatenate((on_marks, matches_on(forgery.source, forgery.affine)))
    (only,) = found_in(seen, matches, usable, limit)
    assert shares(only, forgery) > 0.7
    assert found_in(seen, on_marks, usable) == []
    assert found_in(seen, on_marks) != []


def test_texture_that_repeats_leaves_places_for_a_copy() -> None:
    tile = tissue((20, 20), seed=2)
    grey = tissue(SHAPE, seed=3)
    grey[:, 160:] = np.tile(tile, (12, 8))
    affine = similarity((40, 60), (110, 190))
    made = clone(grey, mask_of_disc(SHAPE, (40, 60), 18), affine)
    points = np.array([[170.0 + 20 * i, 12.0 + 20 * k] for i in range(7) for k in range(11)])
    random = np.random.default_rng(0)
    pairs = [random.choice(len(points), 2, replace=False) for _ in range(400)]
    repeats = np.array([[*points[a], *points[b], 1, 0, 0, 1] for a, b in pairs])
    few = matches_on(made.source, affine, step=16)
    found = found_in(bands_of(photograph(made.grey)), np.concatenate((repeats, few)))
    assert max(shares(candidate, made) for candidate in found) > 0.7
    assert len(found) < SETTINGS.max_candidates


def test_a_mirrored_copy_is_told_from_its_source() -> None:
    affine = similarity((60, 120), (160, 120), mirrored=True)  # across the line between them
    made = clone(tissue(SHAPE, seed=3), mask_of_disc(SHAPE, (60, 120), 30), affine)
    seen = bands_of(photograph(made.grey, noise=1))
    matches = np.concatenate((matches_on(made.source, affine), matches_on(made.copy, affine)))
    only = found_in(seen, matches)[0]
    assert shares(only, made) > 0.75
    assert not (only.first.on(SHAPE) & only.second.on(SHAPE)).any()


def in_two_pieces() -> tuple[Forgery, Bands]:
    """A copy whose middle was painted over after it was made."""
    affine = similarity((80, 120), (230, 120))
    source = np.zeros(SHAPE, bool)
    source[60:180, 60:100] = True
    made = clone(tissue(SHAPE, seed=3), source, affine)
    grey = made.grey.copy()
    grey[100:140, 200:260] = tissue((40, 60), seed=9)
    return made, bands_of(photograph(grey, noise=1))


def test_matches_lead_growth_to_the_other_piece_of_a_copy() -> None:
    made, seen = in_two_pieces()
    seed = np.array([[80.0, 75.0]])
    alone = grow(seen, made.affine, seed, SETTINGS)
    matches = matches_on(made.source, made.affine, step=15)
    led = grow(seen, made.affine, seed, SETTINGS, matches=matches)
    assert alone is not None
    assert led is not None
    upper, lower = np.s_[62:96, 62:98], np.s_[144:176, 62:98]
    assert alone.first.on(SHAPE)[upper].mean() > 0.95
    assert alone.first.on(SHAPE)[lower].mean() < 0.05
    assert led.first.on(SHAPE)[upper].mean() > 0.95
    assert led.first.on(SHAPE)[lower].mean() > 0.95


def test_matches_that_the_image_does_not_bear_out_lead_nowhere(
    bands: Bands, forgery: Forgery
) -> None:
    alone = grow(bands, forgery.affine, np.array([SOURCE]), SETTINGS)
    points = np.random.default_rng(0).uniform(20, 150, (300, 2))
    led = grow(
        bands, forgery.affine, np.array([SOURCE]), SETTINGS,
        matches=following(points, forgery.affine),
    )  # fmt: skip
    assert alone is not None
    assert led is not None
    drawn = [outline(bands, region, SETTINGS).first.on(SHAPE) for region in (led, alone)]
    assert overlap(*drawn) > 0.85


def test_what_lies_on_no_evidence_is_given_up(bands: Bands, forgery: Forgery) -> None:
    seed = np.array([SOURCE])
    for usable, grown in ((EVERYWHERE, True), (~forgery.source, False)):
        found = grow(bands, forgery.affine, seed, SETTINGS, usable=usable)
        assert (found is not None) == grown


def test_the_outline_of_a_small_copy_leaves_out_the_rim_that_the_window_adds() -> None:
    affine = similarity(SOURCE, TARGET, turn=25)
    made = clone(tissue(SHAPE, seed=3), mask_of_disc(SHAPE, SOURCE, 11), affine)
    seen = bands_of(photograph(made.grey, noise=1))
    grown = grow(seen, affine, np.array([SOURCE]), SETTINGS)
    assert grown is not None
    drawn = outline(seen, grown, SETTINGS).first.on(SHAPE)
    assert drawn[made.source].mean() > 0.6
    assert (drawn & made.source).sum() / drawn.sum() > 0.85


def test_on_plain_ground_a_small_copy_ends_where_its_grain_does() -> None:
    grain = np.random.default_rng(4).normal(0, 2.5, SHAPE).astype(np.float32)
    ground = np.asarray(100 + cv2.GaussianBlur(grain, (0, 0), 0.7), np.float32)
    affine = similarity(SOURCE, TARGET)
    made = clone(ground, mask_of_disc(SHAPE, SOURCE, 13), affine)
    seen = bands_of(photograph(made.grey))
    grown = mask_of_disc(SHAPE, SOURCE, 19)[20:140, 20:140]  # smooth ground agrees with its like
    part = CopiedRegion(Placed(Window(20, 20, 140, 140), grown), affine)
    precision = []
    for level in (SETTINGS.outline_texture, 1.0):
        drawn = outline(seen, part, replace(SETTINGS, outline_texture=level)).first.on(SHAPE)
        assert drawn[made.source].mean() > 0.7
        precision.append((drawn & made.source).sum() / drawn.sum())
    assert precision[0] > 0.75
    assert precision[0] > precision[1] + 0.05


def test_smooth_ground_inside_a_copy_is_filled() -> None:
    affine = similarity(SOURCE, TARGET)
    made = clone(tissue(SHAPE, seed=3), mask_of_disc(SHAPE, SOURCE, 40), affine)
    seen = bands_of(photograph(made.grey))
    bay = np.s_[72:82, 80:120]  # a gap that opens to the outside
    mask = made.source.copy()
    mask[bay] = False
    window = Window(20, 20, 140, 140)
    part = CopiedRegion(Placed(window, mask[20:140, 20:140]), affine)
    drawn = outline(seen, part, SETTINGS).first.on(SHAPE)
    assert drawn[72:82, 82:108].mean() > 0.9


def test_no_matches() -> None:
    seen = bands_of(photograph(tissue(SHAPE, seed=3)))
    assert found_in(seen, np.empty((0, 8))) == []
    assert found_in(seen, strangers(50), np.zeros(SHAPE, bool)) == []
