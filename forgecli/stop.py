"""Ctrl-C and SIGTERM as a wish to stop, so that what is done can be put in its place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


def leave_interrupts() -> None:
    """For worker processes. Ctrl-C goes to every process of a terminal: the first one hears it,
    and ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class StopSignals:
    """While it is entered, the signals that end a program are only remembered.

    Args:
        announce: called once, by the first `asked` after a signal. The handler itself says nothing:
            it may have interrupted someone who was writing to the terminal.
    """

    def __init__(self, announce: Callable[[], None]) -> None:
        self._requested = False
        self._announced = False
        self._announce = announce
        self._raise = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other can have handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def asked(self) -> bool:
        """Whether a signal came."""
        if self._requested and not self._announced:
            self._announced = True
            self._announce()
        return self._requested

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In this block a signal raises KeyboardInterrupt, for work that asks nobody."""
        self._raise = True
        try:
            yield
        finally:
            self._raise = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._requested:
            self._requested = True
            if self._raise:
                raise KeyboardInterrupt
