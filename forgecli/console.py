"""What a user sees: data goes to stdout, everything else through here to stderr."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from forgecli.errors import ForgeError

stderr = Console(stderr=True, highlight=False, soft_wrap=True)

_LEAST_WIDTH = 80
"""Columns of a table at least: in a narrower terminal it breaks lines, and no digit is cut off."""


def stdout_for_tables() -> Console:
    """The console on stdout that tables are printed to."""
    stdout = Console(highlight=False)
    stdout.width = max(stdout.width, _LEAST_WIDTH)
    return stdout


def printable(text: str, *, keep: str = "") -> str:
    """Text safe for a terminal: control characters, which names of files can hold, as escapes.

    Args:
        text: data from anywhere.
        keep: control characters to leave as they are.
    """
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )


def say(text: str) -> None:
    """Say a result to a person. `text` is data, not markup, here as below."""
    stderr.print(Text(printable(text, keep="\n")))


def note(text: str) -> None:
    """Say something a user may want to know."""
    stderr.print(Text(printable(text, keep="\n"), style="dim"))


def warn(text: str) -> None:
    """Say something a user should know."""
    stderr.print(Text.assemble(("warning: ", "yellow"), printable(text, keep="\n")))


def fail(error: ForgeError) -> None:
    """Say why a command ends, and what to do about it."""
    place = f"{printable(str(error.file))}: " if error.file is not None else ""
    what = printable(error.what, keep="\n")
    stderr.print(Text.assemble(("error: ", "bold red"), place, what))
    if error.mend:
        stderr.print(Text.assemble(("  try: ", "bold"), printable(error.mend, keep="\n")))


def clock(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
