"""The score of every image as a file that spreadsheets open."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from forgecli.atomic import atomic_writer
from forgecli.errors import UsageError
from forgecli.score.evaluate import ImageScore
from forgecli.spreadsheet import in_a_cell

COLUMNS = ("case_id", "score", "label", "n_true", "n_pred", "coverage", "problem")


def refuse_inputs(file: Path, *inputs: Path, option: str = "--per-image") -> None:
    """Raise `UsageError` if the file to write, which `option` names, is one that is read."""
    if file.exists() and any(other.exists() and file.samefile(other) for other in inputs):
        raise UsageError("is an input.", file=file, mend=f"give {option} another name")


def write_per_image(file: Path, images: Iterable[ImageScore]) -> None:
    """Write one row per image, in the order given. An existing file is replaced.

    Coverage is in percent of the image. What does not apply or is not known is empty.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_writer(file, newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for image in images:
            problem = f"{image.problem.what}; {image.problem.mend}" if image.problem else ""
            writer.writerow(
                [
                    in_a_cell(image.case_id),
                    repr(image.score),
                    image.label or "",
                    "" if image.n_true is None else image.n_true,
                    "" if image.n_pred is None else image.n_pred,
                    "" if image.coverage is None else f"{image.coverage:.6g}",
                    in_a_cell(problem),
                ]
            )
