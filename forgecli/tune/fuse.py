"""When the network may speak where the match detector is silent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.segment.thresholds import Thresholds
from forgecli.tune.stack import Stack
from forgecli.tune.sweep import best_cut
from forgecli.tune.tables import Scores


@dataclass(frozen=True, slots=True, eq=False)
class MatchScores:
    """What the match detector does with N images.

    Attributes:
        scores: float64 (N,), the metric of its answers.
        speaks: bool (N,), whether it flags the image.
        operating_point: with which thresholds it did, as the record of its run says; None where
            there is no record.
    """

    scores: Scores
    speaks: NDArray[np.bool_]
    operating_point: dict[str, Any] | None = None

    def take(self, images: NDArray[np.bool_]) -> MatchScores:
        """Some of the images."""
        return replace(self, scores=self.scores[images], speaks=self.speaks[images])


@dataclass(frozen=True, slots=True, eq=False)
class FusedScores:
    """What match and network score together.

    Attributes:
        scores: float64 (N,), the metric of each image.
        flags: bool (N,), whether it is flagged by either.
    """

    scores: Scores
    flags: NDArray[np.bool_]


def fused_gate(stack: Stack, match: MatchScores, thresholds: Thresholds) -> float | None:
    """The gate of the network for images that match is silent on, with all else as it is.

    None, never, is among the candidates, and taken where no gate gains. So the fusion does not
    score lower than match on the images it is chosen on.

    Args:
        stack: N images.
        match: on the same images.
        thresholds: of the network. Their gate, which is for the network alone, does not count.
    """
    gains = (stack.speaking(thresholds) - stack.silent)[~match.speaks]
    levels = stack.levels_at(thresholds.quantile)[~match.speaks]
    return best_cut(levels, gains)[0]


def fused_scores(
    stack: Stack, match: MatchScores, thresholds: Thresholds, gate: float | None
) -> FusedScores:
    """The metric of each image: match where it speaks, else the network if it passes `gate`."""
    scores, flags = stack.silent, np.zeros(len(stack), bool)
    if gate is not None:
        over = stack.levels_at(thresholds.quantile) >= gate
        scores = np.where(over, stack.speaking(thresholds), scores)
        flags = over & stack.left(thresholds)
    return FusedScores(
        np.where(match.speaks, match.scores, scores), np.where(match.speaks, True, flags)
    )
