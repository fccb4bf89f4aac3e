"""What a user sees of a run: a bar on a terminal, lines in a log, events for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from forgecli.console import clock
from forgecli.errors import UsageError
from forgecli.progress import Seldom
from forgecli.train.progress import Limits, Progress


class Watcher:
    """Says nothing, which is right for all processes but the first. See `roles.Watcher`."""

    def step(self, progress: Progress, limits: Limits) -> None:
        """Nothing."""

    def validating(self) -> None:
        """Nothing."""

    def epoch(self, row: Mapping[str, Any], *, best: bool) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def row_text(row: Mapping[str, Any], *, best: bool) -> str:
    """A row of the history as a line for people."""
    parts = [f"epoch {row['epoch']}", f"loss {row['loss']:.4f}"]
    if "metric" in row:
        parts += [
            f"metric {row['metric']:.4f} (all authentic {row['all_authentic']:.4f})",
            f"dice {row['dice']:.4f}",
            f"iou {row['iou']:.4f}",
        ]
    parts += [
        f"{row['images_per_second']:.1f} images/s",
        f"{100 * row['waiting']:.0f} % waiting",
        f"lr {row['lr']:.2g}",
    ]
    return ", ".join(parts) + (" - the best so far" if best else "")


class OnTerminal(Watcher):
    """A bar that moves with every step, above it a line for every epoch."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._console = console
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=None, text="")
        self._bar.start()

    def step(self, progress: Progress, limits: Limits) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            description=f"epoch {progress.epoch + 1}",
            completed=progress.position,
            total=limits.steps,
            text=f"{_loss(progress)}  {progress.rate:.1f} images/s  "
            f"{100 * progress.waiting_share:.0f} % waiting  {clock(progress.left(limits))} left",
        )

    def validating(self) -> None:
        """Say so."""
        self._bar.update(self._task, description="validating", text="")

    def epoch(self, row: Mapping[str, Any], *, best: bool) -> None:
        """A line above the bar."""
        self.note(row_text(row, best=best))

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, markup=False)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class InLog(Watcher):
    """A line now and then, and one for every epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seldom = Seldom()

    def step(self, progress: Progress, limits: Limits) -> None:
        """Say a line if the last one is long ago."""
        if not self._seldom.due():
            return
        self.note(
            f"epoch {progress.epoch + 1}, step {progress.position} of {limits.steps}, "
            f"{_loss(progress)}, {progress.rate:.1f} images/s, "
            f"{100 * progress.waiting_share:.0f} % waiting, {clock(progress.left(limits))} left"
        )

    def epoch(self, row: Mapping[str, Any], *, best: bool) -> None:
        """Say it."""
        self.note(row_text(row, best=best))

    def note(self, text: str) -> None:
        """Say it."""
        self._seldom.said()
        self._console.print(text, markup=False)


class Events(Watcher):
    """Event files for TensorBoard.

    Raises:
        UsageError: the package that writes them is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if find_spec("tensorboard") is None:
            raise UsageError(
                "event files need the package tensorboard, which is not installed.",
                mend="pip install tensorboard, or leave [loop] tensorboard out",
            )
        self._folder = folder
        self._writer: Any = None

    def epoch(self, row: Mapping[str, Any], *, best: bool) -> None:
        """Every number of the row."""
        if self._writer is None:  # not before the files of an earlier run are cleared away
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder))
        for name, value in row.items():
            if name not in ("epoch", "step"):
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


class Several(Watcher):
    """Tells all of some watchers."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def step(self, progress: Progress, limits: Limits) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.step(progress, limits)

    def validating(self) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.validating()

    def epoch(self, row: Mapping[str, Any], *, best: bool) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.epoch(row, best=best)

    def note(self, text: str) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.note(text)

    def close(self) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.close()


def watcher_on(console: Console) -> Watcher:
    """What suits the console."""
    return OnTerminal(console) if console.is_terminal else InLog(console)


def _loss(progress: Progress) -> str:
    """The loss of the epoch so far; that of its first step is known after the second."""
    return f"loss {progress.mean_loss:.4f}" if progress.losses else "loss -"
