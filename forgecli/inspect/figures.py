"""Numbers as people read them, in the terminal and in the page."""

from __future__ import annotations

from collections.abc import Mapping

NONE = "-"


def percent(share: float | None) -> str:
    """A share of 1 in percent."""
    return NONE if share is None else f"{100 * share:.1f} %"


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def triple(values: tuple[float, float, float]) -> list[str]:
    """Red, green and blue on the scale of 0 to 255."""
    return [f"{value:.1f}" for value in values]


def spread(values: Mapping[str, float], form: str = ",.0f") -> list[str]:
    """Least, P50, P90, most."""
    return [format(value, form) for value in values.values()]


def findings_text(count: int) -> str:
    """How many findings need mending, in words."""
    if not count:
        return "nothing wrong found"
    return "1 finding needs a look" if count == 1 else f"{count:,} findings need a look"


def bytes_text(count: int) -> str:
    """Bytes in the largest unit that leaves one or more."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
