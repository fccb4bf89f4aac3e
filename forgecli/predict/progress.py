"""How far a job is, on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from forgecli.console import clock
from forgecli.predict.summary import Summary
from forgecli.progress import Seldom


class Progress(Protocol):
    """Shows the counts of a summary while they grow."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, summary: Summary) -> None:
        """Called after every image."""


def progress_on(console: Console, total: int) -> Progress:
    """What suits the console.

    Args:
        console: where to show it.
        total: images there are.
    """
    if console.is_terminal:
        return _Bar(console, total)
    return _Lines(lambda text: console.print(text, markup=False), total)


class _Bar:
    def __init__(self, console: Console, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[rate]:.2f}/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[flagged]} flagged"),
            TextColumn("[yellow]{task.fields[trouble]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, rate=0.0, flagged=0, trouble="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, summary: Summary) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            completed=summary.images,
            rate=summary.rate,
            flagged=summary.flagged,
            trouble=f"{summary.failed} not judged" if summary.failed else "",
        )


class _Lines:
    def __init__(
        self, say: Callable[[str], None], total: int, now: Callable[[], float] = monotonic
    ) -> None:
        self._say = say
        self._total = total
        self._seldom = Seldom(now=now)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def show(self, summary: Summary) -> None:
        """Say a line if the last one is long ago."""
        if not self._seldom.due():
            return
        left = (self._total - summary.images) / summary.rate if summary.rate else 0.0
        trouble = f", {summary.failed:,} not judged" if summary.failed else ""
        self._say(
            f"{summary.images:,} of {self._total:,} images, {summary.rate:.2f} a second, "
            f"{clock(left)} left, {summary.flagged:,} flagged{trouble}"
        )
