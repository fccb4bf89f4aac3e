from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.match.calibration import Calibration
from forgecli.match.features import FEATURES
from forgecli.match.judge import Judge, Tree, default_judge, judge_from

COLUMNS = len(FEATURES)
Node = dict[str, Any]


def grow_tree(random: np.random.Generator, depth: int) -> Node:
    """A tree of dicts: an inner node has a feature, a leaf has none."""
    if depth == 0 or random.random() < 0.3:
        return {"value": float(random.normal())}
    return {
        "feature": int(random.integers(COLUMNS)),
        "threshold": float(random.integers(-2, 3)),
        "left": grow_tree(random, depth - 1),
        "right": grow_tree(random, depth - 1),
    }


def value_of(node: Node, sample: np.ndarray) -> float:
    """The plain recursive reading of a tree."""
    if "feature" not in node:
        return float(node["value"])
    side = "left" if sample[node["feature"]] <= node["threshold"] else "right"
    return value_of(node[side], sample)


def flat(node: Node) -> dict[str, list[Any]]:
    """The arrays of a tree, as the document holds them."""
    table: dict[str, list[Any]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "value")
    }

    def add(node: Node) -> int:
        number = len(table["value"])
        leaf = "feature" not in node
        table["feature"].append(-2 if leaf else node["feature"])
        table["threshold"].append(0.0 if leaf else node["threshold"])
        table["left"].append(-1)
        table["right"].append(-1)
        table["value"].append(node["value"] if leaf else 0.0)
        if not leaf:
            table["left"][number] = add(node["left"])
            table["right"][number] = add(node["right"])
        return number

    add(node)
    return table


def read_one_by_one(tree: Tree, samples: np.ndarray) -> np.ndarray:
    """The leaf's value for each row of float64 (n, features), by one tree alone: what `Judge` does
    with all trees at once."""
    node, rows = np.zeros(len(samples), np.int64), np.arange(len(samples))
    while (inner := tree.left[node] >= 0).any():
        goes_left = samples[rows, tree.feature[node]] <= tree.threshold[node]
        node = np.where(inner, np.where(goes_left, tree.left[node], tree.right[node]), node)
    return tree.value[node]


def evidence_of(node: Node, samples: np.ndarray) -> np.ndarray:
    """Of a judge of one tree, without what its sum starts from."""
    return replace(judge_from(document([node])), base=0.0).evidence(samples)


def document(trees: list[Node]) -> dict[str, Any]:
    return {
        "features": list(FEATURES),
        "base": -1.5,
        "trees": [flat(tree) for tree in trees],
        "calibration": {"below": 0.8, "above": 0.8, "offset": 0.3},
        "prior": 0.5,
        "operating_points": {
            "rates": [0.01, 0.1],
            "thresholds": {"all": [0.9, 0.8]},
            "authentic_images": {"all": 100},
        },
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 20))
def test_a_tree_is_read_as_the_recursion_says(seed: int, depth: int, count: int) -> None:
    random = np.random.default_rng(seed)
    tree = grow_tree(random, depth)
    # Whole numbers, so that many samples lie exactly on a threshold.
    samples = random.integers(-3, 4, (count, COLUMNS)).astype(np.float64)
    expected = [value_of(tree, sample) for sample in samples]
    np.testing.assert_array_equal(evidence_of(tree, samples), expected)
    alone = judge_from(document([tree])).trees[0]
    np.testing.assert_array_equal(read_one_by_one(alone, samples), expected)


def test_what_cannot_be_measured_goes_right() -> None:
    tree = {"feature": 2, "threshold": 0.0, "left": {"value": 1.0}, "right": {"value": 2.0}}
    samples = np.zeros((3, COLUMNS))
    samples[:, 2] = (np.nan, np.inf, -np.inf)
    np.testing.assert_array_equal(evidence_of(tree, samples), [2, 2, 1])


def test_evidence_is_the_sum_and_probability_its_logistic() -> None:
    random = np.random.default_rng(1)
    trees = [grow_tree(random, 3) for _ in range(5)]
    judge = judge_from(document(trees))
    samples = random.normal(size=(7, COLUMNS))
    expected = [-1.5 + sum(value_of(tree, sample) for tree in trees) for sample in samples]
    evidence = judge.evidence(samples)
    np.testing.assert_allclose(evidence, expected)
    np.testing.assert_allclose(
        judge.probability(evidence), [1 / (1 + np.exp(-(0.8 * e + 0.3))) for e in expected]
    )


