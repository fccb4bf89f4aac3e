"""The value of a rank, without sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EVERY = 64
"""Of so many values one is looked at first."""


def value_of_rank(values: NDArray[np.float32], rank: int) -> float:
    """The value that `rank` others are sorted before, the lowest being of rank 0.

    For a high rank a sample tells a value that is surely, or nearly so, not above the one sought;
    what lies below it is left out (R. Floyd and R. Rivest, "Expected time bounds for selection",
    1975, in its simplest form). Where the sample was wrong, all values are looked at: the result
    is exact either way.

    Args:
        values: (n,), no NaN.
        rank: from 0 to n - 1.

    Raises:
        ValueError: there is no such rank.
    """
    if not 0 <= rank < values.size:
        raise ValueError(f"there are {values.size} values. Got: rank {rank}")
    above = values.size - rank  # how many are not lower, itself among them
    if above == 1:
        return float(values.max())
    sample: Any = values[::_EVERY]
    # Twice as deep as the share says, and sixteen more for small shares.
    place = sample.size - 16 - 2 * above // _EVERY
    if place > 0:
        highest = values[values >= np.partition(sample, place)[place]]
        if highest.size >= above:
            values, rank = highest, highest.size - above
    return float(np.partition(values, rank)[rank])
