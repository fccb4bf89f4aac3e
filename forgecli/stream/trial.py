"""How many streams are fastest, found out on the job's own pictures."""

from __future__ import annotations

from collections.abc import Callable

CANDIDATES = (1, 2, 4, 8)

_BATCHES = 6
"""Batches of each candidate that count, or two for each of its lanes if that is more."""
_WORTH = 1.03
"""More lanes take more memory; they have to gain this much."""


class Trial:
    """Measures one number of lanes after the other. Nothing is computed twice for it.

    What counts is images over the time in which any lane was at work, so that a GPU that waits for
    pictures does not count as slow: where decoding is the limit, all candidates look alike and the
    fewest lanes are taken. The first batch of every lane does not count: memory is allocated and
    libraries make up their minds.

    Args:
        most: lanes there are.
        now: a clock in seconds.
        candidates: numbers of lanes to try, ascending.

    Attributes:
        lanes: how many may be at work now.
        over: whether the number is chosen.
    """

    def __init__(
        self,
        most: int,
        now: Callable[[], float],
        candidates: tuple[int, ...] = CANDIDATES,
    ) -> None:
        self._now = now
        self._left = [count for count in candidates if count <= most] or [most]
        self.lanes = self._left.pop(0)
        self.over = False
        self._rates: dict[int, float] = {}
        self._busy = 0
        self._since = now()
        self._seconds = 0.0
        self._begin()

    @classmethod
    def of(cls, lanes: int, now: Callable[[], float]) -> Trial:
        """No trial: a number that somebody has chosen."""
        trial = cls(lanes, now, (lanes,))
        trial.over = True
        return trial

    def sent(self) -> None:
        """A lane began a batch."""
        if not self._busy:
            self._since = self._now()
        self._busy += 1

    def came(self, images: int) -> bool:
        """A lane ended a batch of so many images; True if that was the last that had to be seen."""
        now = self._now()
        self._seconds += now - self._since
        self._since = now
        self._busy -= 1
        if self.over:
            return False
        if self._cold:
            self._cold -= 1
            self._seconds = 0.0
            return False
        self._images += images
        self._batches += 1
        if self._batches < max(_BATCHES, 2 * self.lanes):
            return False
        self._rates[self.lanes] = self._images / max(self._seconds, 1e-9)
        if self._left:
            self.lanes = self._left.pop(0)
            self._begin()
            return False
        self._choose()
        return True

    def cap(self, most: int) -> None:
        """There is no room for more lanes than these."""
        self._left = [count for count in self._left if count <= most]
        if self.lanes > most:
            self.lanes = most
            self._begin()

    def as_text(self) -> str:
        """The choice and what it rests on."""
        seen = ", ".join(f"{lanes}: {rate:,.0f}" for lanes, rate in self._rates.items())
        return f"streams: {self.lanes} (images a second, measured: {seen})"

    def _begin(self) -> None:
        """Start to measure the present number of lanes."""
        self._cold = self.lanes
        self._images = self._batches = 0
        self._seconds = 0.0

    def _choose(self) -> None:
        best = 0.0
        for lanes, rate in sorted(self._rates.items()):
            if rate > best * _WORTH:
                self.lanes, best = lanes, rate
        self.over = True
