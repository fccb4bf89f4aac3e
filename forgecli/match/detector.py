"""The training-free detector: `forge predict` uses it by default."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from forgecli.detection import Criterion, Detection, Picture
from forgecli.match.bands import Bands, bands_of
from forgecli.match.candidates import Candidate
from forgecli.match.compute import CPU, Compute
from forgecli.match.edge import default_edge, with_edge
from forgecli.match.edge_statistics import planes_of
from forgecli.match.group import group
from forgecli.match.judge import Judge, default_judge
from forgecli.match.members import members
from forgecli.match.operating import POOLED, kind_of_image, thresholds_of
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings


class MatchDetector:
    """Finds regions that stand in a picture twice. Satisfies `forgecli.detection.Detector`.

    Args:
        settings: of the search and the decision.
        judge: of the regions found; the one that forge brings, if None.
        compute: where the heavy steps of the search are done.
    """

    def __init__(
        self,
        settings: MatchSettings | None = None,
        judge: Judge | None = None,
        compute: Compute = CPU,
    ) -> None:
        self.settings = settings or MatchSettings()
        self._judge = judge
        self._compute = compute
        self._thresholds: dict[str, float] | None = None

    def prepare(self) -> None:
        """Compile the kernels and read what was fitted, so that the first image costs what others
        do."""
        self.judge()
        default_edge()
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        noise[:, 32:] = noise[:, :32]  # without a copy, the last kernels would not be called
        self.detect([Picture("", noise)])

    def judge(self) -> Judge:
        """The judge in use."""
        if self._judge is None:
            self._judge = default_judge()
        return self._judge

    def threshold(self, kind: str = POOLED) -> float:
        """The score from which an image of a kind is flagged."""
        if self._thresholds is None:
            self._thresholds = thresholds_of(self.settings, self.judge().points)
        return self._thresholds.get(kind, self._thresholds[POOLED])

    def criterion(self, kind: str) -> Criterion:
        """The same, with the kind and the rate that it is for.

        None was measured where copies shown as negatives, or keypoints, are looked for too.
        """
        asked = self.settings
        measured = asked.threshold is None and not asked.inverted and not asked.keypoints
        rate = asked.false_positive_rate if measured else None
        return Criterion(kind, self.threshold(kind), rate)

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        """One detection per picture, in the same order."""
        return [self._one(picture) for picture in pictures]

    def close(self) -> None:
        """Give back what is held where the search computes."""
        self._compute.close()

    def _one(self, picture: Picture) -> Detection:
        shape = (int(picture.pixels.shape[0]), int(picture.pixels.shape[1]))
        if min(shape) == 0:
            return Detection(case_id=picture.case_id, shape=shape, found_by="match")
        found = search(picture.pixels, self.settings, self._compute)
        started = time.perf_counter()
        judge = self.judge()
        evidence = judge.evidence(found.features)
        probability = judge.probability(evidence)
        score = float(probability.max()) if probability.size else 0.0
        criterion = self.criterion(kind_of_image(found.layout))
        held: list[int] = []
        if probability.size and score >= criterion.threshold:
            held = members(found.candidates, probability, self.settings)
        bands = cache(lambda: bands_of(picture.pixels))
        copies = self._outlined([found.candidates[index] for index in held], picture, bands)
        edged = time.perf_counter()
        correlations = [found.correlation(index) for index in held]
        instances, pairs = group(
            list(zip(copies, correlations, strict=True)), found.layout, shape, self.settings,
            wholes=found.wholes, grey=lambda: bands().smooth,
        )  # fmt: skip
        ended = time.perf_counter()
        seconds = {**found.seconds, "edge": edged - started, "group": ended - edged}
        return Detection(
            case_id=picture.case_id,
            shape=shape,
            instances=instances,
            score=score,
            evidence=pairs,
            seconds=seconds,
            found_by="match",
            criterion=criterion,
        )

    def _outlined(
        self, held: Sequence[Candidate], picture: Picture, bands: Callable[[], Bands]
    ) -> list[Candidate]:
        """Those held to be copies, with their edges drawn to the pixel."""
        if not held:
            return []
        planes = planes_of(picture.pixels)
        return [with_edge(candidate, planes, bands(), self.settings) for candidate in held]
