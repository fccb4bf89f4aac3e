"""Errors for people: what is wrong, with which file, what to do."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path


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


class UsageError(ForgeError):
    """The command line or a configuration asks for something that cannot be."""

    exit_code = ExitCode.USAGE
