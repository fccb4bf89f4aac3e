"""Errors on their way from a worker process."""

from __future__ import annotations

import errno
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from forgecli.atomic import OutputError
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.errors import ForgeError, UsageError
from forgecli.score.problems import BadRows, Problem

FULL = OutputError(OSError(errno.ENOSPC, "No space left on device"), Path("a/b.png"))


@pytest.mark.parametrize(
    "error",
    [
        ForgeError("it is broken.", file="a", mend="mend it"),
        UsageError("not so."),
        Unreadable("is empty.", file=Path("a.png"), mend="replace it"),
        TooLarge("has 9 pixels.", file="a.png"),
        FULL,
        BadRows([Problem(Path("a.csv"), "odd", "make it even", 3, "case")]),
    ],
)
def test_an_error_comes_home_as_it_was(error: ForgeError) -> None:
    """Else the pool takes its worker for dead, and a full disk for a want of memory."""
    home = ForkingPickler.loads(ForkingPickler.dumps(error))
    assert type(home) is type(error)
    assert (str(home), home.what, home.file, home.mend) == (
        str(error), error.what, error.file, error.mend,
    )  # fmt: skip
    assert home.exit_code == error.exit_code
    assert vars(home) == vars(error)


def test_a_full_disk_is_still_one() -> None:
    home = ForkingPickler.loads(ForkingPickler.dumps(FULL))
    assert isinstance(home, OutputError) and home.full
