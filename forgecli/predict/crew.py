"""Processes that do jobs, and what becomes of a job when its process dies.

A decoder that crashes takes its process with it, and the system kills the process that takes too
much memory. The jobs that it was at are told, the process is replaced and the others go on.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
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
    """One place in a process: most have one.

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
    """The end of a process that could take jobs, as one of its places tells it.

    Attributes:
        job: what the place was at, or None.
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
        size: jobs at work at the same time, 1 or more.
        serve: the life of a process; it gets a pipe and `arguments`, and talks as
            `forgecli.predict.worker` says. With several places, it gets a list of pipes.
        threads: of each numeric library in each process.
        note: told what a user may want to know.
        stop: whether the program is to end.
        places: jobs that one process has in hand at the same time; `size` is a multiple of it.

    Attributes:
        members: the places in processes that there are.
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
        places: int = 1,
    ) -> None:
        self.members: list[Member[Job]] = []
        self.size = size
        self._places = places
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
            if member not in self.members:  # it went with another place of its process
                continue
            try:
                message = member.pipe.recv()
            except (EOFError, OSError):
                yield from self._buried(member)
                continue
            said = self._understood(member, message)
            if said is not None:
                yield member, said

    def end(self) -> None:
        """End all processes: the idle by asking, the busy by force."""
        places: dict[SpawnProcess, list[Member[Job]]] = {}
        for member in self.members:
            places.setdefault(member.process, []).append(member)
        for process, members in places.items():
            if all(member.free for member in members):
                for member in members:
                    with suppress(OSError):
                        member.pipe.send(None)
            else:
                process.terminate()
        for process, members in places.items():
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
            for member in members:
                member.pipe.close()
        self.members.clear()

    def _start(self) -> None:
        ours, theirs = zip(*(self._context.Pipe() for _ in range(self._places)), strict=True)
        process = self._context.Process(
            target=self._serve,
            args=(theirs[0] if self._places == 1 else list(theirs), *self._arguments),
            daemon=True,
        )
        with threads_of_children(self._threads), _without_interrupts():
            process.start()
        for end in theirs:
            end.close()
        self.members.extend(Member(process, end) for end in ours)

    def _understood(self, member: Member[Job], message: tuple[str, Any]) -> tuple[str, Any] | None:
        """A message of a job; None for those of the process itself."""
        kind, content = message
        if kind == "ready":
            for each in self._beside(member):
                each.ready = True
        elif kind == "note":
            self._note(content)
        elif kind == "cannot":
            self._give_up(member, content)
        else:
            return kind, content
        return None

    def _buried(
        self, member: Member[Job]
    ) -> Iterator[tuple[Member[Job], tuple[str, Any] | Death[Job]]]:
        """Take a dead process out: what its places had still said, and their deaths."""
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
            return
        stopped = code == TERMINATED and self._stops_soon()
        for each in self._beside(member):
            for message in _left_in(each.pipe):
                said = self._understood(each, message)
                if said is not None:
                    yield each, said
            self._remove(each)
            yield each, Death(each.job, cause, killed, stopped)

    def _stops_soon(self) -> bool:
        """Whether the signal that ended a process, sent to all of a program, is ours too."""
        deadline = monotonic() + 1.0
        while not self._stop() and monotonic() < deadline:
            sleep(0.01)
        return self._stop()

    def _give_up(self, member: Member[Job], cause: str | ForgeError) -> None:
        """A process could not start: go on with those there are, if there are any."""
        for each in self._beside(member):
            self._remove(each)
        if not self.members:
            if isinstance(cause, ForgeError):
                raise cause
            raise ForgeError(f"the detector cannot start: {cause}.")
        self.size = len(self.members)
        self._note(f"a worker could not start ({cause}): going on with {self.size}")

    def _beside(self, member: Member[Job]) -> list[Member[Job]]:
        """All places of a member's process, itself among them."""
        return [other for other in self.members if other.process is member.process]

    def _remove(self, member: Member[Job]) -> None:
        self.members.remove(member)
        member.pipe.close()
        member.process.join(0)


def _left_in(pipe: Connection) -> Iterator[tuple[str, Any]]:
    """The messages that a dead process had sent."""
    with suppress(EOFError, OSError):
        while pipe.poll():
            yield pipe.recv()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: they inherit what is blocked here.

    Ctrl-C goes to every process of the terminal. A worker that is still importing would answer
    with a traceback. Here it is only kept waiting.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # With the first process Python starts one of its own, and lets signals through afterwards.
    resource_tracker.ensure_running()
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
