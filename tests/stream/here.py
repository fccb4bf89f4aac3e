"""Readers without processes, for tests that are not about processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import sleep
from typing import Any

from forgecli.predict.tasks import Work
from forgecli.stream.jobs import Job
from forgecli.stream.reader import Reader


class MemberHere:
    """Answers a job when it is given."""

    def __init__(self, work: Work) -> None:
        self._reader = Reader(work)
        self.job: Job | None = None
        self.answer: tuple[str, Any] | None = None

    @property
    def free(self) -> bool:
        return self.job is None

    def give(self, job: Job) -> None:
        self.job, self.answer = job, self._reader.answer(job)


class CrewHere:
    """Satisfies what is used of `forgecli.predict.crew.Crew`."""

    def __init__(
        self, size: int, serve: Callable[..., None], arguments: tuple[Any, ...], **options: Any
    ) -> None:
        self.size = size
        self.members: list[MemberHere] = []
        self._work = arguments[0]

    @property
    def busy(self) -> bool:
        return any(member.job is not None for member in self.members)

    def grow(self, size: int) -> None:
        while len(self.members) < min(size, self.size):
            self.members.append(MemberHere(self._work))

    def heard(self, timeout: float) -> Iterator[tuple[MemberHere, tuple[str, Any]]]:
        said = [member for member in self.members if member.answer is not None]
        if not said:
            sleep(min(timeout, 0.001))
        for member in said:
            answer, member.answer = member.answer, None
            assert answer is not None
            yield member, answer

    def end(self) -> None:
        self.members.clear()
