"""Plots for reports, as SVG text without anything that changes from run to run."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["linear", "log"]

COLORS = ("#0072B2", "#D55E00", "#999999", "#009E73", "#CC79A7")
"""Told apart by colour-blind people (Okabe and Ito, 2008), and dark enough on white."""

IMAGES = "images"
"""Name of an axis that counts; its marks are whole numbers."""

_INK = "#333333"
_STYLE: Any = {
    "svg.fonttype": "path",  # looks the same everywhere, and text in it cannot run
    "svg.hashsalt": "forge",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
}


class Plot:
    """A plot being drawn.

    Args:
        x, y: names of the axes.
        size: width and height in inches.
    """

    def __init__(self, x: str, y: str, size: tuple[float, float] = (5.2, 2.8)) -> None:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        with rc_context(_STYLE):
            self._figure = Figure(figsize=size, layout="constrained")
            self.axes: Axes = self._figure.subplots()
        self.axes.set_xlabel(x)
        self.axes.set_ylabel(y)
        if y == IMAGES:
            self.axes.yaxis.set_major_locator(MaxNLocator(integer=True))

    def svg(self) -> str:
        """The plot."""
        from matplotlib import rc_context

        if len(self.axes.get_legend_handles_labels()[1]) > 1:
            # Above the axes, where it hides nothing.
            self.axes.legend(
                fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False
            )
        text = io.StringIO()
        with rc_context(_STYLE):
            self._figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        return text.getvalue()


def histogram(
    series: Mapping[str, Sequence[float]],
    x: str,
    *,
    scale: Scale = "linear",
    bins: int = 40,
    lines: Mapping[str, float] | None = None,
) -> str:
    """How often values occur.

    Args:
        series: values by name; those that are not finite, or not above 0 on a log scale, are left
            out.
        x: what the values are.
        bins: over the range of all series.
        lines: values to mark, by name.
    """
    plot = Plot(x, IMAGES)
    kept = {name: _drawable(values, scale) for name, values in series.items()}
    kept = {name: values for name, values in kept.items() if values.size}
    if kept:
        edges = _edges(np.concatenate(list(kept.values())), scale, bins)
        plot.axes.hist(
            list(kept.values()),
            edges.tolist(),
            label=[_literal(name) for name in kept],
            color=[COLORS[number % len(COLORS)] for number in range(len(kept))],
        )
        plot.axes.set_xscale(scale)
        for number, (name, value) in enumerate((lines or {}).items()):
            plot.axes.axvline(
                value, color=_INK, linewidth=1, linestyle=("-", "--", ":")[number % 3]
            )
            plot.axes.annotate(
                _literal(name),
                (value, 0.98 - 0.1 * (number % 3)),
                xycoords=("data", "axes fraction"),
                xytext=(3, 0),
                textcoords="offset points",
                va="top",
                fontsize=8,
                color=_INK,
            )
        _plain_numbers(plot.axes, scale)
    return plot.svg()


def cumulative(
    values: Sequence[float],
    x: str,
    *,
    scale: Scale = "linear",
    lines: Mapping[str, float] | None = None,
) -> str:
    """The share of images whose value is as much or less.

    Args:
        values: one per image.
        x: what they are.
        lines: values to mark, by name, on the curve.
    """
    plot = Plot(x, "share of images")
    kept = np.sort(_drawable(values, scale))
    if kept.size:
        share = np.arange(1, kept.size + 1) / kept.size
        plot.axes.step(
            np.append(kept[0], kept), np.append(0.0, share), where="post", color=COLORS[0]
        )
        for name, value in (lines or {}).items():
            height = float((kept <= value).mean())
            plot.axes.plot([value], [height], "o", color=_INK, markersize=4)
            plot.axes.annotate(
                _literal(name), (value, height), xytext=(5, -10), textcoords="offset points",
                fontsize=8, color=_INK,
            )  # fmt: skip
        plot.axes.set_xscale(scale)
        _plain_numbers(plot.axes, scale)
    plot.axes.set_ylim(0, 1.02)
    return plot.svg()


def bars(series: Mapping[str, Mapping[str, float]], x: str, y: str) -> str:
    """Bars side by side.

    Args:
        series: heights by name of the bar, by name of the series. Bars are in the order in which
            they are first named; one that a series does not name is 0 there.
        x, y: what is counted, and how.
    """
    plot = Plot(x, y)
    names = list(dict.fromkeys(name for heights in series.values() for name in heights))
    width = 0.8 / max(len(series), 1)
    for number, (label, heights) in enumerate(series.items()):
        at = np.arange(len(names)) + (number - (len(series) - 1) / 2) * width
        values = [heights.get(name, 0) for name in names]
        drawn = plot.axes.bar(
            at, values, width * 0.94, label=_literal(label), color=COLORS[number % len(COLORS)]
        )
        plot.axes.bar_label(drawn, fmt="{:,.3g}", fontsize=8, color=_INK, padding=1)
    plot.axes.set_xticks(np.arange(len(names)), [_literal(name) for name in names], fontsize=8)
    return plot.svg()


def scatter(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str) -> str:
    """A point per image.

    Args:
        series: abscissas and ordinates by name.
    """
    plot = Plot(x, y)
    for number, (name, (across, up)) in enumerate(series.items()):
        plot.axes.plot(
            across,
            up,
            "ox+"[number % 3],
            markerfacecolor="none",
            label=_literal(name),
            color=COLORS[number % len(COLORS)],
            alpha=0.6,
            markersize=4,
            rasterized=len(across) > 2000,  # a vector file of every point would be large
        )
    plot.axes.set_xlim(left=0)
    plot.axes.set_ylim(bottom=0)
    return plot.svg()


def _drawable(values: Sequence[float], scale: Scale) -> np.ndarray:
    array = np.asarray(values, np.float64)
    array = array[np.isfinite(array)]
    return array[array > 0] if scale == "log" else array


def _edges(values: np.ndarray, scale: Scale, bins: int) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low * 0.9, low * 1.1]) if low else np.array([-0.5, 0.5])
    if scale == "log":
        return np.geomspace(low, high, bins + 1)
    return np.linspace(low, high, bins + 1)


def _plain_numbers(axes: Axes, scale: Scale) -> None:
    """0.1 rather than 10 to the power of -1."""
    if scale == "log":
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _literal(text: str) -> str:
    """Names may hold what matplotlib reads as mathematics, or hides."""
    text = text.replace("$", r"\$")
    return text if not text.startswith("_") else " " + text
