"""Writes the files of a run while it goes on."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from time import monotonic
from typing import Any

import cv2
from pydantic import TypeAdapter

import forgecli
from forgecli.atomic import atomic_writer
from forgecli.segment.checkpoint import Card, save_checkpoint
from forgecli.segment.models.network import Network
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds
from forgecli.train.curves import write_curves
from forgecli.train.folder import RunFolder
from forgecli.train.gallery import gallery
from forgecli.train.progress import Progress
from forgecli.train.roles import State
from forgecli.train.state import save_state
from forgecli.train.validation import Validation

_PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "safetensors", "numpy",
             "opencv-python-headless")  # fmt: skip

_EVERY = 60.0
"""Seconds between two pictures of the curves, which take half a second to draw."""


@dataclass(slots=True)
class RunKeeper:
    """See `roles.Keeper`.

    Attributes:
        folder: where to write.
        model, arguments: what `registry.build` was given.
        preprocess: how pictures become input.
        split: the split's hash.
        training: settings of the run, for the card: no path of this machine.
        facts: further JSON values for the state, which `--resume` compares.
    """

    folder: RunFolder
    model: str
    arguments: Mapping[str, Any]
    preprocess: Preprocess
    split: str
    training: Mapping[str, Any]
    facts: Mapping[str, Any]
    _drawn: float = -math.inf

    def sample(self, epoch: int, validation: Validation) -> None:
        """Write the picture of a validation."""
        if validation.findings:
            drawn = cv2.cvtColor(gallery(validation.findings), cv2.COLOR_RGB2BGR)
            _, encoded = cv2.imencode(".png", drawn)
            with atomic_writer(self.folder.sample(epoch), "wb") as file:
                file.write(encoded.data)

    def keep(
        self, network: Network, progress: Progress, state: Callable[[], State], *, best: bool
    ) -> None:
        """Write best (if it is) and last weights, history, curves, and then the state."""
        card = self._card(progress)
        if best:
            save_checkpoint(self.folder.best, network, card)
        save_checkpoint(self.folder.last, network, card)
        self.folder.write_history(progress.history)
        if monotonic() - self._drawn > _EVERY:
            self._draw(progress)
        tensors, document = state()
        save_state(self.folder.state, tensors, {**self.facts, **document})

    def end(self, progress: Progress) -> None:
        """Write the curves of the whole run."""
        self._draw(progress)

    def _draw(self, progress: Progress) -> None:
        if progress.history:
            write_curves(self.folder.curves, progress.history, progress.best_epoch)
            self._drawn = monotonic()

    def _card(self, progress: Progress) -> Card:
        seen = {"steps": progress.steps, "epochs": progress.steps / self._steps(progress)}
        return Card(
            model=self.model,
            arguments=dict(self.arguments),
            preprocess=self.preprocess,
            thresholds=TypeAdapter(Thresholds).validate_python(progress.thresholds),
            split=self.split,
            metrics=dict(progress.figures),
            training={**self.training, **seen},
            versions=versions(),
        )

    def _steps(self, progress: Progress) -> int:
        return max(int(self.facts.get("steps_per_epoch", 1)), 1)


def versions() -> dict[str, str]:
    """Of forge, Python and the packages whose work is in the weights."""
    found = {"forge": forgecli.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # OpenCV has several names
            continue
    return found
