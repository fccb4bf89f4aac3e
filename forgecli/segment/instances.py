"""From a map of logits to a score and instances.

Thresholds are probabilities, and they are applied to logits: a pixel is set where its logit
reaches `logit` of the threshold, so no probability is ever computed for a map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Instance, Runs
from forgecli.segment.maps import LogitMap
from forgecli.segment.preprocess import Pixels
from forgecli.segment.thresholds import Policy, Thresholds
from kernels.components import Components, components
from kernels.rank import value_of_rank
from kernels.rle import canonical

MOST_REGIONS = 100
"""Regions of an instance that are kept apart. A map may hold thousands of specks; to draw and to
list each is of no use to anybody."""

_ALMOST_SURE = math.nextafter(1.0, 0.0)


def logit(probability: float) -> float:
    """Log-odds of a probability; -inf of 0, which every pixel reaches, +inf of 1, which none does.

    Args:
        probability: from 0 to 1.
    """
    if probability <= 0.0:
        return -math.inf
    if probability >= 1.0:
        return math.inf
    return math.log(probability) - math.log1p(-probability)


def probability_of(logit: float) -> float:
    """The probability of log-odds; under 1 however large they are, so that no score reaches 1."""
    if logit < 0.0:
        small = math.exp(logit)
        return small / (1.0 + small)
    return min(1.0 / (1.0 + math.exp(-logit)), _ALMOST_SURE)


def rank_of(quantile: float, count: int) -> int:
    """The place of a quantile among so many pixels, counted from the lowest as 0.

    Args:
        quantile: from 0 to 1; as in `image_levels`.
        count: 1 or more.
    """
    # Less a trifle: 0.07 x 100 is 7.000000000000001.
    return max(math.ceil(quantile * count - 1e-6), 1) - 1


def image_levels(logits: LogitMap, quantiles: Sequence[float]) -> NDArray[np.float64]:
    """Quantiles of an image's probabilities; each may serve as its score.

    Of a pixel the highest of its channels counts. The quantile q of n pixels is the value of the
    pixel of rank ceil(q n), counted from the lowest as 1 (the first for q = 0): the smallest value
    that at least a share q of the pixels does not exceed. It is never between two pixels.

    Args:
        logits: float32 (K, H, W).
        quantiles: each from 0 to 1.

    Returns:
        float64, one per quantile, from 0 to under 1.
    """
    highest = (logits[0] if len(logits) == 1 else logits.max(axis=0)).ravel()
    places = [rank_of(quantile, highest.size) for quantile in quantiles]
    if len(places) == 1:
        return np.array([probability_of(value_of_rank(highest, places[0]))])
    found = np.partition(highest, sorted(set(places)))[places]
    return np.array([probability_of(value) for value in found.tolist()], np.float64)


def score_of(logits: LogitMap, thresholds: Thresholds) -> float:
    """An image's score: the quantile `Thresholds.quantile` of its probabilities, under 1.

    Args:
        logits: float32 (K, H, W).
        thresholds: an image is flagged where this reaches its `gate`.
    """
    return float(image_levels(logits, (thresholds.quantile,))[0])


def instances_of(
    logits: LogitMap, thresholds: Thresholds, pixels: Pixels | None = None
) -> tuple[Instance, ...]:
    """The instances of a map, whatever the image's score: the gate is the caller's.

    Components are 4-connected; those of fewer than `min_area` pixels are dropped before anything
    is joined. The regions of an instance are its components, the largest first; where there are
    more than `MOST_REGIONS`, the last region is all the others together.

    Args:
        logits: float32 (K, H, W), of the full-size image.
        thresholds: `pixel`, `min_area` and `instances` count here.
        pixels: uint8 (H, W, 3), the image; needed for the policy ``matched`` where K is 1.

    Returns:
        The largest first.

    Raises:
        ValueError: `pixels` are needed and not given.
    """
    limit = logit(thresholds.pixel)
    policy = thresholds.instances
    if policy == "matched" and len(logits) > 1:
        found = (_regions(channel, limit, thresholds.min_area) for channel in logits)
        return _ordered([regions for regions in found if regions])
    highest = logits[0] if len(logits) == 1 else logits.max(axis=0)
    regions = _regions(highest, limit, thresholds.min_area)
    if policy != "matched" or len(regions) < 2:
        return _grouped(regions, policy)
    if pixels is None:
        raise ValueError("the policy matched looks at the pixels of the image")
    from forgecli.segment.matched import same_content  # the match detector's kernels take a while

    groups = same_content(pixels, regions)
    return _ordered([[regions[index] for index in group] for group in groups])


def instances_of_components(found: Components, policy: Policy) -> tuple[Instance, ...]:
    """The instances of a map whose components are known; as `instances_of` has them.

    Args:
        found: 4-connected components of the pixels that reach the limit, the small ones left out.
        policy: ``merged`` or ``components``.

    Raises:
        ValueError: the policy ``matched``, which looks at the pixels of the image.
    """
    if policy == "matched":
        raise ValueError("the policy matched looks at the pixels of the image")
    return _grouped(_largest_first(found), policy)


def _grouped(regions: list[Runs], policy: Policy) -> tuple[Instance, ...]:
    """Regions as instances by a policy that does not look at their content."""
    if policy == "components":
        return _ordered([[region] for region in regions])
    return _ordered([regions] if regions else [])


def _regions(logits: NDArray[np.float32], limit: float, min_area: int) -> list[Runs]:
    """Runs of each component of the pixels that reach a limit, the largest first."""
    # NumPy compares in float32: the limit is rounded to it, as every logit was.
    return _largest_first(
        components(logits >= np.float32(limit), connectivity=4, min_area=min_area)
    )


def _largest_first(found: Components) -> list[Runs]:
    order = np.argsort(-found.areas, kind="stable")
    return [found.runs_of(int(index)) for index in order]


def _ordered(groups: Sequence[Sequence[Runs]]) -> tuple[Instance, ...]:
    """One instance of each group of regions that do not overlap, the largest first."""
    instances = [Instance(_union(regions), _bounded(regions)) for regions in groups]
    return tuple(sorted(instances, key=lambda instance: -int(instance.runs[:, 1].sum())))


def _bounded(regions: Sequence[Runs]) -> tuple[Runs, ...]:
    if len(regions) <= MOST_REGIONS:
        return tuple(regions)
    return *regions[: MOST_REGIONS - 1], _union(regions[MOST_REGIONS - 1 :])


def _union(regions: Sequence[Runs]) -> Runs:
    if len(regions) == 1:
        return regions[0]
    together = np.concatenate(regions)
    return canonical(together[np.argsort(together[:, 0], kind="stable")])
