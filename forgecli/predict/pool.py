"""Worker processes, in which a crash costs one image and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain

from forgecli.cores import available_cores
from forgecli.detection import Detector
from forgecli.errors import ForgeError
from forgecli.predict.crew import Crew, Death
from forgecli.predict.tasks import Outcome, Task, Work, lost
from forgecli.predict.worker import serve

_TICK = 0.2
"""Seconds between two looks at whether to stop."""


class Pool:
    """Examines tasks in processes of their own.

    Args:
        work: what the workers do.
        size: tasks at work at the same time, 1 or more.
        note: told what a user may want to know.
        stop: asked several times a second; once it says True, the work in hand is dropped.
        shared: makes a detector that looks at so many pictures at the same time. With it, all tasks
            are in one process, which starts once and holds one network. If it dies, the tasks it
            was at are tried again, each in a process of its own, so that it costs no other image.
    """

    def __init__(
        self,
        work: Work,
        size: int,
        *,
        note: Callable[[str], None],
        stop: Callable[[], bool],
        shared: Callable[[int], Detector] | None = None,
    ) -> None:
        self._work = work
        self._size = size
        self._threads = max(1, available_cores() // size)
        self._note = note
        self._stop = stop
        self._shared = shared if size > 1 else None

    def examine(self, tasks: Iterator[Task]) -> Iterator[Outcome]:
        """One outcome per task, in the order in which they finish.

        Tasks are taken when a worker is free for them. Images for which memory did not suffice are
        tried again at the end, one at a time with nothing beside them.

        Raises:
            ForgeError: no worker can start.
        """
        alone: list[Task] = []
        ahead = _Ahead(tasks)
        if self._shared is not None:
            yield from self._together(self._shared, ahead, alone)
        with self._crew(self._work, self._size) as crew:
            for task, outcome, _ in self._drain(crew, ahead):
                if outcome.out_of_memory and crew.size > 1:
                    alone.append(task)
                else:
                    yield outcome
        if alone and not self._stop():
            self._note(f"trying {len(alone)} again that ran out of memory, one at a time")
            with self._crew(self._work, 1) as crew:
                for _, outcome, _ in self._drain(crew, _Ahead(alone)):
                    yield outcome

    def _together(
        self, shared: Callable[[int], Detector], ahead: _Ahead, alone: list[Task]
    ) -> Iterator[Outcome]:
        """Tasks in one process. What is left in `ahead` afterwards is for processes of their own:
        those that died beside others, and all where the process cannot be started again.

        Args:
            alone: gets those that ran out of memory.
        """
        work = replace(self._work, make_detector=partial(shared, self._size))
        beside: list[Task] = []
        begun = False
        with self._crew(work, self._size, places=self._size) as crew:
            try:
                for task, outcome, died in self._drain(crew, ahead):
                    begun = True
                    if outcome.out_of_memory:
                        alone.append(task)
                    elif died:
                        beside.append(task)
                    else:
                        yield outcome
            except ForgeError as error:
                if not begun:
                    raise
                self._note(f"the worker could not start again ({error}): a process for each image")
        if beside and not self._stop():
            self._note(f"trying {len(beside)} again whose process ended, each in its own")
            ahead.back(beside)

    @contextmanager
    def _crew(self, work: Work, size: int, places: int = 1) -> Iterator[Crew[Task]]:
        threads = self._threads
        crew: Crew[Task] = Crew(
            size, serve, (work, threads), threads=threads, note=self._note, stop=self._stop,
            places=places,
        )  # fmt: skip
        try:
            yield crew
        finally:
            crew.end()

    def _drain(self, crew: Crew[Task], ahead: _Ahead) -> Iterator[tuple[Task, Outcome, bool]]:
        """Tasks with their outcomes, and whether their process died.

        Raises:
            ForgeError: no worker can start; tasks that none was at are still ahead.
        """
        while not self._stop() and (ahead.any or crew.busy):
            if ahead.any:
                crew.grow(crew.size)
            for worker in crew.members:
                if worker.free and ahead.any:
                    worker.give(ahead.take())
            for worker, said in crew.heard(_TICK):
                if isinstance(said, Death):
                    if said.job is not None and not said.stopped:
                        # If it is stopped, that is no failure of the image: its row is missing.
                        yield said.job, lost(said.job, said.cause, out_of_memory=said.killed), True
                elif worker.job is not None:
                    task, worker.job = worker.job, None
                    yield task, said[1], False


class _Ahead:
    """Tasks still to be given out, the next one known before it is taken."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)
        self._next: Task | None = None

    @property
    def any(self) -> bool:
        """Whether there is one."""
        self._next = self._next or next(self._tasks, None)
        return self._next is not None

    def take(self) -> Task:
        """The next one."""
        if not self.any or self._next is None:
            raise IndexError("no task is left")
        task, self._next = self._next, None
        return task

    def back(self, tasks: Iterable[Task]) -> None:
        """Put some before the others."""
        known = [] if self._next is None else [self._next]
        self._tasks, self._next = chain(tasks, known, self._tasks), None
