"""The order in which people expect ids: 2 before 10."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(text: str) -> tuple[list[str | int], str]:
    """A sort key that takes digits as numbers and ignores case; ties fall back to the text."""
    # Splitting at digits alternates text and number, so keys of one depth compare alike.
    parts = _DIGITS.split(text.casefold())
    return [int(p) if i % 2 else p for i, p in enumerate(parts)], text
