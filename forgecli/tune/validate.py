"""Thresholds chosen on some images and scored on others: what tuning is worth on new images."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from forgecli.tune.fuse import MatchScores, fused_gate, fused_scores
from forgecli.tune.stack import Stack
from forgecli.tune.sweep import Best, best_of
from forgecli.tune.tables import Scores


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Out-of-fold results of one detector: no image was scored with thresholds it helped choose.

    Attributes:
        scores: float64 (N,), the metric of each image.
        flags: bool (N,), whether it was flagged.
        in_fold: the metric on the images that thresholds were chosen on, a mean over the folds.
        baseline: float64 (N,), what each image scores without this detector.
        standard_error: of the mean gain over the baseline, from the spread between groups.
    """

    scores: Scores
    flags: NDArray[np.bool_]
    in_fold: float
    baseline: Scores
    standard_error: float

    @property
    def out_of_fold(self) -> float:
        """The metric, a mean over images."""
        return float(self.scores.mean())

    @property
    def gain(self) -> float:
        """How much more than the baseline."""
        return float((self.scores - self.baseline).mean())

    @property
    def optimism(self) -> float:
        """How much better thresholds look on the images that they were chosen on."""
        return self.in_fold - self.out_of_fold


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Every fold scored with what was chosen on the others.

    Attributes:
        fold: int64 (N,), of each image.
        chosen: by fold, what was chosen without it.
        segment: the network alone, against calling all images authentic.
        fused_gates: by fold, likewise; empty where match's results are not known.
        fused: match and network together, against match alone.
    """

    fold: NDArray[np.int64]
    chosen: tuple[Best, ...]
    segment: Measured
    fused_gates: tuple[float | None, ...] = ()
    fused: Measured | None = None

    @property
    def folds(self) -> int:
        """How many there are."""
        return len(self.chosen)


def cross_validate(
    stack: Stack,
    fold: NDArray[np.int64],
    groups: NDArray[np.int64],
    match: MatchScores | None = None,
) -> CrossValidation:
    """Choose on all folds but one, score on that one, for each.

    Args:
        stack: N images.
        fold: int64 (N,), from 0, every fold with images in it and out of it.
        groups: int64 (N,); images of one group are not independent. No group is in two folds.
        match: what the match detector scores on the same images.
    """
    chosen, gates = [], []
    scores, flags = np.zeros(len(stack)), np.zeros(len(stack), bool)
    fused, fused_flags = scores.copy(), flags.copy()
    seen, fused_seen = [], []
    for number in range(int(fold.max()) + 1):
        held_out = fold == number
        rest, out = stack.take(~held_out), stack.take(held_out)
        found = best_of(rest)
        chosen.append(found)
        scores[held_out] = out.scores_at(found.thresholds)
        flags[held_out] = out.flags(found.thresholds)
        seen.append(found.score)
        if match is not None:
            gate = fused_gate(rest, match.take(~held_out), found.thresholds)
            gates.append(gate)
            inside = fused_scores(rest, match.take(~held_out), found.thresholds, gate)
            outside = fused_scores(out, match.take(held_out), found.thresholds, gate)
            fused_seen.append(float(inside.scores.mean()))
            fused[held_out], fused_flags[held_out] = outside.scores, outside.flags
    segment = _measured(scores, flags, float(np.mean(seen)), stack.silent, groups)
    if match is None:
        return CrossValidation(fold, tuple(chosen), segment)
    alone = np.where(match.speaks, match.scores, stack.silent)
    together = _measured(fused, fused_flags, float(np.mean(fused_seen)), alone, groups)
    return CrossValidation(fold, tuple(chosen), segment, tuple(gates), together)


def _measured(
    scores: Scores,
    flags: NDArray[np.bool_],
    in_fold: float,
    baseline: Scores,
    groups: NDArray[np.int64],
) -> Measured:
    gains = scores - baseline
    of_groups = np.bincount(groups, gains - gains.mean())
    error = sqrt(float((of_groups**2).sum())) / len(scores)
    return Measured(scores, flags, in_fold, baseline, error)
