"""Confidence intervals for a mean whose images are not independent.

The bootstrap with bias correction and acceleration, BCa, of Efron (Better Bootstrap Confidence
Intervals, JASA 82, 1987), over groups: whole groups are drawn with replacement, as Davison and
Hinkley describe for clustered data (Bootstrap Methods and their Application, 1997, 3.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 1 << 22
"""Numbers that are drawn at a time, so that memory does not grow with the number of resamples."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with some confidence.

    Attributes:
        low, high: both ends belong to it.
        level: the confidence, such as 0.95.
        groups: independent groups behind it.
    """

    low: float
    high: float
    level: float
    groups: int

    @property
    def holds_zero(self) -> bool:
        """Whether 0 is as good a value as any in it."""
        return self.low <= 0 <= self.high


def interval_of_mean(
    sums: Floats,
    counts: Floats,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """The BCa interval of the mean over all members of all groups.

    The mean of a resample is the sum over the drawn groups by the number of their members. Where
    all resamples agree, the interval is that one value.

    Args:
        sums: float64 (G,), the sum of the values of each group.
        counts: float64 (G,), how many members each group has, 1 or more.
        resamples: how many to draw, 1 or more.
        level: between 0 and 1.
        seed: the same seed gives the same interval.

    Returns:
        None for fewer than two groups: one group says nothing of how much groups differ.
    """
    groups = len(sums)
    if groups < 2:
        return None
    total, members = float(sums.sum()), float(counts.sum())
    mean = total / members
    drawn = _resampled_means(sums, counts, resamples, np.random.default_rng(seed))
    # Sums that are equal but for rounding are equal: z0 counts how many lie on either side.
    scale = 1e-12 * max(1.0, float(np.abs(drawn).max()))
    drawn = np.where(np.abs(drawn - mean) <= scale, mean, drawn)
    below = (np.count_nonzero(drawn < mean) + np.count_nonzero(drawn <= mean)) / (2 * resamples)
    left_out = (total - sums) / np.maximum(members - counts, 1)
    shares = [(1 - level) / 2, (1 + level) / 2]
    if 0 < below < 1:
        shares = [_corrected(share, below, _acceleration(left_out)) for share in shares]
    low, high = np.quantile(drawn, shares)
    return Interval(float(low), float(high), level, groups)


def _resampled_means(
    sums: Floats, counts: Floats, resamples: int, random: np.random.Generator
) -> Floats:
    """float64 (resamples,)."""
    groups = len(sums)
    rows = max(1, _BLOCK // groups)
    alike = bool((counts == counts[0]).all())
    means = np.empty(resamples, np.float64)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        picked = random.integers(0, groups, (size, groups))
        over = counts[0] * groups if alike else counts[picked].sum(axis=1)
        means[start : start + size] = sums[picked].sum(axis=1) / over
    return means


def _acceleration(left_out: Floats) -> float:
    """From the means without each of the groups (the jackknife). 0 where they are all one."""
    away = left_out.mean() - left_out
    spread = float((away**2).sum()) ** 1.5
    return float((away**3).sum()) / (6 * spread) if spread > 0 else 0.0


def _corrected(share: float, below: float, acceleration: float) -> float:
    """The quantile of the resamples to take for `share`."""
    normal = NormalDist()
    bias = normal.inv_cdf(below)
    there = bias + normal.inv_cdf(share)
    slope = 1 - acceleration * there
    if slope <= 0:  # far outside of what the expansion holds for
        return share
    return normal.cdf(bias + there / slope)
