"""A comparison as tables that people read, and as a file that spreadsheets open."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from forgecli.atomic import atomic_writer
from forgecli.console import printable
from forgecli.score.compare import Comparison, Difference, PairedScore
from forgecli.spreadsheet import in_a_cell

COLUMNS = (
    "case_id",
    "group",
    "label",
    "score_a",
    "score_b",
    "difference",
    "n_true",
    "n_pred_a",
    "n_pred_b",
    "coverage",
    "problem_a",
    "problem_b",
)

_NONE = "-"


def tables(comparison: Comparison, most: int) -> Iterator[Table]:
    """The differences by class, then the `most` images that changed most."""
    yield _differences(comparison)
    changed = comparison.most_changed(most)
    if changed:
        yield _images(changed)


def _differences(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("images")
    interval = f"{100 * comparison.level:g} % interval"
    for heading in ("count", "A", "B", "B - A", interval, "B better", "B worse", "equal"):
        table.add_column(heading, justify="right")
    for part, style in (
        (comparison.overall, "bold"),
        (comparison.authentic, ""),
        (comparison.forged, ""),
    ):
        table.add_row(
            part.name,
            str(part.images),
            _figure(part.a),
            _figure(part.b),
            _signed(part.difference),
            _interval(part),
            str(part.better),
            str(part.worse),
            str(part.equal),
            style=style,
        )
    return table


def _images(changed: list[PairedScore]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("changed most", overflow="fold")
    table.add_column("class")
    for heading in ("A", "B", "B - A"):
        table.add_column(heading, justify="right")
    for image in changed:
        table.add_row(
            Text(printable(image.case_id)),
            image.a.label or _NONE,
            _figure(image.a.score),
            _figure(image.b.score),
            _signed(image.difference),
        )
    return table


def write_per_image(file: Path, comparison: Comparison) -> None:
    """Write one row per image, in the order of the truth. An existing file is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_writer(file, newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for image in comparison.images:
            a, b = image.a, image.b
            writer.writerow(
                [
                    in_a_cell(image.case_id),
                    in_a_cell(image.group),
                    a.label or "",
                    repr(a.score),
                    repr(b.score),
                    repr(image.difference),
                    "" if a.n_true is None else a.n_true,
                    "" if a.n_pred is None else a.n_pred,
                    "" if b.n_pred is None else b.n_pred,
                    "" if a.coverage is None else f"{a.coverage:.6g}",
                    *(
                        in_a_cell(f"{each.problem.what}; {each.problem.mend}")
                        if each.problem
                        else ""
                        for each in (a, b)
                    ),
                ]
            )


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return _NONE if value is None else f"{value:+.4f}"


def _interval(part: Difference) -> str:
    if part.interval is None:
        return _NONE
    return f"{part.interval.low:+.4f} to {part.interval.high:+.4f}"
