"""How far the inspection is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from rich.console import Console

from forgecli.inspect.rows import ImageRow
from forgecli.inspect.survey import Numbered, Watch
from forgecli.progress import Seldom


def shown_on(console: Console) -> Watch:
    """Passes rows on, and shows how many there were."""

    def watch(rows: Numbered, total: int) -> Iterator[tuple[int, ImageRow]]:
        return _bar(rows, total, console) if console.is_terminal else _lines(rows, total, console)

    return watch


def _bar(rows: Numbered, total: int, console: Console) -> Iterator[tuple[int, ImageRow]]:
    from rich.progress import track

    yield from track(rows, "reading images", total=total, console=console, transient=True)


def _lines(rows: Numbered, total: int, console: Console) -> Iterator[tuple[int, ImageRow]]:
    started, seldom = monotonic(), Seldom()
    for count, row in enumerate(rows, 1):
        yield row
        if seldom.due():
            rate = count / (monotonic() - started)
            console.print(f"{count:,} of {total:,} images, {rate:.1f} a second", markup=False)
