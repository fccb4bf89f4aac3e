"""What the training loop asks of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

from forgecli.segment.batch import Batch
from forgecli.segment.models.network import Network
from forgecli.train.progress import Limits, Progress
from forgecli.train.validation import Validation

Loader = Callable[[int, int], Iterable[Batch]]
"""The batches of an epoch (from 0), from one of them on. The same arguments give the same."""


class Stop(Protocol):
    """Says whether a signal asked the run to end."""

    def asked(self) -> bool:
        """Whether it did."""

    def at_once(self) -> AbstractContextManager[None]:
        """In this block a signal raises KeyboardInterrupt."""


class Watcher(Protocol):
    """Is told how far a run is."""

    def step(self, progress: Progress, limits: Limits) -> None:
        """Called after every step."""

    def validating(self) -> None:
        """Called before every validation."""

    def epoch(self, row: Mapping[str, Any], *, best: bool) -> None:
        """Called after every epoch, validated or not, and whether it is the best so far."""

    def note(self, text: str) -> None:
        """Something a user may want to know."""


State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and plain JSON values."""


class Keeper(Protocol):
    """Writes what is to be kept. Called in the first process only."""

    def sample(self, epoch: int, validation: Validation) -> None:
        """Write what a validation has drawn. Epochs count from 1."""

    def keep(
        self, network: Network, progress: Progress, state: Callable[[], State], *, best: bool
    ) -> None:
        """Write checkpoints and history, and the state after these, so that it is never ahead.

        Args:
            network: with the weights to predict with.
            progress: how far the run is.
            state: gives what `Loop.restore` goes on from.
            best: whether these weights are the best so far.
        """

    def end(self, progress: Progress) -> None:
        """The session is over; all is kept already."""
