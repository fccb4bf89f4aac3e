"""The setting that scores best, of all there are.

Which images pass a gate depends on the quantile alone, so images are put in the order of their
scores once for each quantile; a running sum of what each of them gains over "authentic" then gives
the total of every gate with every other setting.

The highest total may be a spike that a few images made. A gate that r of N images pass will let
more or fewer of other N images pass, with a standard deviation of sqrt(r (N - r) / N). So a setting
counts with its mean total over the gates within two of these: the middle of a plateau. No more than
0.1 sqrt(N) images (half an image at least) are given up for it, a fraction of the standard error
that a total of N scores has anyway.

What is alike is resolved to the side of "authentic": fewer images pass, larger areas, higher pixel
thresholds; of policies, to the earlier one.

Measured on simulated maps (``python -m bench.tune``), scores fall by up to 0.005 on the images that
the setting is chosen on, and rise by 0 to 0.008 on others. Averages over neighbouring pixel
thresholds and areas did not help there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from forgecli.segment.thresholds import Thresholds
from forgecli.tune.grid import Grid
from forgecli.tune.stack import Stack, quiet
from forgecli.tune.tables import ImageTable, Scores

_DEVIATIONS = 2.0
_GIVEN_UP = 0.1
_ALIKE = 1e-9  # totals are sums of some thousand numbers of at most 1


@dataclass(frozen=True, slots=True)
class Best:
    """The setting to take, and what it scores on the images it was chosen on.

    Attributes:
        thresholds: quiet (see `stack.quiet`) where nothing beats calling every image authentic;
            then all but the gate are those of the best that would let an image pass.
        score: the competition's metric, a mean over images.
        all_authentic: the same if every image were called authentic.
        highest: the best score of any setting: what a chase after the maximum would claim.
    """

    thresholds: Thresholds
    score: float
    all_authentic: float
    highest: float


def best(tables: Sequence[ImageTable], grid: Grid, *, plateau: bool = True) -> Best:
    """The best setting for some images.

    Args:
        tables: one or more, made with `grid`.
        grid: the settings to try; gates are tried between any two images.
        plateau: take the middle of a plateau; else the highest score.
    """
    return best_of(Stack.of(tables, grid), plateau=plateau)


def best_of(stack: Stack, *, plateau: bool = True) -> Best:
    """As `best`, for a stack of one or more images."""
    silent, count = float(stack.silent.mean()), len(stack)
    curves = [_Curve.of(stack, column, plateau) for column in range(len(stack.grid.quantiles))]
    highest = max(curve.highest for curve in curves)
    least = highest - (_allowance(count) if plateau else _ALIKE)
    found = max((curve.choice(least) for curve in curves), key=lambda choice: choice.rank)
    thresholds, gain = found.thresholds, found.gain
    if gain <= _ALIKE * count:
        return Best(quiet(thresholds), silent, silent, silent + max(0.0, highest) / count)
    return Best(thresholds, silent + gain / count, silent, silent + max(0.0, highest) / count)


@dataclass(frozen=True, slots=True)
class _Choice:
    """The best setting of a quantile, what it gains, and how it ranks among those of others."""

    thresholds: Thresholds
    gain: float
    rank: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Totals over the gates of one quantile, with every other setting.

    Attributes:
        grid: the settings.
        quantile: of this curve.
        descending: float64 (N,), the images' scores.
        cuts: int64 (c,), how many images the gates let pass, none excepted.
        totals: float64 (c, policies, P, M), what the images that pass gain over "authentic".
        means: likewise, over the gates near by.
    """

    grid: Grid
    quantile: float
    descending: Scores
    cuts: NDArray[np.int64]
    totals: Scores
    means: Scores

    @classmethod
    def of(cls, stack: Stack, column: int, plateau: bool) -> _Curve:
        levels = stack.levels[:, column]
        order = np.argsort(-levels, kind="stable")
        totals = _totals(stack.scores[order] - stack.silent[order, None, None, None])
        cuts = np.flatnonzero(_is_cut(levels[order]))[1:]
        means = _near_by(totals)[cuts] if plateau else totals[cuts]
        quantile = stack.grid.quantiles[column]
        return cls(stack.grid, quantile, levels[order], cuts, totals[cuts], means)

    @property
    def highest(self) -> float:
        return float(self.totals.max())

    def choice(self, least: float) -> _Choice:
        """The setting with the best mean of those whose total is `least` or more."""
        value = np.where(self.totals >= least, self.means, -np.inf)
        cut, policy, pixel, min_area = _first_best(value)
        passing = int(self.cuts[cut])
        thresholds = Thresholds(
            pixel=self.grid.pixels[pixel],
            min_area=self.grid.min_areas[min_area],
            quantile=self.quantile,
            gate=gate_after(self.descending, passing),
            instances=self.grid.policies[policy],
        )
        worth = float(value[cut, policy, pixel, min_area])
        near = round(worth / _ALIKE) if np.isfinite(worth) else -np.inf
        rank = (near, -passing, thresholds.min_area, thresholds.pixel, -policy)
        return _Choice(thresholds, float(self.totals[cut, policy, pixel, min_area]), rank)


