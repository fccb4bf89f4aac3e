"""A summary as tables that people read."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from forgecli.score.summary import Group, Summary

_NONE = "-"


def tables(summary: Summary) -> Iterator[Table]:
    """The scores by group beside those of the trivial submissions, then the image-level figures."""
    yield _scores(summary)
    yield _image_level(summary)


def _scores(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("images")
    for heading in ("count", "score", "all authentic", "whole image"):
        table.add_column(heading, justify="right")
    _add(table, summary.overall, style="bold")
    _add(table, summary.authentic)
    _add(table, summary.forged)
    for group in summary.by_instances:
        _add(table, group, "  {} instance" + ("" if group.name == "1" else "s"))
    for group in summary.by_coverage:
        _add(table, group, "  covered {}")
    return table


def _add(table: Table, group: Group, name: str = "{}", style: str = "") -> None:
    values = (group.score, group.all_authentic, group.whole_image)
    table.add_row(name.format(group.name), str(group.images), *map(_figure, values), style=style)


def _image_level(summary: Summary) -> Table:
    level = summary.image_level
    forged = level.true_positives + level.false_negatives
    authentic = level.false_positives + level.true_negatives
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("flagged or not")
    table.add_column("", justify="right")
    table.add_column("")
    flagged = level.true_positives + level.false_positives
    table.add_row("precision", _figure(level.precision), f"{level.true_positives} of {flagged}")
    table.add_row("recall", _figure(level.recall), f"{level.true_positives} of {forged}")
    table.add_row("F1", _figure(level.f1))
    table.add_row(
        "false-positive rate",
        _figure(level.false_positive_rate),
        f"{level.false_positives} of {authentic}",
    )
    return table


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"
