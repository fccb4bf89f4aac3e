"""Tables of many images as arrays, one row per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forgecli.segment.thresholds import Thresholds
from forgecli.tune.grid import Grid
from forgecli.tune.tables import ImageTable, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """N images at every setting of a grid.

    Attributes:
        grid: the settings.
        scores: float64 (N, policies, P, M), the metric of images that pass their gate.
        flagged: bool (N, policies, P, M), whether such an image has an instance left.
        silent: float64 (N,), the metric of images called authentic: 1 for authentic ones, else 0.
        levels: float64 (N, Q), the images' scores by quantile.
    """

    grid: Grid
    scores: Scores
    flagged: NDArray[np.bool_]
    silent: Scores
    levels: Scores

    @classmethod
    def of(cls, tables: Sequence[ImageTable], grid: Grid) -> Stack:
        """The arrays of one or more tables of one grid.

        Raises:
            ValueError: there are none, or they are of another grid.
        """
        if not tables:
            raise ValueError("there are no tables to stack")
        shape = (len(grid.policies), len(grid.pixels), len(grid.min_areas))
        if tables[0].scores.shape != shape or len(tables[0].levels) != len(grid.quantiles):
            raise ValueError(f"the tables are of another grid. Got: {tables[0].scores.shape}")
        return cls(
            grid,
            np.stack([table.scores for table in tables]),
            np.stack([table.flagged for table in tables]),
            np.array([table.silent for table in tables]),
            np.stack([table.levels for table in tables]),
        )

    def __len__(self) -> int:
        return len(self.silent)

    def take(self, images: NDArray[np.int64] | NDArray[np.bool_]) -> Stack:
        """Some of the images."""
        return Stack(
            self.grid,
            self.scores[images],
            self.flagged[images],
            self.silent[images],
            self.levels[images],
        )

    def flags(self, thresholds: Thresholds) -> NDArray[np.bool_]:
        """bool (N,), whether each image is flagged: it passes the gate, and an instance is left.

        Raises:
            ValueError: a threshold other than the gate is not of the grid.
        """
        return self._over(thresholds) & self.left(thresholds)

    def scores_at(self, thresholds: Thresholds) -> Scores:
        """float64 (N,), the metric of each image.

        Raises:
            ValueError: a threshold other than the gate is not of the grid.
        """
        return np.where(self._over(thresholds), self.speaking(thresholds), self.silent)

    def speaking(self, thresholds: Thresholds) -> Scores:
        """float64 (N,), the metric of each image whatever its gate.

        Raises:
            ValueError: a threshold other than the gate is not of the grid.
        """
        policy, pixel, min_area = self._place(thresholds)
        return self.scores[:, policy, pixel, min_area]

    def left(self, thresholds: Thresholds) -> NDArray[np.bool_]:
        """bool (N,), whether each image has an instance left, whatever its gate."""
        policy, pixel, min_area = self._place(thresholds)
        return self.flagged[:, policy, pixel, min_area]

    def levels_at(self, quantile: float) -> Scores:
        """float64 (N,), the images' scores by one quantile of the grid."""
        return self.levels[:, self.grid.quantiles.index(quantile)]

    def _over(self, thresholds: Thresholds) -> NDArray[np.bool_]:
        return self.levels_at(thresholds.quantile) >= thresholds.gate

    def _place(self, thresholds: Thresholds) -> tuple[int, int, int]:
        return (
            self.grid.policies.index(thresholds.instances),
            self.grid.pixels.index(thresholds.pixel),
            self.grid.min_areas.index(thresholds.min_area),
        )


def is_quiet(thresholds: Thresholds) -> bool:
    """Whether no image is ever flagged: every score is under 1, see `instances.probability_of`."""
    return thresholds.gate >= 1


def quiet(thresholds: Thresholds) -> Thresholds:
    """The thresholds with which no image is ever flagged, otherwise the same."""
    return replace(thresholds, gate=1.0)
