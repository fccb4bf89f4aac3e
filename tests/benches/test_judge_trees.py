"""The judge's trees: what they may learn, and what is written of them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.judge_trees import BoostedTrees, directions

pytest.importorskip("sklearn")


def test_what_says_that_two_regions_agree_speaks_for_a_copy() -> None:
    names = ("log_area", "fine_mean", "local_low", "residual_relative", "noise_all", "noise")
    assert directions(names) == [1, 1, 1, -1, 1, 0]


def test_trees_do_not_learn_the_wrong_way_round() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 2))
    # In these samples, agreement seems to speak against a copy.
    copies = features[:, 0] + 0.3 * random.normal(size=600) < 0
    weight = np.ones(600)
    rising = np.stack([np.linspace(-2, 2, 50), np.zeros(50)], axis=1)
    free = BoostedTrees(("anything", "else"), bags=1, count=20, bins=30).fit(
        features, copies, weight
    )
    held = BoostedTrees(("fine_mean", "else"), bags=1, count=20, bins=30).fit(
        features, copies, weight
    )
    assert np.diff(free.evidence(rising)).min() < -0.1
    assert (np.diff(held.evidence(rising)) >= -1e-9).all()


def test_importance_is_that_of_the_column_that_decides() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(400, 3))
    fitted = BoostedTrees(("a", "b", "c"), bags=2, count=10, bins=30)
    fitted.fit(features, features[:, 1] > 0, np.ones(400))
    shares = fitted.importance()
    assert next(iter(shares)) == "b" and shares["b"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-3)
    trees = fitted.document()["trees"]
    assert len(trees) == 20
    assert all(len({len(column) for column in tree.values()}) == 1 for tree in trees)


def test_what_is_not_a_number_is_refused() -> None:
    features = np.zeros((50, 2))
    features[3, 1] = np.nan
    with pytest.raises(ValueError, match="not finite: b"):
        BoostedTrees(("a", "b")).fit(features, np.arange(50) > 20, np.ones(50))
