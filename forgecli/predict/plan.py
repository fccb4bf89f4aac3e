"""Which rows a submission has, in which order, and which image stands behind each."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forgecli.detection import Case
from forgecli.errors import UsageError

_LONGEST_FIELD = 1 << 30  # an earlier submission will do as a sample: annotations may be long


@dataclass(frozen=True, slots=True)
class Row:
    """One row to write. `case` is None for an id of the sample that has no image."""

    case_id: str
    case: Case | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All rows, in the order of the file.

    Attributes:
        ignored: how many images have no row, for the sample does not name them.
    """

    rows: tuple[Row, ...]
    ignored: int = 0

    @property
    def images(self) -> int:
        """Rows that have an image."""
        return sum(row.case is not None for row in self.rows)

    @property
    def missing(self) -> int:
        """Rows that have none."""
        return len(self.rows) - self.images

    def warnings(self) -> list[str]:
        """What a user should know about the rows before the work starts."""
        said = []
        if self.missing:
            said.append(f"{self.missing} ids of the sample have no image: written as authentic")
        if self.ignored:
            said.append(f"{self.ignored} images are not in the sample: left out")
        formulas = sum(row.case_id.startswith(("=", "+", "-", "@")) for row in self.rows)
        if formulas:
            said.append(
                f"{formulas} ids look like formulas to a spreadsheet; the submission holds them "
                "unchanged, for the competition compares them: do not open it in one"
            )
        return said


def plan_rows(cases: Sequence[Case], sample: Path | None = None) -> Plan:
    """One row per case in their order; with a sample submission, one per id of it, in its order.

    Args:
        cases: one per image, ids unique.
        sample: a file with a column ``case_id``. Ids match whatever way their accents are spelt;
            the row has the sample's spelling.

    Raises:
        UsageError: the sample cannot be read, names an id twice, or names none of the images.
    """
    if sample is None:
        return Plan(tuple(Row(case.case_id, case) for case in cases))
    by_id = {_spelling(case.case_id): case for case in cases}
    rows = tuple(Row(name, by_id.get(_spelling(name))) for name in read_ids(sample))
    plan = Plan(rows, ignored=len(cases) - sum(row.case is not None for row in rows))
    if not plan.images:
        raise UsageError(
            f"none of its {len(rows)} ids is among the {len(cases)} images "
            f"(the first are {rows[0].case_id!r} and {cases[0].case_id!r}).",
            file=sample,
            mend="check the folder, or choose --id-from name or path",
        )
    return plan


def read_ids(file: Path) -> list[str]:
    """The column ``case_id`` of a CSV file.

    Raises:
        UsageError: not there, not CSV in UTF-8, no such column, no rows, an empty or a double id.
    """
    limit = csv.field_size_limit(_LONGEST_FIELD)
    ids: dict[str, int] = {}
    names: list[str] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            if "case_id" not in (reader.fieldnames or ()):
                raise UsageError("has no column case_id.", file=file, mend="check the first line")
            for record in reader:
                name = record["case_id"]
                spelling = _spelling(name or "")
                if not spelling or spelling in ids:
                    wrong = f"names {name!r} twice" if spelling else "has an empty case_id"
                    before = f", in line {ids[spelling]} before" if spelling else ""
                    raise UsageError(f"{wrong} (line {reader.line_num}{before}).", file=file)
                ids[spelling] = reader.line_num
                names.append(name)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}.", file=file, mend="check --sample-submission"
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"is not a CSV file in UTF-8: {error}.", file=file) from error
    finally:
        csv.field_size_limit(limit)
    if not ids:
        raise UsageError("has no rows.", file=file)
    return names


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name)
