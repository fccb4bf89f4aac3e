"""Text for CSV files that people open in a spreadsheet."""

from __future__ import annotations


def in_a_cell(text: str) -> str:
    """Text that a spreadsheet shows and does not run: what looks like a formula gets a quote.

    Only for files that people open. A submission is read by programs and keeps its ids.
    """
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
