"""Worker processes: one image each at a time, so that a crash costs one image and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forgecli.cores import available_cores
from forgecli.predict.crew import Crew, Death
from forgecli.predict.tasks import Outcome, Task, Work, lost
from forgecli.predict.worker import serve

_TICK = 0.2
"""Seconds between two looks at whether to stop."""


class Pool:
    """Examines tasks in processes of their own.

    Args:
        work: what the workers do.
        size: how many of them, 1 or more.
        note: told what a user may want to know.
        stop: asked several times a second; once it says True, the work in hand is dropped.
    """

    def __init__(
        self, work: Work, size: int, *, note: Callable[[str], None], stop: Callable[[], bool]
    ) -> None:
        threads = max(1, available_cores() // size)
        self._size = size
        self._note = note
        self._stop = stop
        self._crew: Crew[Task] = Crew(
            size, serve, (work, threads), threads=threads, note=note, stop=stop
        )

    def examine(self, tasks: Iterator[Task]) -> Iterator[Outcome]:
        """One outcome per task, in the order in which they finish.

        Tasks are taken when a worker is free for them. Images for which memory did not suffice
        are tried again at the end, one at a time with nothing beside them.

        Raises:
            ForgeError: no worker can start.
        """
        again: list[Task] = []
        try:
            for task, outcome in self._drain(tasks, self._size):
                if outcome.out_of_memory and self._crew.size > 1:
                    again.append(task)
                else:
                    yield outcome
            self._crew.end()
            if again and not self._stop():
                self._note(f"trying {len(again)} again that ran out of memory, one at a time")
                for _, outcome in self._drain(iter(again), 1):
                    yield outcome
        finally:
            self._crew.end()

    def _drain(self, tasks: Iterator[Task], size: int) -> Iterator[tuple[Task, Outcome]]:
        crew = self._crew
        upcoming = next(tasks, None)
        while upcoming is not None or crew.busy:
            if upcoming is not None:
                crew.grow(size)
            for worker in crew.members:
                if upcoming is not None and worker.free:
                    worker.give(upcoming)
                    upcoming = next(tasks, None)
            for worker, said in crew.heard(_TICK):
                if isinstance(said, Death):
                    if said.job is not None and not said.stopped:
                        # If it is stopped, that is no failure of the image: its row is missing.
                        yield said.job, lost(said.job, said.cause, out_of_memory=said.killed)
                elif worker.job is not None:
                    task, worker.job = worker.job, None
                    yield task, said[1]
            if self._stop():
                return
