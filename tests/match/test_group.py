from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from forgecli.detection import Affine, Instance, Pair
from forgecli.match.agreement import Mask, Placed, Window
from forgecli.match.candidates import Candidate
from forgecli.match.group import group
from forgecli.match.panels import Layout
from forgecli.match.settings import MatchSettings
from kernels.rle import decode

SHAPE = (200, 300)
SETTINGS = MatchSettings()
WHOLE = (Window(0, 0, 300, 200),)
Box = tuple[int, int, int, int]
A, B, C, D = (10, 10, 40, 30), (100, 10, 130, 30), (200, 10, 230, 30), (10, 100, 40, 120)


def placed(box: Box) -> Placed:
    window = Window(*box)
    return Placed(window, np.ones((window.height, window.width), bool))


def shift(first: Box, second: Box, mirrored: bool = False) -> Affine:
    moved = np.array([[1.0, 0, second[0] - first[0]], [0, 1, second[1] - first[1]]])
    if mirrored:
        moved[0] = (-1, 0, first[0] + second[2] - 1)
    return moved


def pair(first: Box, second: Box, *, support: int = 9, mirrored: bool = False) -> Candidate:
    return Candidate(
        first=placed(first),
        second=placed(second),
        affine=shift(first, second, mirrored),
        support=support,
        rivals=0,
        rank_score=1.0,
    )


def grouped(
    *candidates: Candidate, panels: tuple[Window, ...] = WHOLE
) -> tuple[tuple[Instance, ...], tuple[Pair, ...]]:
    layout = Layout(panels, np.ones(SHAPE, bool), np.zeros(SHAPE, np.int32))
    accepted = [(candidate, 0.9 - 0.01 * n) for n, candidate in enumerate(candidates)]
    instances, pairs = group(accepted, layout, SHAPE, SETTINGS)
    for instance in instances:  # what holds whatever was grouped
        regions = [decode(region, SHAPE) for region in instance.regions]
        assert len(regions) >= 2
        np.testing.assert_array_equal(decode(instance.runs, SHAPE), np.any(regions, axis=0))
    for found in pairs:
        assert found.first != found.second
        assert max(found.first, found.second) < len(instances[found.instance].regions)
    return instances, pairs


def mask_of(boxes: Sequence[Box]) -> Mask:
    mask = np.zeros(SHAPE, bool)
    for box in boxes:
        mask |= placed(box).on(SHAPE)
    return mask


def assert_covers(instance: Instance, *boxes: Box) -> None:
    np.testing.assert_array_equal(decode(instance.runs, SHAPE), mask_of(boxes))


def test_nothing_accepted() -> None:
    assert grouped() == ((), ())


def test_a_pair_is_one_instance() -> None:
    candidate = pair(A, B, support=17, mirrored=True)
    (instance,), (found,) = grouped(candidate)
    assert_covers(instance, A, B)
    regions = [decode(region, SHAPE) for region in instance.regions]
    np.testing.assert_array_equal(regions[found.first], mask_of([A]))
    np.testing.assert_array_equal(regions[found.second], mask_of([B]))
    np.testing.assert_array_equal(found.affine, candidate.affine)
    assert (found.inliers, found.correlation, found.mirrored) == (17, 0.9, True)


@pytest.mark.parametrize(
    "chain",
    [[(A, B), (B, C)], [(A, B), (A, C)], [(A, C), (B, C)], [(A, B), (B, C), (C, A)]],
    ids=["chain", "from one", "to one", "ring"],
)
def test_three_copies_are_one_instance(chain: list[tuple[Box, Box]]) -> None:
    (instance,), pairs = grouped(*(pair(*boxes) for boxes in chain))
    assert_covers(instance, A, B, C)
    assert len(instance.regions) == 3
    assert len(pairs) == len(chain)
    for found, (first, second) in zip(pairs, chain, strict=True):
        regions = [decode(region, SHAPE) for region in instance.regions]
        np.testing.assert_array_equal(regions[found.first], mask_of([first]))
        np.testing.assert_array_equal(regions[found.second], mask_of([second]))


def test_two_separate_pairs_are_two_the_larger_first() -> None:
    large, copy = (10, 60, 90, 110), (110, 60, 190, 110)
    instances, pairs = grouped(pair(A, B), pair(large, copy))
    assert len(instances) == 2
    assert_covers(instances[0], large, copy)
    assert_covers(instances[1], A, B)
    assert sorted(found.instance for found in pairs) == [0, 1]


