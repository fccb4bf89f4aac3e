"""Processes that do one job each at a time, and what becomes of a job when its process dies.

A decoder that crashes takes its process with it, and the system kills the process that takes too
much memory. Both cost one job here: the process is replaced and the others go on.
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
from typing import Any, Generic, TypeVar

from forgecli.cores import threads_of_children
from forgecli.errors import ForgeError
from forgecli.predict.worker import TERMINATED

Job = TypeVar("Job")

_PATIENCE = 3.0
"""Seconds a process gets to end by itself."""


@dataclass(slots=True, eq=False)
class Member(Generic[Job]):
    """One process.

    Attributes:
        ready: whether it can take jobs.
        job: what it is at, or None.
    """

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    job: Job | None = None

    @property
    def free(self) -> bool:
        """Whether it waits for a job."""
        return self.ready and self.job is None

    def give(self, job: Job) -> None:
        """Send a job. If the process is dead, its end of the pipe says so later."""
        self.job = job
        with suppress(OSError):
            self.pipe.send(job)


@dataclass(frozen=True, slots=True)
class Death(Generic[Job]):
    """The end of a process that could take jobs.

    Attributes:
        job: what it was at, or None.
        cause: in words for a user.
        killed: whether it was killed, most likely for lack of memory.
        stopped: whether it was told to end because the whole program is.
    """

    job: Job | None
    cause: str
    killed: bool
    stopped: bool


class Crew(Generic[Job]):
    """Processes that run the same function.

    Args:
        size: how many of them, 1 or more.
        serve: the life of a process; it gets a pipe and `arguments`, and talks as
            `forgecli.predict.worker` says.
        threads: of each numeric library in each process.
        note: told what a user may want to know.
        stop: whether the program is to end.

    Attributes:
        members: the processes there are.
        size: less than asked for where some could not start.
    """

    def __init__(
        self,
        size: int,
        serve: Callable[..., None],
        arguments: tuple[Any, ...],
        *,
        threads: int,
        note: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> None:
        self.members: list[Member[Job]] = []
        self.size = size
        self._serve = serve
        self._arguments = arguments
        self._threads = threads
        self._note = note
        self._stop = stop
        self._context = multiprocessing.get_context("spawn")  # fork and threads do not mix

    @property
    def busy(self) -> bool:
        """Whether any of them is at a job."""
        return any(member.job is not None for member in self.members)

    def grow(self, size: int) -> None:
        """Start processes: the first alone, for it may have to compile what the others then load.

        Args:
            size: how many are of use now.
        """
        if not self.members:
            self._start()
        elif any(member.ready for member in self.members):
            while len(self.members) < min(size, self.size):
                self._start()

    def heard(self, timeout: float) -> Iterator[tuple[Member[Job], tuple[str, Any] | Death[Job]]]:
        """What members say of their jobs: messages, or that they died. Waits so many seconds.

        Raises:
            ForgeError: no process can start.
        """
        pipes = {member.pipe: member for member in self.members}
        for pipe in wait(list(pipes), timeout):
            member = pipes[pipe]  # type: ignore[index]
            said = self._listen(member)
            if said is not None:
                yield member, said

    def end(self) -> None:
        """End all processes: the idle by asking, the busy by force."""
        for member in self.members:
            if member.free:
                with suppress(OSError):
                    member.pipe.send(None)
            else:
                member.process.terminate()
        for member in self.members:
            member.process.join(_PATIENCE)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            member.pipe.close()
        self.members.clear()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=self._serve, args=(theirs, *self._arguments), daemon=True
        )
        with threads_of_children(self._threads), _without_interrupts():
            process.start()
        theirs.close()
        self.members.append(Member(process, ours))

    def _listen(self, member: Member[Job]) -> tuple[str, Any] | Death[Job] | None:
        try:
            kind, content = member.pipe.recv()
        except (EOFError, OSError):
            return self._bury(member)
        if kind == "ready":
            member.ready = True
        elif kind == "note":
            self._note(content)
        elif kind == "cannot":
            self._give_up(member, content)
        else:
            return kind, content
        return None

    def _bury(self, member: Member[Job]) -> Death[Job] | None:
        """Take a dead process out; None if it never could take a job."""
        member.process.join(_PATIENCE)
        code = member.process.exitcode
        killed = code is not None and code == -getattr(signal, "SIGKILL", 9)
        if killed:
            cause = "its process was killed, most likely for lack of memory"
        elif code is not None and code < 0:
            cause = f"its process crashed ({_signal_name(-code)})"
        else:
            cause = f"its process ended with code {code}"
        if not member.ready:
            self._give_up(member, cause)
            return None
        self._remove(member)
        stopped = code == TERMINATED and self._stops_soon()
        return Death(member.job, cause, killed, stopped)

    def _stops_soon(self) -> bool:
        """Whether the signal that ended a process, sent to all of a program, is ours too."""
        deadline = monotonic() + 1.0
        while not self._stop() and monotonic() < deadline:
            sleep(0.01)
        return self._stop()

    def _give_up(self, member: Member[Job], cause: str) -> None:
        """A process could not start: go on with those there are, if there are any."""
        self._remove(member)
        if not self.members:
            raise ForgeError(f"the detector cannot start: {cause}")
        self.size = len(self.members)
        self._note(f"a worker could not start ({cause}): going on with {self.size}")

    def _remove(self, member: Member[Job]) -> None:
        self.members.remove(member)
        member.pipe.close()
        member.process.join(0)


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
