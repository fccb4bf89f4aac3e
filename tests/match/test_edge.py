from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from forgecli.match.agreement import Mask, Placed, Window, warp_mask
from forgecli.match.bands import bands_of
from forgecli.match.candidates import Candidate
from forgecli.match.edge import EdgeTrees, _without_crumbs, default_edge, with_edge
from forgecli.match.edge_statistics import EDGE_STATISTICS, edge_statistics, planes_of
from forgecli.match.judge import Forest, Tree
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

SHAPE = (220, 260)
SETTINGS = MatchSettings()


def forged(turn: float = 30.0) -> Forgery:
    affine = similarity((75.0, 75.0), (185.0, 150.0), turn=turn)
    return clone(tissue(SHAPE, 3), mask_of_disc(SHAPE, (75.0, 75.0), 24.0), affine)


def candidate(forgery: Forgery, first: Mask) -> Candidate:
    region = Placed(Window(0, 0, SHAPE[1], SHAPE[0]), first)
    copy = warp_mask(region, forgery.affine, SHAPE)
    return Candidate(region, copy, forgery.affine, support=9, rivals=0, rank_score=1.0)


def moved(mask: Mask, by: int) -> Mask:
    side = 2 * abs(by) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    change = cv2.dilate if by > 0 else cv2.erode
    return np.asarray(change(mask.astype(np.uint8), disc) > 0)


def constant(odds: float) -> EdgeTrees:
    return EdgeTrees({"statistics": list(EDGE_STATISTICS), "base": odds, "trees": []})


@pytest.mark.parametrize("by", [-4, -3, 2])
@pytest.mark.parametrize("turn", [0.0, 30.0])
def test_a_wrong_outline_comes_back(by: int, turn: float) -> None:
    made = forged(turn)
    pixels = photograph(made.grey, noise=2.0)
    first = moved(made.source, by)
    after = with_edge(candidate(made, first), planes_of(pixels), bands_of(pixels), SETTINGS)
    wrong = 1.0 - overlap(first, made.source)
    assert 1.0 - overlap(after.first.on(SHAPE), made.source) < 0.6 * wrong
    assert 1.0 - overlap(after.second.on(SHAPE), made.copy) < 0.6 * wrong


def test_an_island_of_chance_is_not_taken() -> None:
    made = forged()
    pixels = photograph(made.grey)
    after = with_edge(candidate(made, made.source), planes_of(pixels), bands_of(pixels), SETTINGS)
    mask = after.first.on(SHAPE).astype(np.uint8)
    assert cv2.connectedComponents(mask, connectivity=4)[0] == 2
    holes, _ = cv2.findContours(1 - np.pad(mask, 1), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    assert len(holes) == 2  # the picture's own frame, and the region's outline


def test_crumbs_are_left_out_and_pieces_are_not() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:25, 5:25] = True  # 400 pixels
    mask[5:9, 40:44] = True  # 16: as many as 4 in a hundred
    mask[30:33, 30:35] = True  # 15
    expected = mask.copy()
    expected[30:33, 30:35] = False
    assert np.array_equal(_without_crumbs(mask, 0.04), expected)
    assert np.array_equal(_without_crumbs(expected, 0.0), expected)
    assert not _without_crumbs(np.zeros((4, 4), bool), 0.04).any()


def test_what_would_vanish_stays_as_it_was() -> None:
    made = forged()
    pixels = photograph(made.grey)
    given = candidate(made, made.source)
    said = with_edge(given, planes_of(pixels), bands_of(pixels), SETTINGS, constant(-4.0))
    assert said is given


def test_what_would_run_out_over_the_ground_stays_as_it_was() -> None:
    made = forged()
    pixels = photograph(made.grey)
    given = candidate(made, made.source)
    planes, bands, all_ = planes_of(pixels), bands_of(pixels), constant(4.0)
    assert with_edge(given, planes, bands, SETTINGS, all_) is given
    wide = with_edge(given, planes, bands, replace(SETTINGS, edge_most=9.0), all_)
    assert wide.first.area > 2 * given.first.area


def test_regions_that_would_meet_stay_as_they_were() -> None:
    affine = similarity((100.0, 100.0), (109.0, 100.0))
    made = clone(tissue(SHAPE, 3), mask_of_disc(SHAPE, (100.0, 100.0), 4.0), affine)
    pixels = photograph(made.grey)
    given = candidate(made, made.source)
    free = replace(SETTINGS, edge_most=99.0)
    planes, bands = planes_of(pixels), bands_of(pixels)
    assert with_edge(given, planes, bands, free, constant(4.0)) is given
    apart = replace(free, same_region=0.99)
    assert with_edge(given, planes, bands, apart, constant(4.0)).first.area > given.first.area


