from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.segment.thresholds import Thresholds
from forgecli.tune.fuse import MatchScores, fused_gate, fused_scores
from forgecli.tune.stack import Stack
from forgecli.tune.sweep import best_of
from forgecli.tune.validate import cross_validate
from tests.tune.maps import GRID, tables_of


def random_match(seed: int, stack: Stack) -> MatchScores:
    """Match speaks on some images, and is right on some of these."""
    random = np.random.default_rng(seed)
    speaks = random.random(len(stack)) < 0.4
    scores = np.where(speaks, np.where(stack.silent, 0, random.random(len(stack))), stack.silent)
    return MatchScores(scores, speaks)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_fused_is_never_worse_than_match_where_it_was_tuned(seed: int, count: int) -> None:
    stack = Stack.of(tables_of(seed, count), GRID)
    match = random_match(seed, stack)
    thresholds = best_of(stack).thresholds
    gate = fused_gate(stack, match, thresholds)
    fused = fused_scores(stack, match, thresholds, gate)
    assert fused.scores.mean() >= match.scores.mean() - 1e-12
    assert (fused.scores[match.speaks] == match.scores[match.speaks]).all()
    assert fused.flags[match.speaks].all()


def test_a_fused_gate_that_gains_is_found() -> None:
    """Match finds nothing; the network is perfect: fused has to be the network."""
    stack = Stack.of(tables_of(4, 12, noise=0), GRID)
    silent = MatchScores(stack.silent, np.zeros(len(stack), bool))
    thresholds = best_of(stack).thresholds
    gate = fused_gate(stack, silent, thresholds)
    assert gate is not None
    fused = fused_scores(stack, silent, thresholds, gate)
    assert fused.scores.mean() > stack.silent.mean() + 0.3


def test_never_is_silence() -> None:
    stack = Stack.of(tables_of(4, 6), GRID)
    match = MatchScores(stack.silent, np.zeros(len(stack), bool))
    setting = Thresholds(0.5, 0, 1.0, 0.5, "merged")
    fused = fused_scores(stack, match, setting, None)
    assert (fused.scores == stack.silent).all()
    assert not fused.flags.any()


def test_no_image_is_scored_with_thresholds_that_it_helped_to_choose() -> None:
    stack = Stack.of(tables_of(11, 24), GRID)
    fold = np.arange(24) // 2 % 3
    found = cross_validate(stack, fold, np.arange(24) // 2)
    for number in range(3):
        chosen = best_of(stack.take(fold != number))
        assert found.chosen[number] == chosen
        out = stack.take(fold == number)
        expected = out.scores_at(chosen.thresholds)
        assert found.segment.scores[fold == number].tolist() == expected.tolist()
        assert (found.segment.flags[fold == number] == out.flags(chosen.thresholds)).all()
    assert found.segment.out_of_fold == pytest.approx(found.segment.scores.mean())
    assert found.segment.in_fold == pytest.approx(np.mean([one.score for one in found.chosen]))


def test_noise_is_no_better_than_silence_out_of_fold_and_better_in_fold() -> None:
    """Maps that know nothing: what tuning gains on its own images is optimism."""
    optimism, gain = [], []
    for seed in range(12):
        stack = Stack.of(tables_of(seed, 40, noise=60), GRID)
        groups = np.arange(40) // 2
        found = cross_validate(stack, groups % 5, groups).segment
        optimism.append(found.optimism)
        gain.append(found.gain)
    assert np.mean(optimism) > 0.005
    assert np.mean(gain) < np.mean(optimism)


def test_the_standard_error_is_that_of_groups() -> None:
    """Every image four times in a group: the error is that of the groups, not half of it."""
    tables = tables_of(5, 30)
    repeated = [table for table in tables for _ in range(4)]
    stack = Stack.of(repeated, GRID)
    groups = np.repeat(np.arange(30), 4)
    found = cross_validate(stack, groups % 3, groups).segment
    gains = (found.scores - found.baseline)[::4]
    assert found.standard_error == pytest.approx(gains.std() / np.sqrt(30))
    assert found.standard_error > 0
