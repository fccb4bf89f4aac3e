"""What was printed has arrived, or the program says that it has not."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

from forgecli.atomic import OutputError

NAME = "stdout"


class _Named(io.FileIO):
    """Stdout as a file whose errors say that it was stdout."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = NAME
            raise


def name_stdout() -> None:
    """From now on an error of stdout has its name. A terminal is never full, and is left alone."""
    stream: Any = sys.stdout
    raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))
    if not isinstance(raw, io.FileIO) or raw.fileno() != 1 or stream.isatty():
        return
    stream.flush()
    named: Any = _Named(1, "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        named if raw is stream.buffer else io.BufferedWriter(named),  # without -u, with a buffer
        encoding=stream.encoding,
        errors=stream.errors,
        write_through=bool(stream.write_through),
    )


def flush_stdout() -> None:
    """Send off what is kept back. When Python does it at its end, a failure is a traceback.

    Raises:
        OSError: it cannot be sent.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def unsent(error: Exception) -> OutputError | None:
    """What to tell a user if it is stdout that could not be written; None if it is not.

    What could not be sent is given up, so that the end of the program does not try again. Where
    nobody reads any more (``| head``) there is nobody to tell, and the program ends with 1.

    Args:
        error: what came up after `name_stdout`.
    """
    if not isinstance(error, OSError) or error.filename != NAME:
        return None
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        sys.stdout.flush()
    if error.errno == errno.EPIPE:
        sys.exit(1)
    return OutputError(error, NAME)
