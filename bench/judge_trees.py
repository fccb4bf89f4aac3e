"""The judge's trees: boosted, bagged, held to what is known of copies, and written as plain arrays.

A statistic that says "these two are the same" may only speak for a copy, and the residual only
against it (monotone constraints): a tree that learns otherwise has learnt the few images it saw.
Two fits of other random numbers are averaged, which steadies the highest scores.

Chosen out of fold, over several assignments of sources to folds, by the mean recall at rates up to
5 %. Histograms with these constraints did better than plain boosting, many trees of which each
split sees a fifth of the statistics better than few that see all, and the mean of two fits better
than one. Assignments differ among themselves by more than most choices do: weights by source or by
kind, less or more regularisation and larger leaves made no difference that could be told from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPEAK_FOR = (
    "fine_", "local_", "low_", "noise_all", "drop_", "ring_drop", "log_support", "log_area",
    "corner", "information_",
)  # fmt: skip
"""Beginnings of the names of statistics of which more can only speak for a copy."""
SPEAK_AGAINST = ("residual", "log_rivals")
"""Of which more can only speak against it."""


def directions(names: Sequence[str]) -> list[int]:
    """For every statistic 1, -1, or 0 where either may be."""
    return [
        1 if name.startswith(SPEAK_FOR) else -1 if name.startswith(SPEAK_AGAINST) else 0
        for name in names
    ]


class BoostedTrees:
    """The mean of several gradient-boosted sums of trees (histograms, as LightGBM's: Ke et al.,
    NIPS 2017), by log-odds.

    Args:
        names: of the columns.
        bags: sums that are averaged.
        count: trees of each sum.
        bins: that the values of a column are sorted into, at most; trees split between bins.
    """

    def __init__(
        self, names: Sequence[str], bags: int = 2, count: int = 400, bins: int = 64
    ) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._names = list(names)
        self._models = [
            HistGradientBoostingClassifier(
                max_iter=count,
                learning_rate=0.06,
                max_leaf_nodes=15,
                min_samples_leaf=20,
                l2_regularization=1.0,
                max_features=0.2,
                max_bins=bins,
                monotonic_cst=directions(names),
                early_stopping=False,
                random_state=seed,
            )
            for seed in range(bags)
        ]

    def fit(
        self,
        features: NDArray[np.float64],
        copies: NDArray[np.bool_],
        weight: NDArray[np.float64],
    ) -> BoostedTrees:
        """Fit to float64 (n, columns), bool (n,) and float64 (n,).

        Raises:
            ValueError: a statistic is not a number; the detector's reader has no place for that.
        """
        if not np.isfinite(features).all():
            wrong = np.flatnonzero(~np.isfinite(features).all(axis=0))
            raise ValueError(f"not finite: {', '.join(self._names[i] for i in wrong)}")
        from threadpoolctl import threadpool_limits

        # Threads wait for each other between any two nodes: on busy cores, fifteen times as long.
        with threadpool_limits(1, user_api="openmp"):
            for model in self._models:
                model.fit(features, copies, sample_weight=weight)
        return self

    def evidence(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds, float64 (n,)."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="openmp"):
            said = [model.decision_function(features) for model in self._models]
        return np.asarray(np.mean(said, axis=0))

    def importance(self) -> dict[str, float]:
        """Share of every statistic in what splits gained, the largest first."""
        gains = np.zeros(len(self._names))
        for nodes in self._nodes():
            inner = nodes[nodes["is_leaf"] == 0]
            np.add.at(gains, inner["feature_idx"], inner["gain"])
        shares = np.round(gains / max(float(gains.sum()), 1e-300), 4).tolist()
        return dict(sorted(zip(self._names, shares, strict=True), key=lambda item: -item[1]))

    def document(self) -> dict[str, Any]:
        """`base` and `trees`, as `forgecli.match.judge.judge_from` reads them."""
        base = [float(model._baseline_prediction.ravel()[0]) for model in self._models]
        return {
            "base": float(np.mean(base)),
            "trees": [_tree(nodes, 1.0 / len(self._models)) for nodes in self._nodes()],
        }

    def _nodes(self) -> list[Any]:
        # scikit-learn offers no public way to its histogram trees; a test holds this to what
        # `decision_function` says.
        return [row[0].nodes for model in self._models for row in model._predictors]


def _tree(nodes: Any, share: float) -> dict[str, list[Any]]:
    leaf = nodes["is_leaf"] == 1
    return {
        "feature": np.where(leaf, 0, nodes["feature_idx"]).tolist(),
        # Digits that count, not decimals: some features are shares of a few pixels in a million.
        "threshold": [
            0 if ends else _rounded(value)
            for ends, value in zip(leaf, nodes["num_threshold"], strict=True)
        ],
        "left": np.where(leaf, -1, nodes["left"].astype(np.int64)).tolist(),
        "right": np.where(leaf, -1, nodes["right"].astype(np.int64)).tolist(),
        "value": [
            round(share * float(value), 6) if ends else 0
            for ends, value in zip(leaf, nodes["value"], strict=True)
        ],
    }


def _rounded(value: float) -> float:
    """The next number of nine digits that is not less: what went left still does. What is beyond
    all numbers (nothing goes right) becomes a large one."""
    value = float(np.clip(value, -1e300, 1e300))
    near = Decimal(f"{value:.9g}")
    if float(near) < value:
        near += Decimal(1).scaleb(near.adjusted() - 8)
    return float(near)
