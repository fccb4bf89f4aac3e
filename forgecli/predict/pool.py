"""Worker processes: one image each at a time, so that a crash costs one image and no more.

A decoder that crashes takes its process with it, and the system kills the process that takes too
much memory. Both are one failed row here: the worker is replaced and the batch goes on.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic, sleep

from forgecli.cores import available_cores, threads_of_children
from forgecli.errors import ForgeError
from forgecli.predict.tasks import Outcome, Task, Work, lost
from forgecli.predict.worker import TERMINATED, serve

_TICK = 0.2
"""Seconds between two looks at whether to stop."""
_PATIENCE = 3.0
"""Seconds a worker gets to end by itself."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    task: Task | None = None


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
        self._work = work
        self._size = size
        self._note = note
        self._stop = stop
        self._threads = max(1, available_cores() // size)
        self._context = multiprocessing.get_context("spawn")  # fork and threads do not mix
        self._workers: list[_Worker] = []

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
                if outcome.out_of_memory and self._size > 1:
                    again.append(task)
                else:
                    yield outcome
            self._end_workers()
            if again and not self._stop():
                self._note(f"trying {len(again)} again that ran out of memory, one at a time")
                for _, outcome in self._drain(iter(again), 1):
                    yield outcome
        finally:
            self._end_workers()

    def _drain(self, tasks: Iterator[Task], size: int) -> Iterator[tuple[Task, Outcome]]:
        upcoming = next(tasks, None)
        while upcoming is not None or any(worker.task for worker in self._workers):
            if upcoming is not None:
                self._grow(size)
            for worker in self._workers:
                if upcoming is not None and worker.ready and worker.task is None:
                    worker.task = upcoming
                    with suppress(OSError):  # dead: its end of the pipe says so below
                        worker.pipe.send(upcoming)
                    upcoming = next(tasks, None)
            pipes = {worker.pipe: worker for worker in self._workers}
            for pipe in wait(list(pipes), _TICK):
                worker = pipes[pipe]  # type: ignore[index]
                task, outcome = worker.task, self._listen(worker)
                if task is not None and outcome is not None:
                    yield task, outcome
            if self._stop():
                return

    def _grow(self, size: int) -> None:
        """Start workers: the first alone, for it may have to compile what the others then load."""
        if not self._workers:
            self._start()
        elif any(worker.ready for worker in self._workers):
            while len(self._workers) < min(size, self._size):
                self._start()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve, args=(theirs, self._work, self._threads), daemon=True
        )
        with threads_of_children(self._threads), _without_interrupts():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _listen(self, worker: _Worker) -> Outcome | None:
        """Take one message of a worker; the outcome if its task is over in whatever way."""
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if kind == "ready":
            worker.ready = True
        elif kind == "note":
            self._note(content)
        elif kind == "cannot":
            self._give_up(worker, content)
        elif kind == "done":
            worker.task = None
            outcome: Outcome = content
            return outcome
        return None

    def _bury(self, worker: _Worker) -> Outcome | None:
        """Take a dead worker out; the outcome of its task if it had one."""
        worker.process.join(_PATIENCE)
        code = worker.process.exitcode
        killed = code is not None and code == -getattr(signal, "SIGKILL", 9)
        if killed:
            cause = "its process was killed, most likely for lack of memory"
        elif code is not None and code < 0:
            cause = f"its process crashed ({_signal_name(-code)})"
        else:
            cause = f"its process ended with code {code}"
        if not worker.ready:
            self._give_up(worker, cause)
            return None
        self._remove(worker)
        if code == TERMINATED and self._stops_soon():
            return None  # not a failure of the image: it will be among the missing rows
        return lost(worker.task, cause, out_of_memory=killed) if worker.task else None

    def _stops_soon(self) -> bool:
        """Whether the signal that ended a worker, sent to all processes of a job, is ours too."""
        deadline = monotonic() + 1.0
        while not self._stop() and monotonic() < deadline:
            sleep(0.01)
        return self._stop()

    def _give_up(self, worker: _Worker, cause: str) -> None:
        """A worker could not start: go on with those there are, if there are any."""
        self._remove(worker)
        if not self._workers:
            raise ForgeError(f"the detector cannot start: {cause}")
        self._size = len(self._workers)
        self._note(f"a worker could not start ({cause}): going on with {self._size}")

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join(0)

    def _end_workers(self) -> None:
        """End all workers: the idle by asking, the busy by force."""
        for worker in self._workers:
            if worker.task is None and worker.ready:
                with suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self._workers.clear()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: they inherit what is blocked here.

    Ctrl-C goes to every process of the terminal. A worker that is still importing would answer
    with a traceback. Here it is only kept waiting.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
