"""The weights of band likeness, by logistic regression: see `python -m bench.blots --fit`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forgecli.match.band_likeness import among_rivals

_HARDEST = 8
"""Pairs of an image that vote beside its copies: the many that no one confuses say little."""

SIGNS = (1, 1, 1, 1, -1, 0, 0)
"""Which way each of `EVIDENCE` may speak: for a copy, against it, or either."""

Rows = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]
"""Of one image: evidence (n, m), whether a pair is a copy (n,), how hard it is to tell (n,)."""


def fitted_weights(
    images: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`ALIKE` and `AMONG` of `forgecli.match.band_likeness`, fitted one after the other.

    What says that two bands are the same may only speak for a copy (`SIGNS`): the measures say
    much the same, and left alone one of them takes the others back. Those that come out with the
    wrong sign are left out, the strongest first, and get a weight of 0.

    Args:
        images: for each, the evidence of its pairs, float64 (n, len(EVIDENCE)), and whether each is
            a copy, bool (n,).
    """
    filled = [(evidence, right) for evidence, right in images if right.size]
    used = list(range(len(SIGNS)))
    while True:
        one, among = _in_turn([(evidence[:, used], right) for evidence, right in filled])
        wrong = [
            (abs(weight), place)
            for place, (weight, column) in enumerate(zip(one[1:], used, strict=True))
            if SIGNS[column] * weight < 0
        ]
        if not wrong:
            break
        used.pop(max(wrong)[1])
    weights = np.zeros(1 + len(SIGNS))
    weights[[0, *(1 + column for column in used)]] = one
    return weights, among


def _in_turn(
    images: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of the evidence, then of a pair among its rivals."""
    one = logistic([(evidence, right, evidence[:, 0]) for evidence, right in images])
    for _ in range(2):  # which pairs are hard depends on the weights
        one = logistic([(e, right, one[0] + e @ one[1:]) for e, right in images])
    rows = []
    for evidence, right in images:
        values = one[0] + evidence @ one[1:]
        rivals = among_rivals(values, np.array([0.0, 0.0, 1.0]))
        rows.append((np.column_stack((values, rivals)), right, values))
    return one, logistic(rows)


def logistic(images: Sequence[Rows]) -> NDArray[np.float64]:
    """Intercept and weights by logistic regression (Newton's method, ridge of 1), float64 (m + 1,).

    Every image has one vote for the copies it holds and one for the hardest of its other pairs.
    """
    rows, answers, votes = [], [], []
    for evidence, right, hard in images:
        for answer in (True, False):
            chosen = np.flatnonzero(right == answer)
            if not answer:
                chosen = chosen[np.argsort(-hard[chosen])[:_HARDEST]]
            if chosen.size:
                rows.append(evidence[chosen])
                answers.append(np.full(chosen.size, float(answer)))
                votes.append(np.full(chosen.size, 1.0 / chosen.size))
    x, y, vote = np.concatenate(rows), np.concatenate(answers), np.concatenate(votes)
    x = np.column_stack((np.ones(len(x)), x))
    weights = np.zeros(x.shape[1])
    ridge = np.eye(x.shape[1])
    ridge[0, 0] = 0.0
    for _ in range(50):
        chance = 0.5 + 0.5 * np.tanh(0.5 * np.clip(x @ weights, -30, 30))
        slope = x.T @ (vote * (y - chance)) - ridge @ weights
        curve = (x * (vote * chance * (1 - chance))[:, None]).T @ x + ridge
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(weights)
