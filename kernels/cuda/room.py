"""Several arrays in one buffer, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

_STEP = 256
"""Arrays begin at multiples of it, as buffers do."""


def side_by_side(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where arrays of so many bytes begin, and the bytes of all together."""
    starts, end = [], 0
    for size in sizes:
        starts.append(end)
        end += -(-size // _STEP) * _STEP
    return starts, end
