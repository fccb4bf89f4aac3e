"""What a build says at its end: a table for people, JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from forgecli.build.run import Result


def table(result: Result) -> Table:
    """What was measured, and what it may be."""
    shown = Table("measured", "", "at most", box=None, pad_edge=False)
    for column in shown.columns[1:]:
        column.justify = "right"
    for finding in result.findings:
        limit = "" if finding.limit is None else f"{finding.limit:g}"
        style = "" if finding.good else "red"
        shown.add_row(finding.what, f"{finding.value:.3g}", limit, style=style)
    return shown


def files(result: Result) -> list[str]:
    """The files, a line each."""
    lines = [f"{one.file}  {_megabytes(len(one.data))}{_kept(one.kept)}" for one in result.onnx]
    if result.engine is not None:
        size = result.engine.file.stat().st_size
        lines.append(f"{result.engine.file}  {_megabytes(size)}{_kept(result.engine.kept)}")
    if result.int8 is not None:
        size = result.int8.file.stat().st_size
        lines.append(f"{result.int8.file}  {_megabytes(size)}")
    return lines


def as_json(result: Result) -> dict[str, Any]:
    """All of it as plain JSON values."""
    engine = result.engine
    return {
        "onnx": [
            {
                "file": str(one.file),
                "precision": one.precision,
                "sha256": one.sha256,
                "kept": one.kept,
            }
            for one in result.onnx
        ],
        "checks": [
            {"name": one.name, "value": one.value, "limit": one.limit, "good": one.good}
            for one in result.findings
        ],
        "engine": None
        if engine is None
        else {"file": str(engine.file), "kept": engine.kept, **engine.facts},
        "int8": None if result.int8 is None else result.int8.as_json(),
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _kept(kept: bool) -> str:
    return "  (was there already)" if kept else ""
