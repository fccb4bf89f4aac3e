"""One worker process: takes tasks from a pipe, sends outcomes back, until told to end."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import TYPE_CHECKING, Literal

from forgecli.errors import ForgeError
from forgecli.predict.tasks import Outcome, Task, Work, lost

if TYPE_CHECKING:
    from forgecli.predict.examine import Examiner

Message = (
    tuple[Literal["note", "cannot"], str] | tuple[Literal["ready"], None]
    | tuple[Literal["done"], Outcome]
)  # fmt: skip
"""What a worker says: something for the user, that it cannot start and why, that it can take
tasks, that one is done."""

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a worker that was told to end by SIGTERM."""


def serve(pipe: Connection, work: Work, threads: int) -> None:
    """The life of a worker. Runs in its own process.

    Args:
        pipe: gives tasks, or None to end; takes messages.
        work: what to do.
        threads: how many OpenCV may use.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us by SIGTERM
    signal.signal(signal.SIGTERM, _leave)
    with suppress(BrokenPipeError, EOFError, ConnectionResetError):  # the parent is gone
        try:
            examiner = _prepared(pipe, work, threads)
        except ForgeError as error:
            pipe.send(("cannot", str(error)))
            return
        except Exception as error:  # noqa: BLE001 - told to the parent, which tells the user
            pipe.send(("cannot", f"{type(error).__name__}: {error}"))
            return
        pipe.send(("ready", None))
        while (task := _next(pipe)) is not None:
            try:
                outcome = examiner.examine(task)
            except Exception as error:  # noqa: BLE001 - one image never ends the batch
                outcome = lost(task, f"{type(error).__name__}: {error}")
            pipe.send(("done", outcome))
        examiner.close()


def _next(pipe: Connection) -> Task | None:
    task: Task | None = pipe.recv()
    return task


def _prepared(pipe: Connection, work: Work, threads: int) -> Examiner:
    import cv2

    from kernels.jit import on_first_compile

    cv2.setNumThreads(threads)
    on_first_compile(lambda text: pipe.send(("note", text)))

    from forgecli.predict.examine import Examiner  # after the listener: it compiles kernels

    examiner = Examiner(work)
    examiner.prepare()
    return examiner


def _leave(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that a file being written is taken back."""
    sys.exit(TERMINATED)
