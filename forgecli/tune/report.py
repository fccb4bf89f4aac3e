"""A tuning as tables that people read, and image by image as a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from forgecli.atomic import atomic_writer
from forgecli.spreadsheet import in_a_cell
from forgecli.tune.tables import Scores
from forgecli.tune.tuning import Tuning
from forgecli.tune.validate import Measured

COLUMNS = ("case_id", "status", "reason", "forged", "n_true", "coverage", "level", "score",
           "fold", "score_out_of_fold", "flagged_out_of_fold", "match", "fused",
           "fused_out_of_fold")  # fmt: skip


def tables(tuning: Tuning) -> Iterator[Table]:
    """The scores by class, the thresholds with what every fold chose, the image-level figures."""
    yield _scores(tuning)
    yield _thresholds(tuning)
    yield _figures(tuning)


def remarks(tuning: Tuning) -> Iterator[str]:
    """What a user should know before believing the numbers, in sentences."""
    found, grouping = tuning.validated.segment, tuning.grouping
    if not tuning.speaks:
        yield (
            "on images that it was not tuned on, the network does not beat calling every image "
            f"authentic ({found.out_of_fold:.4f} against {tuning.best.all_authentic:.4f}): the "
            "gate is 1, with which it flags nothing"
        )
    elif tuning.quiet:
        yield (
            "on all images together, no thresholds beat calling every image authentic: the gate is "
            "1, with which the network flags nothing"
        )
    elif found.gain < 2 * found.standard_error:
        yield (
            f"the gain over calling every image authentic, {found.gain:.4f}, is less than twice "
            f"its standard error of {found.standard_error:.4f}: it may be chance"
        )
    fused = tuning.validated.fused
    if fused is not None and tuning.thresholds.fused_gate is None:
        yield (
            "on images that it was not tuned on, the network adds no more than chance to match "
            f"({fused.out_of_fold:.4f} against {fused.baseline.mean():.4f}, standard error "
            f"{fused.standard_error:.4f}): in fused it is silent"
        )
    if (
        tuning.thresholds.fused_gate is not None  # else match alone decides, however it is used
        and tuning.match is not None
        and tuning.match.operating_point is None
    ):
        yield (
            "beside match's submission there is no NAME.run.json of match that says with which "
            "thresholds it was made, so forge predict will not notice where match is used with "
            "others: keep the two files together, and tune again"
        )
    if tuning.forged.all():
        yield "there are no authentic images: nothing here says how often the network is wrong"
    if grouping.joined == "single sources":
        yield (
            "compound figures share source pictures across folds: the out-of-fold figures may be "
            "a little high"
        )
    if len(tuning.rows) < 100:
        yield f"{len(tuning.rows)} images are few: expect other thresholds from other images"


def write_per_image(file: Path, tuning: Tuning) -> None:
    """Write one row per image, those that could not be used last. An existing file is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    stack, validated, thresholds = tuning.stack, tuning.validated, tuning.thresholds
    columns: list[Sequence[Any]] = [
        stack.levels_at(thresholds.quantile).tolist(),
        stack.scores_at(thresholds).tolist(),
        validated.fold.tolist(),
        validated.segment.scores.tolist(),
        validated.segment.flags.astype(int).tolist(),
    ]
    fused, nothing = tuning.fused_on_all(), [""] * len(stack)
    together = None if validated.fused is None else validated.fused.scores
    columns += [
        nothing if values is None else values.tolist()
        for values in (tuning.match.scores if tuning.match else None, fused, together)
    ]
    with atomic_writer(file, newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, *values in zip(tuning.rows, *columns, strict=True):
            coverage = "" if row.coverage is None else f"{row.coverage:.6g}"
            known = [int(bool(row.truth)), len(row.truth), coverage]
            writer.writerow([in_a_cell(row.case.case_id), row.status, "", *known, *values])
        for row in tuning.failed:
            empty = [""] * (len(COLUMNS) - 3)
            name, reason = in_a_cell(row.case.case_id), in_a_cell(row.reason)
            writer.writerow([name, row.status, reason, *empty])


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    return table


def _scores(tuning: Tuning) -> Table:
    validated, forged = tuning.validated, tuning.forged
    columns: dict[str, Scores] = {
        "all authentic": tuning.stack.silent,
        "as written": tuning.stack.scores_at(tuning.thresholds),
        "out of fold": validated.segment.scores,
    }
    fused = tuning.fused_on_all()
    if validated.fused is not None and fused is not None:
        columns["match"] = validated.fused.baseline
        columns["fused"] = fused
        columns["out of fold "] = validated.fused.scores
    table = _table("images", "count", *(name.strip() for name in columns))
    parts: dict[str, NDArray[np.bool_]] = {"authentic": ~forged, "forged": forged}
    for name, part in {"all": np.ones(len(forged), bool), **parts}.items():
        figures = [f"{v[part].mean():.4f}" if part.any() else "-" for v in columns.values()]
        table.add_row(name, str(part.sum()), *figures, style="bold" if name == "all" else "")
    return table


def _thresholds(tuning: Tuning) -> Table:
    table = _table("threshold", "written", "lowest of the folds", "highest")
    for name, values in tuning.spread().items():
        written = getattr(tuning.thresholds, name)
        if name == "instances":
            counts = {value: values.count(value) for value in dict.fromkeys(values)}
            told = ", ".join(f"{value} {count}x" for value, count in counts.items())
            table.add_row(name, written, told, "")
            continue
        known = sorted(value for value in values if value is not None)
        ends = [_value(known[0]), _value(known[-1])] if known else ["never", "never"]
        if len(known) < len(values):
            ends[1] = "never"
        table.add_row(name.replace("_", " "), _value(written), *ends)
    return table


def _value(value: float | None) -> str:
    return "never" if value is None else str(value) if isinstance(value, int) else f"{value:.6g}"


def _figures(tuning: Tuning) -> Table:
    measured: list[Measured] = [tuning.validated.segment]
    if tuning.validated.fused is not None:
        measured.append(tuning.validated.fused)
    forged = tuning.forged
    headings = ["network", "fused"] if len(measured) == 2 else ["network"]
    table = _table("out of fold", *headings)
    table.add_row("recall", *(_share(m.flags[forged]) for m in measured))
    table.add_row("false-positive rate", *(_share(m.flags[~forged]) for m in measured))
    over = "gain over all authentic" if len(measured) == 1 else "gain over all authentic, match"
    table.add_row(over, *(f"{m.gain:+.4f}" for m in measured))
    table.add_row("  its standard error", *(f"{m.standard_error:.4f}" for m in measured))
    table.add_row("optimism (in fold - out)", *(f"{m.optimism:+.4f}" for m in measured))
    return table


def _share(flags: NDArray[np.bool_]) -> str:
    return f"{flags.mean():.4f} ({flags.sum()} of {len(flags)})" if len(flags) else "-"
