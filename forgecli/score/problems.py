"""What is wrong with rows of a file, told all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forgecli.errors import ForgeError

MOST_SHOWN = 20
_LONGEST_ID = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: the file to mend.
        what: what is wrong, without file, line and id.
        mend: what to do about it.
        line: where it is, counted from 1; None for what is not there at all.
        case_id: the id of the row; empty where it has none.
    """

    file: Path
    what: str
    mend: str
    line: int | None = None
    case_id: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else str(self.file)
        name = f" id {shown(self.case_id)}:" if self.case_id else ""
        return f"{place}:{name} {self.what}; {self.mend}"


class BadRows(ForgeError):
    """Rows of one or more files cannot be used.

    Args:
        problems: one or more.
        mend: what to do about all of them.

    Attributes:
        problems: all of them; the message shows the first `MOST_SHOWN`.
    """

    def __init__(self, problems: Sequence[Problem], *, mend: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(listing(problems), mend=mend)


def listing(problems: Sequence[Problem]) -> str:
    """The count and the first of the problems, one a line."""
    count = len(problems)
    head = f"{count} problem{'s' if count != 1 else ''}"
    if count > MOST_SHOWN:
        head += f", the first {MOST_SHOWN}"
    return "\n".join([head + ":", *(f"  {problem}" for problem in problems[:MOST_SHOWN])])


def shown(text: str) -> str:
    """Text from a file as a message may show it: quoted, no control characters, not long."""
    return repr(text if len(text) <= _LONGEST_ID else text[: _LONGEST_ID - 1] + "…")
