"""Errors for people: what is wrong, with which file, what to do."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Any


class ExitCode(IntEnum):
    """What a command returns to the shell."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SOME_INPUTS_FAILED = 3
    INTERRUPTED = 130


class ForgeError(Exception):
    """A failure a user can understand and mend.

    Args:
        what: what is wrong, one sentence without the file's name.
        file: the file it is wrong with, if there is one.
        mend: what to do about it, one sentence.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, what: str, *, file: Path | str | None = None, mend: str = "") -> None:
        self.what = what
        self.file = file
        self.mend = mend
        place = f"{file}: " if file is not None else ""
        super().__init__(f"{place}{what}" + (f" {mend}" if mend else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """How it comes home from a worker process.

        Exceptions are made again from their message alone, which fails for kinds that are made of
        something else; and then the worker seems to have died, and nobody hears why.
        """
        return _again, (type(self), self.args, self.__dict__)


class UsageError(ForgeError):
    """The command line or a configuration asks for something that cannot be."""

    exit_code = ExitCode.USAGE


def _again(kind: type[ForgeError], args: tuple[Any, ...], said: dict[str, Any]) -> ForgeError:
    """An error as it was, in another process."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(said)
    return error
