from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.segment.thresholds import Thresholds
from forgecli.tune.grid import Grid
from forgecli.tune.overlap import pixel_overlap
from forgecli.tune.stack import Stack, is_quiet, quiet
from forgecli.tune.sweep import best, best_cut, best_of, gate_after
from forgecli.tune.tables import ImageTable
from tests.tune.maps import GRID, tables_of


def hand_made(forged: bool, level: float, scores: list[list[float]], grid: Grid) -> ImageTable:
    """A table with these scores (P, M) for the first policy."""
    values = np.asarray(scores, np.float64)[None]
    none = np.zeros(len(grid.pixels), np.int64)
    flagged = np.ones(values.shape, bool) if forged else values == 0
    return ImageTable("", int(forged), values, flagged, np.array([level]), int(forged), none, none)


def small_grid(pixels: int) -> Grid:
    return Grid(tuple(np.linspace(0.1, 0.9, pixels).tolist()), (0,), (1.0,), ("merged",))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.booleans())
def test_the_score_is_that_of_the_thresholds(seed: int, count: int, plateau: bool) -> None:
    tables = tables_of(seed, count)
    found = best(tables, GRID, plateau=plateau)
    stack = Stack.of(tables, GRID)
    assert stack.scores_at(found.thresholds).mean() == pytest.approx(found.score)
    assert found.all_authentic == pytest.approx(stack.silent.mean())
    assert found.all_authentic <= found.score + 1e-12 <= found.highest + 1e-11


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_the_highest_score_is_that_of_every_gate_tried_by_itself(seed: int, count: int) -> None:
    tables = tables_of(seed, count)
    stack = Stack.of(tables, GRID)
    scores = [stack.silent.mean()]
    for pixel, area, (q, quantile), policy in product(
        GRID.pixels, GRID.min_areas, enumerate(GRID.quantiles), GRID.policies
    ):
        for gate in [*stack.levels[:, q].tolist(), 1.0]:
            wanted = Thresholds(pixel, area, quantile, gate, policy)
            scores.append(stack.scores_at(wanted).mean())
    assert best(tables, GRID).highest == pytest.approx(max(scores))
    assert best(tables, GRID, plateau=False).score == pytest.approx(max(scores))


def test_the_gate_parts_the_authentic_from_the_forged() -> None:
    grid = small_grid(1)
    tables = [
        hand_made(True, 0.9, [[0.8]], grid),
        hand_made(True, 0.8, [[0.6]], grid),
        hand_made(False, 0.5, [[0.0]], grid),
        hand_made(False, 0.4, [[0.0]], grid),
    ]
    found = best(tables, grid, plateau=False)
    assert 0.5 < found.thresholds.gate <= 0.8
    assert found.score == pytest.approx((0.8 + 0.6 + 1 + 1) / 4)
    assert found.all_authentic == pytest.approx(0.5)


def lined_up(runs: list[tuple[int, bool, float]]) -> list[ImageTable]:
    """Images in the order of their scores: how many, whether forged, what each scores."""
    grid = small_grid(1)
    every = [(forged, score) for count, forged, score in runs for _ in range(count)]
    return [
        hand_made(forged, 0.9 - 0.001 * place, [[score]], grid)
        for place, (forged, score) in enumerate(every)
    ]


def test_a_gate_that_lucky_images_made_is_not_taken() -> None:
    """Behind four false alarms stand six good images: a little more in total, and a cliff."""
    tables = lined_up([(30, True, 0.5), (4, False, 0.0), (6, True, 0.7), (60, False, 0.0)])
    grid = small_grid(1)
    spike, plateau = best(tables, grid, plateau=False), best(tables, grid)
    passing = [Stack.of(tables, grid).flags(f.thresholds).sum() for f in (spike, plateau)]
    assert passing == [40, 30]


def test_a_good_gate_is_not_given_up_for_a_plateau() -> None:
    """All forged images before all authentic ones: no more than an image may be lost."""
    tables = lined_up([(50, True, 0.3), (50, False, 0.0)])
    found = best(tables, small_grid(1))
    assert found.score >= found.highest - 0.1 / np.sqrt(100) - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_little_is_given_up_for_a_plateau(seed: int, count: int) -> None:
    found = best(tables_of(seed, count), GRID)
    given_up = max(0.5, 0.1 * np.sqrt(count)) / count
    assert found.highest - found.score <= given_up + 1e-9


