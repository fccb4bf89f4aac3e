"""How far a run is, and when it ends."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

Ended = Literal["", "epochs", "minutes", "early", "interrupted"]
"""Why a run is over, or this session of it; empty: it is not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run ends.

    Attributes:
        epochs: the most there are.
        steps: of an epoch.
        seconds: of wall time, all sessions together; infinite: no limit.
        patience: validations without a better figure; 0: any number.
        every: epochs between two validations.
    """

    epochs: int
    steps: int
    seconds: float = math.inf
    patience: int = 0
    every: int = 1


@dataclass(slots=True)
class Progress:
    """How far a run is; with the tensors, all that is needed to go on with it.

    Attributes:
        epoch: epochs finished.
        position: steps made in the epoch after those.
        steps: made in all.
        seconds: wall time of all sessions so far.
        images: trained on so far, in all processes.
        training: seconds of `seconds` that were spent in steps, data included.
        waiting: seconds of `training` that were spent waiting for data.
        loss: sum of the losses of this epoch's steps so far, as far as they are known: that of a
            step is read during the next.
        losses: how many those are.
        lr: the learning rate of the last step.
        best: the order of the best validation (see `Validation.order`); none yet.
        best_epoch: when it was, from 1.
        best_figures: what it found.
        stale: validations since a better figure.
        validated: steps that were made before the last validation.
        figures: of the last validation.
        thresholds: of the last validation, as a dictionary.
        history: a row for every epoch.
        ended: see `Ended`.
    """

    epoch: int = 0
    position: int = 0
    steps: int = 0
    seconds: float = 0.0
    images: int = 0
    training: float = 0.0
    waiting: float = 0.0
    loss: float = 0.0
    losses: int = 0
    lr: float = 0.0
    best: list[float] | None = None
    best_epoch: int = 0
    best_figures: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    validated: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    ended: Ended = ""

    @property
    def mean_loss(self) -> float:
        """Of this epoch's steps so far; 0 before the first is known."""
        return self.loss / self.losses if self.losses else 0.0

    @property
    def rate(self) -> float:
        """Images a second, in all processes together, validations left out."""
        return self.images / self.training if self.training else 0.0

    @property
    def waiting_share(self) -> float:
        """Share of the time for steps that was spent waiting for data."""
        return self.waiting / self.training if self.training else 0.0

    def left(self, limits: Limits) -> float:
        """Seconds to the end if it goes on as it did, with as much time for validations."""
        total = limits.epochs * limits.steps
        by_steps = self.seconds / self.steps * (total - self.steps) if self.steps else math.inf
        return max(min(by_steps, limits.seconds - self.seconds), 0.0)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return dataclasses.asdict(self)
