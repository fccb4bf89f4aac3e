"""From a false-positive rate to the score at which an image is flagged, by kind of image.

The points are part of the judge's file. They were measured on authentic images of sources that the
trees which scored them had not seen (`python -m bench.judge`): the threshold of a rate r is the
k-th highest score of n authentic images, k = r n rounded down, so that r of the images measured,
at most, are flagged. Were all images exchangeable, the chance of another to reach it would be
k / (n + 1) (the rank argument of conformal prediction; Vovk, Gammerman, Shafer, Algorithmic
Learning in a Random World, 2005); images of one source are not, so it is a guide. Where n is less
than 1 / r there is no such k, and no such rate is claimed. Between the rates it is interpolated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import floor, log, nextafter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forgecli.match.panels import Layout
    from forgecli.match.settings import MatchSettings

POOLED = "all"
"""Stands for the images of every kind together, and for an image of no known kind."""
LEAST = 0.5
"""No threshold is lower, however many false positives are allowed: an image that is more likely
authentic than not, where one in two is forged, is not flagged."""


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Thresholds by false-positive rate and kind of image.

    Attributes:
        rates: ascending, each the share of authentic images that may be flagged.
        thresholds: by kind, and under `POOLED`: a score for every rate, not ascending.
        images: by kind, and under `POOLED`: authentic images that they rest on.
    """

    rates: tuple[float, ...]
    thresholds: Mapping[str, tuple[float, ...]]
    images: Mapping[str, int]

    def threshold(self, rate: float, kind: str = POOLED) -> float:
        """The score from which an image is flagged.

        Args:
            rate: of false positives. Between two measured rates the threshold is interpolated
                linearly over the logarithm of the rate.
            kind: of the image; one that was not measured has the pooled threshold.

        Raises:
            ValueError: the rate is beyond those that were measured.
        """
        if not self.rates[0] <= rate <= self.rates[-1]:
            raise ValueError(
                f"thresholds are known for false-positive rates from {self.rates[0]:g} to"
                f" {self.rates[-1]:g}. Got: {rate:g}"
            )
        values = self.thresholds.get(kind, self.thresholds[POOLED])
        above = next(i for i, known in enumerate(self.rates) if rate <= known)
        if self.rates[above] == rate:
            return values[above]
        low, high = log(self.rates[above - 1]), log(self.rates[above])
        share = (log(rate) - low) / (high - low)
        return values[above - 1] + share * (values[above] - values[above - 1])


def points_from(document: Mapping[str, Any]) -> OperatingPoints:
    """The operating points in the judge's document.

    Raises:
        ValueError: they are missing, out of order, or of unequal number.
    """
    said = document.get("operating_points")
    if not isinstance(said, Mapping):
        raise ValueError(
            "the judge has no operating points: fit it again with python -m bench.judge"
        )
    points = OperatingPoints(
        tuple(float(rate) for rate in said["rates"]),
        {kind: tuple(float(t) for t in row) for kind, row in said["thresholds"].items()},
        {kind: int(count) for kind, count in said["authentic_images"].items()},
    )
    rows = [points.rates, *points.thresholds.values()]
    ordered = _ascends(points.rates) and all(_ascends(row[::-1]) for row in rows[1:])
    if POOLED not in points.thresholds or len({len(row) for row in rows}) != 1 or not ordered:
        raise ValueError(f"the judge's operating points are damaged. Got: {said}")
    return points


def _ascends(values: Sequence[float]) -> bool:
    return all(a <= b for a, b in pairwise(values))


@cache
def default_points() -> OperatingPoints:
    """Those of the judge that comes with forge. Imports nothing heavy."""
    text = files("forgecli.match").joinpath("judge.json").read_text("utf-8")
    return points_from(json.loads(text))


def thresholds_of(
    settings: MatchSettings, points: OperatingPoints | None = None
) -> dict[str, float]:
    """The score from which an image is flagged, by its kind; `POOLED` is always among them.

    Args:
        settings: its `threshold` if there is one, for every kind; else the operating point of its
            `false_positive_rate`.
        points: of the judge in use; None for the judge that comes with forge.

    Raises:
        ValueError: the rate is beyond those that were measured.
    """
    if settings.threshold is not None:
        return {POOLED: settings.threshold}
    points = points or default_points()
    rate = settings.false_positive_rate
    return {kind: points.threshold(rate, kind) for kind in sorted({POOLED, *points.thresholds})}


def kind_of_image(layout: Layout) -> str:
    """The kind of an image: that of most of its area, drawings aside; `POOLED` if not known.

    Drawings count only where there is nothing else, for they are never evidence.
    """
    areas: dict[str, int] = {}
    for panel, kind in zip(layout.panels, getattr(layout, "kinds", ()), strict=False):
        areas[kind] = areas.get(kind, 0) + panel.width * panel.height
    shown = {kind: area for kind, area in areas.items() if kind != "drawing"} or areas
    return max(sorted(shown), key=lambda kind: shown[kind]) if shown else POOLED


def measured_thresholds(
    scores: Mapping[str, Sequence[float]], rates: Sequence[float]
) -> dict[str, list[float | None]]:
    """Thresholds from the scores of authentic images, by kind; see the module.

    None is under `LEAST`.
    A kind with too few images for a rate has the pooled threshold, but none that any of its own
    images reaches. None where there are too few images of all kinds together.

    A threshold over 1 means that nothing may be flagged.

    Args:
        scores: by kind; `POOLED` holds those of all images.
        rates: ascending.
    """
    pooled = [_kth_highest(scores[POOLED], rate) for rate in rates]
    found: dict[str, list[float | None]] = {POOLED: pooled}
    for kind, own in scores.items():
        if kind == POOLED or not len(own):
            continue
        row: list[float | None] = []
        for rate, common in zip(rates, pooled, strict=True):
            at = _kth_highest(own, rate)
            if at is None and common is not None:
                at = max(common, nextafter(max(own), 2.0))
            row.append(at)
        found[kind] = row
    return found


def _kth_highest(scores: Sequence[float], rate: float) -> float | None:
    """The least score that no more than this share of the scores reaches; None: there is none."""
    # Products of round numbers, as 0.01 times 300, come out a hair too small.
    allowed = floor(rate * len(scores) + 1e-9)
    if allowed < 1:
        return None
    ordered = sorted(scores, reverse=True)
    at = ordered[allowed - 1]
    if allowed < len(ordered) and ordered[allowed] == at:  # ties would be flagged too
        at = nextafter(at, 2.0)
    return max(at, LEAST)