def test_a_negative_is_left_alone() -> None:
    @dataclass(frozen=True, slots=True)
    class Negative(Candidate):
        inverted: ClassVar[bool] = True

    made = forged()
    pixels = photograph(made.grey)
    plain = candidate(made, made.source)
    given = Negative(plain.first, plain.second, plain.affine, 9, 0, 1.0)
    assert with_edge(given, planes_of(pixels), bands_of(pixels), SETTINGS, constant(4.0)) is given


def test_a_region_without_pixels_is_left_alone() -> None:
    made = forged()
    pixels = photograph(made.grey)
    given = candidate(made, np.zeros(SHAPE, bool))
    assert with_edge(given, planes_of(pixels), bands_of(pixels), SETTINGS) is given


def test_trees_as_the_judge_reads_them() -> None:
    document: dict[str, Any] = json.loads(
        files("forgecli.match").joinpath("edge.json").read_text("utf-8")
    )
    values = np.random.default_rng(0).normal(0, 2, (50, len(EDGE_STATISTICS))).astype(np.float32)
    trees = [
        Tree(*(np.array(tree[name]) for name in ("feature", "threshold", "left", "right", "value")))
        for tree in document["trees"]
    ]
    wanted = document["base"] + Forest(trees)(values.astype(np.float64))
    np.testing.assert_allclose(default_edge()(values), wanted, atol=1e-3)
    assert np.ptp(wanted) > 1


def test_trees_of_other_statistics_are_refused() -> None:
    with pytest.raises(ValueError, match="other statistics than this version measures"):
        EdgeTrees({"statistics": ["depth"], "base": 0.0, "trees": []})


def test_grey_is_measured_once_and_colour_three_times() -> None:
    grey = photograph(tissue(SHAPE, 3))
    assert len(planes_of(grey)) == 1
    colour = grey.copy()
    colour[0, 0, 2] ^= 1
    assert len(planes_of(colour)) == 3


def test_the_residual_jumps_at_the_true_edge() -> None:
    made = forged()
    pixels = photograph(made.grey)
    region = Placed(Window(0, 0, SHAPE[1], SHAPE[0]), moved(made.source, 4))
    measured = edge_statistics(planes_of(pixels), bands_of(pixels), region, made.affine)
    assert measured is not None
    shown = dict(zip(EDGE_STATISTICS, measured.values.T, strict=True))
    window = measured.window
    inside = made.source[window.top : window.bottom, window.left : window.right][measured.near]
    rim = shown["depth"] > 0
    assert shown["differs_near"][rim & ~inside].mean() > 1 + shown["differs_near"][inside].mean()
    assert shown["alike_smooth"][inside].mean() > 0.9
    assert measured.values.dtype == np.float32 and np.isfinite(measured.values).all()


@pytest.mark.parametrize("offset", [0.0, 25.0])
def test_gain_and_a_slow_offset_do_not_count(offset: float) -> None:
    made = forged()
    down = np.linspace(-offset, offset, SHAPE[0], dtype=np.float32)[:, None]
    tinted = np.where(made.copy, 0.8 * made.grey + 20 + down, made.grey).astype(np.float32)
    region = Placed(Window(0, 0, SHAPE[1], SHAPE[0]), made.source)
    residual = EDGE_STATISTICS.index("unlike_near")
    said = []
    for grey in (made.grey, tinted):
        pixels = photograph(grey)
        measured = edge_statistics(planes_of(pixels), bands_of(pixels), region, made.affine)
        assert measured is not None
        deep = measured.values[:, EDGE_STATISTICS.index("depth")] > 6
        said.append(float(np.median(measured.values[deep, residual])))
    assert abs(said[1] - said[0]) < 0.35


def test_a_map_out_of_the_image_is_not_compared() -> None:
    made = forged()
    pixels = photograph(made.grey)
    away = made.affine + np.array([[0, 0, 500.0], [0, 0, 0]])
    region = Placed(Window(0, 0, SHAPE[1], SHAPE[0]), made.source)
    assert edge_statistics(planes_of(pixels), bands_of(pixels), region, away) is None
    given = replace(candidate(made, made.source), affine=away)
    assert with_edge(given, planes_of(pixels), bands_of(pixels), SETTINGS) is given
