"""What a run came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forgecli.console import clock
from forgecli.errors import ExitCode
from forgecli.train.folder import RunFolder
from forgecli.train.progress import Progress

_ENDED = {
    "epochs": "all epochs are done",
    "minutes": "the time is up",
    "early": "stopped early: no better figure for {patience} validations",
    "interrupted": "interrupted; --resume goes on",
}


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a run, or of a session of it.

    Attributes:
        folder: its files.
        progress: how far it got.
        parameters: of the network, those that are not trained included.
        device, precision: what it was computed on and in.
        by: the figure that says which epoch is best.
        patience: of early stopping.
        train, validation: images on each side.
        speaks: whether this process is the one that tells the user.
    """

    folder: RunFolder
    progress: Progress
    parameters: int
    device: str
    precision: str
    by: str
    patience: int
    train: int
    validation: int
    speaks: bool = True

    @property
    def exit_code(self) -> ExitCode:
        """For the shell."""
        interrupted = self.progress.ended == "interrupted"
        return ExitCode.INTERRUPTED if interrupted else ExitCode.DONE

    def as_json(self) -> dict[str, Any]:
        """For programs. Paths are as the user gave them."""
        progress, folder = self.progress, self.folder
        return {
            "ended": progress.ended,
            "epochs": progress.epoch,
            "steps": progress.steps,
            "seconds": progress.seconds,
            "images": progress.images,
            "images_per_second": progress.rate,
            "waiting": progress.waiting_share,
            "by": self.by,
            "best_epoch": progress.best_epoch,
            "best": progress.best_figures,
            "last": progress.figures,
            "parameters": self.parameters,
            "device": self.device,
            "precision": self.precision,
            "train_images": self.train,
            "validation_images": self.validation,
            "files": {
                "best": str(folder.best) if progress.best_epoch else None,
                "last": str(folder.last),
                "metrics": str(folder.table),
                "curves": str(folder.curves),
                "config": str(folder.config),
                "split": str(folder.split),
            },
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        progress, best = self.progress, self.progress.best_figures
        yield (
            f"{_ENDED.get(progress.ended, progress.ended).format(patience=self.patience)}: "
            f"{progress.epoch} epochs, {progress.steps} steps, {clock(progress.seconds)}, "
            f"{progress.rate:.1f} images/s on {self.device}, "
            f"{100 * progress.waiting_share:.0f} % of it waiting for data"
        )
        if not best:
            return
        yield (
            f"best by {self.by} is epoch {progress.best_epoch}: metric {best['metric']:.4f} "
            f"(all authentic {best['all_authentic']:.4f}), dice {best['dice']:.4f}, "
            f"iou {best['iou']:.4f}"
        )
        if best["metric"] <= best["all_authentic"] + 1e-9:
            yield "it does not beat calling every image authentic yet"
        else:
            yield (
                "the metric is at thresholds chosen on the same images; forge tune chooses them "
                "with care and says how much of it holds elsewhere"
            )
        yield f"weights: {self.folder.best}"
