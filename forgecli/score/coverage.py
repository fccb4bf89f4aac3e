"""How much of an image is covered, in the field's buckets."""

from __future__ import annotations

from bisect import bisect_left

EDGES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Percent of the image. A bucket holds its upper edge."""

BUCKETS = ("<= 0.1 %", "0.1 - 0.5 %", "0.5 - 1 %", "1 - 2 %", "2 - 5 %", "> 5 %")


def bucket(percent: float) -> str:
    """The bucket of a coverage in percent."""
    return BUCKETS[bisect_left(EDGES, percent)]
