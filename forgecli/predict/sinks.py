"""Files that grow row by row while the job runs, and are valid wherever it ends."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from forgecli.atomic import Draft
from forgecli.predict.plan import Plan
from forgecli.predict.tasks import Outcome
from forgecli.spreadsheet import in_a_cell

NO_IMAGE = "no-image"
"""Status of a row whose id the sample submission names and no image has."""

DETAILS = (
    "case_id", "status", "flagged", "score", "kind", "threshold", "fpr", "instances", "width",
    "height", "seconds", "reason", "warnings",
)  # fmt: skip


class InOrder:
    """Outcomes come as they finish and go in the order of the rows.

    Outcomes wait here, small as they are, while one before them is still at work.
    """

    def __init__(self, plan: Plan) -> None:
        self._rows = plan.rows
        self._waiting: dict[int, Outcome] = {}
        self._next = 0

    def add(self, outcome: Outcome) -> None:
        """One outcome that has finished."""
        self._waiting[outcome.row] = outcome

    def take(self) -> Iterator[Outcome]:
        """The outcomes whose turn it is, rows without an image included."""
        while self._next < len(self._rows):
            row = self._rows[self._next]
            if row.case is None:
                outcome = Outcome(self._next, row.case_id, status=None)
            elif self._next in self._waiting:
                outcome = self._waiting.pop(self._next)
            else:
                return
            self._next += 1
            yield outcome

    def rest(self) -> Iterator[Outcome]:
        """What has finished out of turn, in the order of the rows: for a job that is stopped."""
        for index in sorted(self._waiting):
            yield self._waiting.pop(index)


class CsvFile:
    """A CSV file in UTF-8. Every row is on disk when `add` returns; names are data, never syntax.

    Args:
        path: the file, which takes its place on `Draft.commit`.
        header: the names of the columns.
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.draft = Draft(path)
        self.rows = 0
        self._write(header)

    def add(self, cells: Sequence[str]) -> None:
        """Append one row."""
        self._write(cells)
        self.rows += 1

    def _write(self, cells: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        # Names that are not UTF-8 on disk get backslashes: a submission has to be UTF-8.
        self.draft.write(line.getvalue().encode("utf-8", "backslashreplace"))


class LineFile:
    """A text file of lines, likewise."""

    def __init__(self, path: Path) -> None:
        self.draft = Draft(path)

    def add(self, line: str) -> None:
        """Append one line."""
        self.draft.write(line.encode("utf-8", "backslashreplace") + b"\n")


def submission_row(outcome: Outcome) -> list[str]:
    """`case_id,annotation`. The id is exactly the input's: the competition compares it."""
    return [outcome.case_id, outcome.annotation]


def details_row(outcome: Outcome) -> list[str]:
    """The columns of `DETAILS`; kind, threshold and fpr are empty where there is none."""
    criterion = outcome.criterion
    rate = criterion.rate if criterion else None
    height, width = outcome.shape
    return [
        in_a_cell(outcome.case_id),
        str(outcome.status or NO_IMAGE),
        str(int(outcome.flagged)),
        f"{outcome.score:.6g}",
        criterion.kind if criterion else "",
        f"{criterion.threshold:.6g}" if criterion else "",
        "" if rate is None else f"{rate:g}",
        str(outcome.instances),
        str(width),
        str(height),
        f"{outcome.seconds.get('all', 0.0):.3f}",
        in_a_cell(outcome.reason),
        in_a_cell("; ".join(outcome.warnings)),
    ]
