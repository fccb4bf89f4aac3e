"""Figures as Markdown: tables, shares, per cent."""

from __future__ import annotations

from collections.abc import Sequence


def rows_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; names in the first column, figures in the others."""
    lines = [list(header), ["---"] + ["--:"] * (len(header) - 1), *map(list, rows)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def share(hits: int, count: int, bounds: Sequence[float] | None = None) -> str:
    """So many of so many, with the bounds of the share in per cent."""
    text = f"{hits} of {count}"
    return text + (f" ({100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %)" if bounds else "")


def percent(part: float) -> str:
    """A share in whole per cent."""
    return f"{100 * part:.0f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """A number of so many decimals; nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"