def test_all_trees_at_once_say_what_they_say_one_by_one() -> None:
    judge = default_judge()
    random = np.random.default_rng(2)
    samples = random.normal(0, 2, (300, COLUMNS))  # more than are read at a time
    samples[random.random(samples.shape) < 0.1] = np.nan
    expected = judge.base + sum(read_one_by_one(tree, samples) for tree in judge.trees)
    np.testing.assert_allclose(judge.evidence(samples), expected, atol=1e-9)


def test_no_candidates() -> None:
    judge = judge_from(document([{"value": 1.0}]))
    assert judge.evidence(np.empty((0, COLUMNS))).shape == (0,)
    assert judge.probability(np.empty(0)).shape == (0,)


@pytest.mark.filterwarnings("error")
def test_probability_stays_within_bounds_for_any_evidence() -> None:
    judge = Judge(base=0.0, trees=(), calibration=Calibration(1.0, 1.0, 0.0))
    probability = judge.probability(np.array([-1e5, -50.0, 0.0, 50.0, 1e5]))
    assert probability[2] == 0.5
    assert ((probability >= 0) & (probability <= 1)).all()
    assert (np.diff(probability) >= 0).all()


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.99))
def test_another_prior_moves_the_odds_and_nothing_else(score: float, prior: float) -> None:
    judge = Judge(base=0.0, trees=(), calibration=Calibration(1.0, 1.0, 0.0))
    there = judge.at_prior(np.array([score]), prior)[0]
    odds = score / (1 - score) * prior / (1 - prior)
    assert there == pytest.approx(odds / (1 + odds))
    back = replace(judge, prior=prior).at_prior(np.array([there]), 0.5)[0]
    assert back == pytest.approx(score)


def test_a_judge_without_operating_points_is_refused() -> None:
    wrong = document([{"value": 1.0}])
    del wrong["operating_points"]
    with pytest.raises(ValueError, match=r"fit it again with python -m bench\.judge"):
        judge_from(wrong)


def test_a_judge_of_a_feature_that_is_not_measured_is_refused() -> None:
    wrong = document([{"value": 1.0}])
    wrong["features"] = [*FEATURES[:-1], "colour"]
    with pytest.raises(ValueError, match=r"fit it again with python -m bench\.judge.*colour"):
        judge_from(wrong)


@pytest.mark.parametrize("names", [FEATURES[:5], FEATURES[::-1], (*FEATURES, "colour")])
def test_a_judge_of_another_search_is_refused(names: tuple[str, ...]) -> None:
    """With fewer statistics too: its thresholds were measured with another version."""
    other = document([{"value": 1.0}])
    other["features"] = list(names)
    with pytest.raises(ValueError, match="fit it again"):
        judge_from(other)


def test_the_judge_that_comes_with_forge_can_be_read() -> None:
    judge = default_judge()
    assert min(judge.calibration.below, judge.calibration.above) >= 0
    assert judge.calibration.above > 0
    assert 0 < judge.prior < 1
    assert judge.points is not None and judge.points.rates[0] <= 0.01 <= judge.points.rates[-1]
    assert len(judge.trees) > 0
    probability = judge.probability(judge.evidence(np.zeros((2, COLUMNS))))
    assert ((probability > 0) & (probability < 1)).all()
    used = {int(column) for tree in judge.trees for column in tree.feature[tree.left >= 0]}
    assert used == set(range(COLUMNS)), "fitted to other statistics than are measured"
    for tree in judge.trees:
        inner = tree.left >= 0
        assert ((tree.feature >= 0) & (tree.feature < COLUMNS))[inner].all()
        assert (tree.right >= 0)[inner].all()
        # Children come after their parent, so reading a tree ends.
        number = np.arange(len(tree.left))
        assert (tree.left > number)[inner].all()
        assert (tree.right > number)[inner].all()
        assert max(tree.left.max(), tree.right.max()) < len(tree.left)
