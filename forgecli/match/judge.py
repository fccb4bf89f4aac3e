"""Whether a candidate is a copy: boosted trees over its statistics, calibrated to a probability.

The trees were fitted by `python -m bench.judge` on synthetic forgeries and authentic images; the
file beside this module says on how many and how well they did on images of other folds.
`python -m bench.accuracy` measures on sources that nothing was fitted on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from forgecli.match.calibration import Calibration
from forgecli.match.features import FEATURES
from forgecli.match.operating import OperatingPoints, points_from

T = TypeVar("T", bound=np.generic)

_ROWS = 256
"""Candidates at a time: with 1,000 trees, an array of nodes takes 2 MB."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One regression tree as arrays over its nodes; a node whose `left` is -1 is a leaf.

    A sample goes left where its feature is at most the threshold.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]


class Forest:
    """Many trees read at once: the nodes of all of them in one row of arrays.

    Args:
        trees: as they are; leaves lead to themselves here.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        sizes = [len(tree.left) for tree in trees]
        self._roots = np.cumsum([0, *sizes])[:-1].astype(np.int64)
        own = np.arange(sum(sizes))
        shift = np.repeat(self._roots, sizes)
        self._feature = _all(trees, "feature", np.int64)
        self._threshold = _all(trees, "threshold", np.float64)
        self._value = _all(trees, "value", np.float64)
        left, right = _all(trees, "left", np.int64), _all(trees, "right", np.int64)
        leaf = left < 0
        self._feature[leaf] = 0
        self._left = np.where(leaf, own, left + shift)
        self._right = np.where(leaf, own, right + shift)

    def __call__(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of the trees' values for each row of float64 (n, features)."""
        total = np.zeros(len(samples))
        for start in range(0, len(samples) if self._roots.size else 0, _ROWS):
            part = samples[start : start + _ROWS]
            node = np.repeat(self._roots[None], len(part), axis=0)
            rows = np.arange(len(part))[:, None]
            while True:
                goes_left = part[rows, self._feature[node]] <= self._threshold[node]
                step = np.where(goes_left, self._left[node], self._right[node])
                if np.array_equal(step, node):
                    break
                node = step
            total[start : start + _ROWS] = self._value[node].sum(axis=1)
        return total


def _all(trees: Sequence[Tree], name: str, kind: type[T]) -> NDArray[T]:
    return np.concatenate([np.zeros(0, kind), *(getattr(tree, name) for tree in trees)])


@dataclass(frozen=True, slots=True)
class Judge:
    """A sum of trees, what turns an image's best sum into a probability, and thresholds.

    Attributes:
        base: what the sum starts from.
        calibration: from an image's best log-odds to the probability that it is forged.
        prior: share of forged images for which the probability is calibrated. Where they are
            rarer, so is a copy at the same score; see `at_prior`.
        points: thresholds by false-positive rate; None: of the judge that comes with forge.
    """

    base: float
    trees: tuple[Tree, ...]
    calibration: Calibration
    prior: float = 0.5
    points: OperatingPoints | None = None
    _forest: Forest = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_forest", Forest(self.trees))

    def evidence(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of each candidate, float64 (n,), from float64 (n, len(FEATURES))."""
        return self.base + self._forest(features)

    def probability(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """The calibrated probability that belongs to log-odds."""
        return self.calibration(evidence)

    def at_prior(self, probability: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
        """The probability where another share of the images is forged (Bayes' rule).

        Args:
            probability: float64 (n,), as `probability` gives it.
            prior: share of forged images, over 0 and under 1.
        """
        forged = probability * prior / self.prior
        authentic = (1.0 - probability) * (1.0 - prior) / (1.0 - self.prior)
        return np.asarray(forged / (forged + authentic))


def judge_from(document: dict[str, Any]) -> Judge:
    """A judge from its JSON document.

    Raises:
        ValueError: the document was fitted on features that this version does not measure, or has
            no operating points.
    """
    if document["features"] != list(FEATURES):  # its thresholds are of another search, too
        raise ValueError(
            "the judge was fitted on other features than this version measures: fit it again with"
            f" python -m bench.judge. Got: {', '.join(document['features'])}"
        )
    trees = tuple(
        Tree(
            feature=np.array(tree["feature"], np.int64),
            threshold=np.array(tree["threshold"], np.float64),
            left=np.array(tree["left"], np.int64),
            right=np.array(tree["right"], np.int64),
            value=np.array(tree["value"], np.float64),
        )
        for tree in document["trees"]
    )
    return Judge(
        document["base"],
        trees,
        Calibration(**document["calibration"]),
        document.get("prior", 0.5),
        points_from(document),
    )


@cache
def default_judge() -> Judge:
    """The judge that comes with forge."""
    text = files("forgecli.match").joinpath("judge.json").read_text("utf-8")
    return judge_from(json.loads(text))
