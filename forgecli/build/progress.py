"""How far a build is, on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from forgecli.console import printable


class Progress:
    """One line per phase at work. Silent where stderr is no terminal.

    Args:
        console: of stderr.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def step(self, phase: str, done: int, of: int) -> None:
        """A phase is so far; `of` is 0 where nobody knows how long it takes."""
        if phase not in self._tasks:
            if not of:  # a phase of ours: those before it are over
                for task in self._tasks.values():
                    self._bars.remove_task(task)
                self._tasks.clear()
            self._tasks[phase] = self._bars.add_task(_shown(phase), total=of or None)
        self._bars.update(self._tasks[phase], completed=done, total=of or None)


def _shown(phase: str) -> str:
    """A phase's name as it may stand in rich's markup."""
    return printable(phase).replace("[", "(").replace("]", ")")
