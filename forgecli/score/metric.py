"""The metric of the scientific image forgery competition, for one image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations
from math import perm

import numpy as np
from numpy.typing import NDArray

from kernels.overlap import f1_matrix
from kernels.rle import Runs

_MOST_ORDERS = 120
"""Five by five, the most instances that the competition's images have."""


def score_image(true: Sequence[Runs], predicted: Sequence[Runs]) -> float:
    """The score of one image, 0 to 1.

    Instances are compared by pixel F1 and assigned one to one so that the sum is largest. The score
    is that sum over the number of instances, true or predicted, whichever are more: this is the
    mean over true instances, times the competition's penalty for instances in excess.

    Args:
        true: runs of every true instance; none means authentic.
        predicted: runs of every predicted instance, likewise. An instance without pixels counts,
            and matches nothing.
    """
    if not len(true) or not len(predicted):
        return float(len(true) == len(predicted))
    return best_assignment(f1_matrix(true, predicted)) / max(len(true), len(predicted))


def best_assignment(values: NDArray[np.float64]) -> float:
    """The largest sum of entries, no two in one row or column.

    A few instances, which is what nearly all images have, are tried in every order; more go to
    SciPy's Hungarian method, which alone takes a third of a second to import.

    Args:
        values: float64 (N, M), N and M at least 1.
    """
    if min(values.shape) == 1:
        return float(values.max())
    wide = values if values.shape[0] <= values.shape[1] else values.T
    count, choices = wide.shape
    if perm(choices, count) <= _MOST_ORDERS:
        return float(wide[np.arange(count), _orders(count, choices)].sum(axis=1).max())
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(wide, maximize=True)
    return float(wide[rows, columns].sum())


@cache
def _orders(count: int, choices: int) -> NDArray[np.int64]:
    """Every way to give `count` rows columns of their own, int64 (ways, count)."""
    return np.array(list(permutations(range(choices), count)), np.int64)
