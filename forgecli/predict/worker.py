"""One worker process: takes tasks from a pipe, sends outcomes back, until told to end.

Or from several pipes: then it has as many tasks in hand at the same time, a thread for each. What
computes has to let go of Python's lock meanwhile, as decoders, kernels and engines do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from time import monotonic, sleep
from types import FrameType
from typing import Any, Literal

from forgecli.errors import ForgeError
from forgecli.predict.tasks import Outcome, Task, Work, lost
from forgecli.stop import leave_interrupts

Message = (
    tuple[Literal["note"], str] | tuple[Literal["cannot"], str | ForgeError]
    | tuple[Literal["ready"], None] | tuple[Literal["done"], Outcome]
)  # fmt: skip
"""What a worker says: something for the user, that it cannot start and why, that it can take
tasks, that one is done. Workers of other kinds answer jobs with words of their own."""

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a worker that was told to end by SIGTERM."""

_PATIENCE = 2.0
"""Seconds that threads get to let go of their tasks; the parent kills after three."""

Answer = Callable[[Any], tuple[str, Any]]
"""Answers a job, and never raises."""

Prepare = Callable[[], tuple[Answer, Callable[[], None]]]
"""Makes what answers jobs, and what is called at the end."""


def serve(pipe: Connection | list[Connection], work: Work, threads: int) -> None:
    """The life of a worker that examines tasks. Runs in its own process.

    Args:
        pipe: gives tasks, or None to end; takes messages. Several: so many tasks at a time.
        work: what to do.
        threads: how many OpenCV may use for each task.
    """
    live(pipe, partial(_prepared, work), threads)


def live(pipe: Connection | list[Connection], prepare: Prepare, threads: int) -> None:
    """The life of a process that answers every job with one message.

    Args:
        pipe: gives jobs, or None to end; takes messages. Several: a thread answers each, and the
            first one takes what is said of all.
        prepare: see `Prepare`; it is called once.
        threads: how many OpenCV may use for each job.
    """
    leave_interrupts()
    signal.signal(signal.SIGTERM, _leave)
    lines = [_Line(each) for each in (pipe if isinstance(pipe, list) else [pipe])]
    try:
        with suppress(BrokenPipeError, EOFError, ConnectionResetError):  # the parent is gone
            made = _made(lines[0], prepare, threads)
            if made is not None:
                answer, close = made
                lines[0].say(("ready", None))
                if len(lines) == 1:
                    while (job := lines[0].pipe.recv()) is not None:
                        lines[0].say(answer(job))
                else:
                    _SideBySide(lines, answer).run()
                close()
    finally:
        # Nothing is left to take back, and an exception while the interpreter ends is a traceback.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Line:
    """A pipe that several threads may speak into: notes come from any of them."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self._speaking = threading.Lock()

    def say(self, message: tuple[str, Any]) -> None:
        with self._speaking:
            self.pipe.send(message)


def _made(line: _Line, prepare: Prepare, threads: int) -> tuple[Answer, Callable[[], None]] | None:
    """What `prepare` makes; None if it cannot, and the parent has been told why."""
    try:
        _set_up(line, threads)
        return prepare()
    except ForgeError as error:
        line.say(("cannot", error))
    except Exception as error:  # noqa: BLE001 - told to the parent, which tells the user
        line.say(("cannot", f"{type(error).__name__}: {error}"))
    return None


class _SideBySide:
    """A thread for every pipe, until all of them were told to end.

    A signal reaches the main thread only, which passes it on: what a thread is writing is taken
    back.
    """

    def __init__(self, lines: Sequence[_Line], answer: Answer) -> None:
        self._lines = lines
        self._answer = answer
        self._busy: set[int] = set()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Answer jobs until told to end."""
        threads = [
            threading.Thread(target=self._life, args=(line,), daemon=True) for line in self._lines
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except SystemExit:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._stopping.set()
            self._let_go()
            raise

    def _life(self, line: _Line) -> None:
        try:
            self._answer_all(line)
        except (BrokenPipeError, EOFError, ConnectionResetError):  # the parent is gone
            pass
        except BaseException:  # noqa: BLE001
            if not self._stopping.is_set():
                os._exit(1)  # or the parent would wait for this thread for ever
        finally:
            self._busy.discard(threading.get_ident())

    def _answer_all(self, line: _Line) -> None:
        me = threading.get_ident()
        while (job := line.pipe.recv()) is not None:
            self._busy.add(me)
            if self._stopping.is_set():
                return
            line.say(self._answer(job))
            self._busy.discard(me)

    def _let_go(self) -> None:
        """End the threads that are at a job; each is told once, or its cleaning up would end."""
        told: set[int] = set()
        until = monotonic() + _PATIENCE
        while self._busy and monotonic() < until:
            for thread in self._busy - told:
                _end(thread)
                told.add(thread)
            sleep(0.01)
        if self._busy:  # inside a library: the interpreter must not be taken down around it
            os._exit(TERMINATED)


def _end(thread: int) -> None:
    """Raise SystemExit in a thread of this process, as soon as it is back in Python."""
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raise_in(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))


def _set_up(line: _Line, threads: int) -> None:
    import cv2

    from kernels.jit import on_first_compile

    cv2.setNumThreads(threads)
    on_first_compile(lambda text: line.say(("note", text)))


def _prepared(work: Work) -> tuple[Callable[[Task], tuple[str, Outcome]], Callable[[], None]]:
    from forgecli.predict.examine import Examiner  # after the listener: it compiles kernels

    examiner = Examiner(work)
    examiner.prepare()

    def examined(task: Task) -> tuple[str, Outcome]:
        try:
            return "done", examiner.examine(task)
        except Exception as error:  # noqa: BLE001 - one image never ends the batch
            return "done", lost(task, f"{type(error).__name__}: {error}")

    return examined, examiner.close


def _leave(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that a file being written is taken back."""
    sys.exit(TERMINATED)