def test_two_chains_that_meet_late_are_one() -> None:
    (instance,), pairs = grouped(pair(A, B), pair(C, D), pair(B, C))
    assert_covers(instance, A, B, C, D)
    assert len(pairs) == 3


def test_masks_that_cover_each_other_are_one_region() -> None:
    nearly = (12, 11, 44, 31)
    (instance,), pairs = grouped(pair(A, B), pair(nearly, C))
    assert len(instance.regions) == 3
    assert_covers(instance, A, nearly, B, C)
    assert len(pairs) == 2


def test_a_small_mask_inside_a_large_one_belongs_to_it() -> None:
    inside = (15, 15, 25, 25)
    (instance,), _ = grouped(pair(A, B), pair(inside, C))
    assert_covers(instance, A, B, C)


def test_masks_that_overlap_a_little_stay_apart() -> None:
    beside = (36, 10, 66, 30)
    instances, _ = grouped(pair(A, B), pair(beside, C))
    assert len(instances) == 2


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_mask_that_covers_two_regions_joins_them(order: tuple[int, ...]) -> None:
    other, wide = (45, 10, 75, 30), (10, 10, 75, 30)
    wide_copy = (10, 100, 75, 120)
    candidates = [pair(A, B), pair(other, C), pair(wide, wide_copy)]
    (instance,), pairs = grouped(*(candidates[n] for n in order))
    assert_covers(instance, wide, wide_copy, B, C)
    assert len(instance.regions) == 4
    assert len(pairs) == 3


def test_one_pair_is_kept_for_two_regions_the_best() -> None:
    again = pair((11, 10, 41, 30), (101, 10, 131, 30), support=5)
    (_,), (found,) = grouped(pair(A, B, support=8), again)
    assert found.inliers == 8
    (_,), (found,) = grouped(pair(A, B, support=8), pair(B, A, support=5))
    assert found.inliers == 8


def test_a_region_is_no_copy_of_itself() -> None:
    assert grouped(pair(A, (14, 10, 44, 30))) == ((), ())


PANELS = (Window(0, 0, 100, 100), Window(110, 0, 210, 100), Window(0, 110, 100, 200))


def test_regions_that_fill_most_of_two_panels_stand_for_them() -> None:
    first, second = (10, 10, 95, 95), (120, 10, 205, 95)
    (instance,), _ = grouped(pair(first, second), panels=PANELS)
    assert_covers(instance, (0, 0, 100, 100), (110, 0, 210, 100))


def test_both_regions_must_fill_their_panels() -> None:
    first, second = (10, 10, 95, 95), (120, 120, 205, 195)
    (instance,), _ = grouped(pair(first, second), panels=PANELS)
    assert_covers(instance, first, second)
    small, copy = (10, 10, 50, 50), (120, 10, 160, 50)
    (instance,), _ = grouped(pair(small, copy), panels=PANELS)
    assert_covers(instance, small, copy)


def test_an_image_of_one_panel_is_never_its_own_region() -> None:
    first, second = (0, 0, 150, 200), (150, 0, 300, 200)
    (instance,), _ = grouped(pair(first, second))
    assert len(instance.regions) == 2


def test_a_panel_and_pieces_of_it_are_one_instance() -> None:
    first, second = (5, 5, 95, 95), (115, 5, 205, 95)
    piece, elsewhere = (20, 20, 50, 50), (20, 130, 50, 160)
    (instance,), pairs = grouped(pair(first, second), pair(piece, elsewhere), panels=PANELS)
    assert_covers(instance, (0, 0, 100, 100), (110, 0, 210, 100), elsewhere)
    assert len(pairs) == 2


def test_blots_that_match_by_lanes_are_whole_panels() -> None:
    panels = (Window(0, 0, 90, 90), Window(100, 0, 190, 90), Window(200, 0, 290, 90))
    layout = Layout(panels, np.ones(SHAPE, bool), np.zeros(SHAPE, np.int32))
    candidate = pair(B, A)  # a band each, the second panel named first
    for wholes, area in (((panels[:2],), 2 * 90 * 90), ((panels[1:],), 2 * 30 * 20), ((), 1200)):
        (instance,), _ = group([(candidate, 0.9)], layout, SHAPE, SETTINGS, wholes=wholes)
        assert np.count_nonzero(decode(instance.runs, SHAPE)) == area
