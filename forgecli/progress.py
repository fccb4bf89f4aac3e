"""How often a log is told how far the work is."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Seldom:
    """Says yes every so many seconds, the first time after that many.

    Args:
        seconds: between two lines of a log.
        now: a clock in seconds.
    """

    def __init__(self, seconds: float = 10.0, now: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self.said()

    def due(self) -> bool:
        """Whether a line may be said now; the time until the next then begins."""
        if self._now() - self._said < self._seconds:
            return False
        self.said()
        return True

    def said(self) -> None:
        """Something was said just now: the time until the next line begins."""
        self._said = self._now()
