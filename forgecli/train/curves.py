"""The history of a run as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forgecli.atomic import atomic_writer

_FIGURES = ("metric", "all_authentic", "dice", "iou")


def write_curves(file: Path, history: Sequence[Mapping[str, Any]], best_epoch: int) -> None:
    """Draw loss, learning rate and validation figures over epochs as a PNG file.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    of_loss, of_figures, of_rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1))
    of_loss.plot(*_points(history, "loss"), marker=".", color="tab:blue")
    of_loss.set_ylabel("training loss")
    for name in _FIGURES:
        dotted = name == "all_authentic"
        of_figures.plot(*_points(history, name), label=name.replace("_", " "),
                        marker="" if dotted else ".", linestyle=":" if dotted else "-")  # fmt: skip
    if best_epoch:
        of_figures.axvline(best_epoch, color="grey", linewidth=0.8, label="best")
    of_figures.set_ylabel("validation")
    of_figures.legend(fontsize="small")
    of_rate.plot(*_points(history, "lr"), color="tab:grey")
    of_rate.set_ylabel("learning rate")
    of_rate.set_xlabel("epoch")
    of_rate.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (of_loss, of_figures, of_rate):
        axes.grid(alpha=0.3)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    with atomic_writer(file, "wb") as out:
        out.write(drawn.getvalue())


def _points(history: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    rows = [row for row in history if name in row]
    return [row["epoch"] for row in rows], [row[name] for row in rows]
