"""One worker process: takes tasks from a pipe, sends outcomes back, until told to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, Literal

from forgecli.errors import ForgeError
from forgecli.predict.tasks import Outcome, Task, Work, lost
from forgecli.stop import leave_interrupts

Message = (
    tuple[Literal["note", "cannot"], str] | tuple[Literal["ready"], None]
    | tuple[Literal["done"], Outcome]
)  # fmt: skip
"""What a worker says: something for the user, that it cannot start and why, that it can take
tasks, that one is done. Workers of other kinds answer jobs with words of their own."""

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a worker that was told to end by SIGTERM."""


def serve(pipe: Connection, work: Work, threads: int) -> None:
    """The life of a worker that examines tasks. Runs in its own process.

    Args:
        pipe: gives tasks, or None to end; takes messages.
        work: what to do.
        threads: how many OpenCV may use.
    """
    live(pipe, partial(_prepared, work), threads)


def live(
    pipe: Connection,
    prepare: Callable[[], tuple[Callable[[Any], tuple[str, Any]], Callable[[], None]]],
    threads: int,
) -> None:
    """The life of a process that answers every job with one message.

    Args:
        pipe: gives jobs, or None to end; takes messages.
        prepare: makes what answers a job, which never raises, and what is called at the end.
        threads: how many OpenCV may use.
    """
    leave_interrupts()
    signal.signal(signal.SIGTERM, _leave)
    try:
        with suppress(BrokenPipeError, EOFError, ConnectionResetError):  # the parent is gone
            _answer_all(pipe, prepare, threads)
    finally:
        # Nothing is left to take back, and an exception while the interpreter ends is a traceback.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _answer_all(
    pipe: Connection,
    prepare: Callable[[], tuple[Callable[[Any], tuple[str, Any]], Callable[[], None]]],
    threads: int,
) -> None:
    try:
        _set_up(pipe, threads)
        answer, close = prepare()
    except ForgeError as error:
        pipe.send(("cannot", str(error)))
        return
    except Exception as error:  # noqa: BLE001 - told to the parent, which tells the user
        pipe.send(("cannot", f"{type(error).__name__}: {error}"))
        return
    pipe.send(("ready", None))
    while (job := pipe.recv()) is not None:
        pipe.send(answer(job))
    close()


def _set_up(pipe: Connection, threads: int) -> None:
    import cv2

    from kernels.jit import on_first_compile

    cv2.setNumThreads(threads)
    on_first_compile(lambda text: pipe.send(("note", text)))


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
