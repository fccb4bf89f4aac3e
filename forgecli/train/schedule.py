"""The learning rate over a run, as a factor on every group's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

from forgecli.train.settings import ScheduleSettings

_LONGEST_WARMUP = 0.1
"""Share of a run: one of a few minutes would else be over before it is warm."""


class ScheduleState(TypedDict):
    """What a schedule remembers, for a file."""

    plateau: float
    best: list[float] | None
    waited: int


class Schedule:
    """Says the factor before every step, and is told of every validation.

    Args:
        settings: of the table [schedule].
        lr: the learning rate that a factor of 1 stands for.
    """

    def __init__(self, settings: ScheduleSettings, lr: float) -> None:
        self._settings = settings
        self._least = min(settings.floor / lr, 1.0)
        self._plateau = 1.0
        self._best: list[float] | None = None
        self._waited = 0

    def factor(self, step: int, done: float) -> float:
        """What to multiply learning rates with.

        Args:
            step: steps made so far.
            done: share of the run that is over, by steps or by time, 0 to 1.
        """
        settings = self._settings
        warm = 1.0
        if settings.warmup:
            warm = min(max((step + 1) / settings.warmup, done / _LONGEST_WARMUP), 1.0)
        if settings.name == "cosine":  # Loshchilov and Hutter, 2017, without restarts
            wave = (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
            return warm * (self._least + (1 - self._least) * wave)
        if settings.name == "plateau":
            return warm * max(self._plateau, self._least)
        return warm

    def validated(self, order: Sequence[float]) -> bool:
        """Take note of a validation (see `Validation.order`). Whether the rate fell."""
        if self._settings.name != "plateau":
            return False
        if self._best is None or list(order) > self._best:
            self._best, self._waited = list(order), 0
            return False
        self._waited += 1
        if self._waited < self._settings.patience:
            return False
        self._waited = 0
        before = self._plateau
        self._plateau = max(before * self._settings.factor, self._least)
        return self._plateau < before

    def state(self) -> ScheduleState:
        """All that `restore` needs."""
        return {"plateau": self._plateau, "best": self._best, "waited": self._waited}

    def restore(self, state: ScheduleState) -> None:
        """Go on where another schedule of the same settings stopped."""
        self._plateau, self._best, self._waited = state["plateau"], state["best"], state["waited"]
