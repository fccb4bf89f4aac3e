"""The index of a data set: a CSV file with one row per image."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from forgecli.atomic import atomic_writer
from forgecli.inspect.rows import Finding, ImageRow
from forgecli.spreadsheet import in_a_cell

COLUMNS = (
    "id",
    "class",
    "set",
    "path",
    "mask",
    "status",
    "height",
    "width",
    "channels",
    "bits",
    "alpha",
    "format",
    "bytes",
    "sha256",
    "grey",
    "mean_red",
    "mean_green",
    "mean_blue",
    "std_red",
    "std_green",
    "std_blue",
    "coverage",
    "instances",
    "largest_instance",
    "smallest_instance",
    "problems",
)


def write_index(file: Path, rows: Iterable[ImageRow], findings: Iterable[Finding]) -> None:
    """Write one row per image, in the order given. An existing file is replaced.

    Coverage is in percent of the image, areas are in pixels, mean and std on the scale of 0 to 255.
    What does not apply or is not known is empty.

    Args:
        findings: all of them; those about an image, or its mask, are told in its row.

    Raises:
        OutputError: it cannot be written.
    """
    about: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        about[finding.path].append(finding)
    with atomic_writer(file, newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            problems = [*about[row.path], *(about[row.mask] if row.mask else ())]
            writer.writerow(_cells(row, problems))


def _cells(row: ImageRow, problems: Iterable[Finding]) -> list[object]:
    pixels, truth = row.pixels, row.truth
    areas = truth.areas if truth else ()
    return [
        in_a_cell(row.case_id),
        row.label,
        in_a_cell(row.part),
        in_a_cell(row.path),
        in_a_cell(row.mask),
        row.status,
        row.height or "",
        row.width or "",
        row.channels or "",
        row.bits or "",
        int(row.alpha) if row.height else "",
        row.format or "",
        row.size if row.sha256 else "",
        row.sha256,
        int(pixels.grey) if pixels else "",
        *([f"{value:.3f}" for value in (*pixels.mean, *pixels.std)] if pixels else [""] * 6),
        "" if truth is None else f"{truth.coverage:.6g}",
        "" if truth is None else len(areas),
        max(areas, default=""),
        min(areas, default=""),
        in_a_cell("; ".join(f"{each.kind}: {each.text}" for each in problems)),
    ]
