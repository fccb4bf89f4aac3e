"""Two precisions of a network on labelled images, by the competition's metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.base import Engine
from forgecli.build import limits
from forgecli.build.check import Finding, largest, probabilities
from forgecli.build.labelled import read_labelled
from forgecli.detection import Case, Picture
from forgecli.errors import ForgeError
from forgecli.score.metric import score_image
from forgecli.segment.checkpoint import DIVERGED
from forgecli.segment.instances import instances_of, score_of
from forgecli.segment.maps import LogitMap, NotFinite, logits_of
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds
from kernels.rle import Runs

Told = Callable[[int, int], None]
"""Told how many of how many images are done."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What two precisions find in the same images.

    Attributes:
        images: how many could be used.
        full, half: means of the metric.
        flags: images that are flagged in one precision only.
        flagged: images that are flagged in one precision or both.
        left_out: images that could not be read, or whose truth could not.
        apart: the largest difference of a probability, at the images' full size.
        apart_mean: the mean difference of probabilities, over images.
    """

    images: int
    full: float
    half: float
    flags: int
    flagged: int
    left_out: int
    apart: float
    apart_mean: float

    def findings(self) -> list[Finding]:
        """The numbers with their limits."""
        name = f"FP16 against FP32 on {self.images} images: "
        return [
            Finding("score_fp32", name + "metric of FP32", self.full),
            Finding("score_fp16", name + "metric of FP16", self.half),
            Finding("score_lost", name + "metric lost", self.full - self.half, limits.SCORE),
            Finding("flags_changed", name + "flagged by one only", self.flags),
            Finding("images_probability", name + "largest difference of a probability",
                    self.apart, limits.PROBABILITY),
            Finding("images_probability_mean", name + "mean difference of probabilities",
                    self.apart_mean, limits.PROBABILITY_MEAN),
        ]  # fmt: skip


def compare(
    full: Engine,
    half: Engine,
    cases: Sequence[Case],
    preprocess: Preprocess,
    thresholds: Thresholds,
    told: Told | None = None,
    *,
    weights: Path | None = None,
    dataset: Path | None = None,
) -> Compared:
    """Look at images with two engines, as `forge predict` does, and score both.

    Args:
        full, half: the engines.
        cases: the images, with their masks.
        preprocess, thresholds: of the network's card.
        told: hears of the progress.
        weights, dataset: the checkpoint and where the images are from, for messages.

    Raises:
        ForgeError: none of the images can be used, or an engine gives values that are not finite.
    """
    scores: list[tuple[float, float]] = []
    flags, flagged, apart, means = 0, 0, 0.0, []
    for number, case in enumerate(cases):
        known = read_labelled(case)
        if known is not None:
            picture, truth = known
            maps = [_map(picture, engine, preprocess, weights) for engine in (full, half)]
            found = [_found(one, thresholds, picture) for one in maps]
            scores.append((score_image(truth, found[0]), score_image(truth, found[1])))
            flags += bool(found[0]) != bool(found[1])
            flagged += any(found)
            moved = np.abs(probabilities(maps[0]) - probabilities(maps[1]))
            apart = max(apart, largest(moved))
            means.append(float(moved.mean()))
        if told is not None:
            told(number + 1, len(cases))
    if not scores:
        raise ForgeError("none of the labelled images could be used.", file=dataset,
                         mend="forge inspect says what is wrong with them")  # fmt: skip
    of_full, of_half = (sum(side) / len(scores) for side in zip(*scores, strict=True))
    left_out = len(cases) - len(scores)
    return Compared(
        len(scores), of_full, of_half, flags, flagged, left_out, apart, sum(means) / len(means)
    )


def _map(
    picture: Picture, engine: Engine, preprocess: Preprocess, weights: Path | None
) -> LogitMap:
    try:
        return logits_of(picture.pixels, engine, preprocess)
    except NotFinite as error:
        precision = engine.spec.precision
        raise ForgeError(
            f"{error}, in {precision.upper()} on {picture.case_id}.",
            file=weights,
            mend=DIVERGED if precision == "fp32" else "--precision fp32",
        ) from error


def _found(logits: LogitMap, thresholds: Thresholds, picture: Picture) -> list[Runs]:
    if score_of(logits, thresholds) < thresholds.gate:
        return []
    return [one.runs for one in instances_of(logits, thresholds, picture.pixels)]