def test_what_is_alike_is_resolved_towards_authentic() -> None:
    grid = Grid((0.2, 0.5), (0, 10), (1.0,), ("merged",))
    same = [[0.5, 0.5], [0.5, 0.5]]
    indifferent = [[1.0, 1.0], [1.0, 1.0]]  # authentic, without components: any gate will do
    tables = [
        hand_made(True, 0.9, same, grid),
        *(hand_made(False, level, indifferent, grid) for level in (0.8, 0.7)),
    ]
    found = best(tables, grid, plateau=False).thresholds
    assert (found.pixel, found.min_area) == (0.5, 10)
    assert 0.8 < found.gate <= 0.9


def test_nothing_to_gain_is_quiet() -> None:
    grid = small_grid(3)
    tables = [
        hand_made(False, 0.9, [[0.0]] * 3, grid),
        hand_made(True, 0.5, [[0.0]] * 3, grid),
    ]
    found = best(tables, grid)
    assert is_quiet(found.thresholds)
    assert found.score == found.all_authentic == 0.5
    stack = Stack.of(tables, grid)
    assert stack.scores_at(found.thresholds).tolist() == [1, 0]
    assert not stack.flags(found.thresholds).any()


def test_equal_scores_pass_together() -> None:
    grid = small_grid(1)
    tables = [
        hand_made(True, 0.9, [[1.0]], grid),
        hand_made(False, 0.9, [[0.0]], grid),
    ]
    found = best(tables, grid, plateau=False)
    assert found.highest == 0.5
    assert is_quiet(found.thresholds)


@given(
    st.lists(st.sampled_from([0.0, 1e-9, 0.2, 0.5, 1 - 1e-15, 1 - 2**-53]), min_size=1, max_size=6),
    st.data(),
)
def test_a_gate_lets_as_many_pass_as_it_should(levels: list[float], data: st.DataObject) -> None:
    descending = np.array(sorted(levels, reverse=True))
    cuts = [
        count
        for count in range(1, len(levels) + 1)
        if count == len(levels) or descending[count - 1] > descending[count]
    ]
    passing = data.draw(st.sampled_from(cuts))
    assert (descending >= gate_after(descending, passing)).sum() == passing


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), min_size=0, max_size=12))
def test_a_cut_never_costs(pairs: list[tuple[float, float]]) -> None:
    levels = np.array([level for level, _ in pairs], np.float64)
    gains = np.array([gain for _, gain in pairs], np.float64)
    gate, gain = best_cut(levels, gains)
    if gate is None:
        assert gain == 0
    else:
        assert gain > 0
        assert gains[levels >= gate].sum() == pytest.approx(gain)


def test_a_quiet_setting_is_quiet_whatever_the_network_says() -> None:
    certain = [ImageTable.of(np.full((1, 4, 4), 1e30, np.float32), [], GRID)]
    stack = Stack.of(certain, GRID)
    assert stack.flags(Thresholds(quantile=1.0, gate=0.999999)).all()
    assert not stack.flags(quiet(Thresholds(quantile=1.0))).any()


def test_a_setting_off_the_grid_is_refused() -> None:
    stack = Stack.of(tables_of(1, 2), GRID)
    with pytest.raises(ValueError, match="not in"):
        stack.scores_at(Thresholds(pixel=0.31))


def test_some_of_the_images() -> None:
    tables = tables_of(3, 8)
    stack = Stack.of(tables, GRID)
    chosen = np.array([1, 4, 6])
    apart = best([tables[index] for index in chosen], GRID)
    assert best_of(stack.take(chosen)) == apart


def test_dice_by_hand() -> None:
    """Half of the truth found, as much beside it; an authentic image with two false pixels."""
    truth = np.array([[0, 4]], np.int64)
    forged = np.full((1, 4, 4), -3, np.float32)
    forged[0, :2, :2] = 3
    authentic = np.full((1, 4, 4), -3, np.float32)
    authentic[0, 0, :2] = 3
    tables = [ImageTable.of(forged, [truth], GRID), ImageTable.of(authentic, [], GRID)]
    found = pixel_overlap(tables, GRID)
    assert found.at(0.5) == pytest.approx((4 / 8, 4 / 12))
    assert found.pooled_dice[1] == pytest.approx(4 / 10)
    assert found.pooled_iou[1] == pytest.approx(2 / 8)
    assert found.best_pixel() == 0.9


def test_dice_without_forged_images() -> None:
    found = pixel_overlap(tables_of(0, 1), GRID)
    assert np.isnan(found.dice).all()
    assert found.best_pixel() == 0.9