def gate_after(descending: Scores, passing: int) -> float:
    """The gate that so many images pass: half way to the next one, in log-odds.

    Args:
        descending: float64 (N,), the images' scores.
        passing: one of the places that `_is_cut` allows; 0 gives 1.
    """
    if passing == 0:
        return 1.0
    lowest = float(descending[passing - 1])
    if passing == len(descending):
        return lowest
    below = float(descending[passing])
    middle = (lowest + below) / 2
    if below > 0 and lowest < 1:
        odds = (log(lowest / (1 - lowest)) + log(below / (1 - below))) / 2
        middle = 1 / (1 + exp(-odds)) if odds >= 0 else exp(odds) / (1 + exp(odds))
    return middle if below < middle <= lowest else lowest


def best_cut(levels: Scores, gains: Scores) -> tuple[float | None, float]:
    """The gate for images whose other settings are fixed.

    Args:
        levels: float64 (N,), the images' scores.
        gains: float64 (N,), what each adds to the total where it passes.

    Returns:
        the gate and the total gain, which is above 0; None and 0 where no gate gains.
    """
    if not len(levels):
        return None, 0.0
    order = np.argsort(-levels, kind="stable")
    totals = _totals(gains[order, None, None, None])
    cuts = np.flatnonzero(_is_cut(levels[order]))[1:]
    enough = totals[cuts] >= totals[cuts].max() - _allowance(len(levels))
    cut = _first_best(np.where(enough, _near_by(totals)[cuts], -np.inf))[0]
    gain = float(totals[cuts[cut], 0, 0, 0])
    if gain <= _ALIKE * len(levels):
        return None, 0.0
    return gate_after(levels[order], int(cuts[cut])), gain


def _is_cut(descending: Scores) -> NDArray[np.bool_]:
    """bool (N + 1,), whether a gate can let so many images pass: equal scores pass together."""
    cut = np.ones(len(descending) + 1, bool)
    cut[1:-1] = descending[:-1] > descending[1:]
    return cut


def _first_best(means: Scores) -> tuple[int, int, int, int]:
    """The place of the greatest value of float64 (cuts, policies, P, M); see `sweep` for ties."""
    places = np.argwhere(means >= means.max() - _ALIKE)
    cut, policy, pixel, min_area = places.T
    first = int(np.lexsort((policy, -pixel, -min_area, cut))[0])
    return int(cut[first]), int(policy[first]), int(pixel[first]), int(min_area[first])


def _totals(gains: Scores) -> Scores:
    """Running sums of float64 (N, ...) along the first axis, from 0: (N + 1, ...)."""
    totals = np.zeros((len(gains) + 1, *gains.shape[1:]))
    np.cumsum(gains, axis=0, out=totals[1:])
    return totals


def _near_by(totals: Scores) -> Scores:
    """Means of float64 (N + 1, policies, P, M) over the numbers of images that may pass as well."""
    count = len(totals) - 1
    passing = np.arange(count + 1)
    deviation = np.sqrt(passing * (count - passing) / count)
    reach = np.maximum(1, np.rint(_DEVIATIONS * deviation).astype(np.int64))
    first, last = np.maximum(passing - reach, 0), np.minimum(passing + reach + 1, count + 1)
    sums = _totals(totals)
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None, None, None])


def _allowance(count: int) -> float:
    """How much of the highest total of so many images may be given up for a better mean."""
    return max(0.5, _GIVEN_UP * sqrt(count))
