"""Rows of a submission or a truth file, one at a time."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from forgecli.errors import ForgeError, UsageError
from forgecli.score.problems import shown

ID = "case_id"

LONGEST_LINE = 1 << 28
"""Bytes of a line. Noise over 200 megapixels is longer, no mask that anyone means is."""

_SAVE_AS = "save it as CSV in UTF-8"


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        line: where it begins in its file, counted from 1.
        case_id: with its accents in one spelling (Unicode NFC), so that ids compare.
        values: of the columns that were asked for; empty if the row cannot be split into columns.
        fault, mend: why it cannot, and what to do; empty if it can.
    """

    line: int
    case_id: str
    values: tuple[str, ...]
    fault: str = ""
    mend: str = ""


def read_rows(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read a CSV file in UTF-8 with a first line that names the columns.

    Columns may stand in any order, others are ignored, blank lines too. One row is in memory at a
    time.

    Args:
        columns: the names of the values to read, besides `ID`.

    Raises:
        UsageError: there is no such file.
        ForgeError: the file cannot be read, is not UTF-8, is not CSV, lacks a column or names one
            twice. While iterating, since a file may end well and go wrong in its last line.
    """
    wanted = [ID, *columns]
    limit = csv.field_size_limit(LONGEST_LINE)
    try:
        with file.open("rb") as raw:
            yield from _split(raw, file, wanted)
    except OSError as error:
        kind = UsageError if isinstance(error, FileNotFoundError) else ForgeError
        raise kind(
            f"cannot be read: {error.strerror or error}.", file=file, mend="check the path"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _split(raw: BinaryIO, file: Path, wanted: Sequence[str]) -> Iterator[Row]:
    reader = csv.reader(_lines(raw, file), strict=True)
    line = 1
    positions: list[int] | None = None
    width = 0
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not cells:
                continue
            if positions is None:
                positions, width = _positions(cells, file, wanted), len(cells)
                continue
            yield _row(first, cells, positions, width, wanted)
    except csv.Error as error:
        raise ForgeError(
            f"is not valid CSV in the row that begins in line {line}: {error}.",
            file=file,
            mend="put every annotation in one pair of double quotes and end lines with a newline",
        ) from error
    if positions is None:
        raise ForgeError("is empty.", file=file, mend=_name_columns(wanted))


def _positions(names: list[str], file: Path, wanted: Sequence[str]) -> list[int]:
    missing = [name for name in wanted if name not in names]
    double = [name for name in wanted if names.count(name) > 1]
    if missing or double:
        wrong = f"has no column {missing[0]}" if missing else f"has two columns {double[0]}"
        found = ", ".join(shown(name) for name in names[:8])
        mend = _name_columns(wanted)
        if missing and ID in names:
            mend = f"check the order, forge score SUBMISSION TRUTH, or {mend}"
        raise ForgeError(f"{wrong} (the first line names {found}).", file=file, mend=mend)
    return [names.index(name) for name in wanted]


def _name_columns(wanted: Sequence[str]) -> str:
    return f"begin it with the line {','.join(wanted)}"


def _row(
    line: int, cells: list[str], positions: list[int], width: int, wanted: Sequence[str]
) -> Row:
    case_id = cells[positions[0]] if positions[0] < len(cells) else ""
    if not case_id.isascii():
        case_id = unicodedata.normalize("NFC", case_id)
    if len(cells) > width:
        return Row(
            line,
            case_id,
            (),
            f"the row has {len(cells)} fields, the first line {width}",
            "put the annotation in double quotes",
        )
    if len(cells) < width:
        return Row(
            line,
            case_id,
            (),
            f"the row has {len(cells)} of {width} fields",
            f"give every row {', '.join(wanted)}",
        )
    if not case_id.strip():
        return Row(line, "", (), "the row has no id", f"fill in {ID}")
    return Row(line, case_id, tuple(cells[position] for position in positions[1:]))


def _lines(raw: BinaryIO, file: Path) -> Iterator[str]:
    """Decoded lines. Decoding one by one gives an error its line."""
    number = 0
    while line := raw.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            _refuse_other_formats(line, file)
        if len(line) > LONGEST_LINE:
            raise ForgeError(
                f"line {number} is longer than {LONGEST_LINE} bytes.", file=file, mend=_SAVE_AS
            )
        if b"\0" in line:
            raise ForgeError(
                f"line {number} holds a NUL byte: this is not UTF-8 text.", file=file, mend=_SAVE_AS
            )
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ForgeError(
                f"line {number} is not UTF-8 (byte 0x{line[error.start]:02X} at character "
                f"{error.start + 1}).",
                file=file,
                mend=_SAVE_AS,
            ) from None


def _refuse_other_formats(start: bytes, file: Path) -> None:
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ForgeError("line 1: the text is UTF-16, not UTF-8.", file=file, mend=_SAVE_AS)
    if start[:4] == b"PK\x03\x04":
        raise ForgeError(
            "is a ZIP archive or a spreadsheet, not CSV.",
            file=file,
            mend="unpack it, or " + _SAVE_AS,
        )
