"""The learned detector: a trained network outlines what it takes for copied."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from engines.base import Engine
from forgecli.detection import Detection, Picture
from forgecli.errors import ForgeError
from forgecli.segment.instances import instances_of, score_of
from forgecli.segment.maps import logits_of
from forgecli.segment.opening import open_planned
from forgecli.segment.plan import SegmentPlan


class SegmentDetector:
    """Finds regions with a network. Satisfies `forgecli.detection.Detector`.

    The score of an image is `score_of` its map; instances are outlined where it reaches the gate
    of the thresholds. A network says what is copied, not from where: there are no pairs.

    Args:
        plan: the checkpoint and how it is used.
        engine: runs the network; None opens the checkpoint in `prepare`.
        at_once: threads that call `detect` at the same time; more than one with OpenVINO only.
    """

    def __init__(
        self, plan: SegmentPlan, engine: Engine | None = None, *, at_once: int = 1
    ) -> None:
        self.plan = plan
        self._engine = engine
        self._at_once = at_once
        self._notes: list[str] = []

    def prepare(self) -> None:
        """Load the network and look at a small picture, so that what cannot work is known now.

        Raises:
            UsageError: a file is missing, or the extra that networks need.
            ForgeError: the checkpoint is damaged, or does not fit the settings or the device.
        """
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
        engine = self._opened()
        try:
            logits_of(noise, engine, self.plan.preprocess, self.plan.tta, batch=self.plan.batch)
        except (ValueError, RuntimeError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ForgeError(
                f"the network cannot look at a picture: {first}.",
                file=self.plan.weights,
                mend="check size, view and tta, or take another device or precision",
            ) from error
        self._notes.clear()

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        """One detection per picture, in the same order."""
        return [self._one(picture) for picture in pictures]

    def close(self) -> None:
        """Forget the network."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = open_planned(self.plan, self._notes.append, self._at_once)
        return self._engine

    def _one(self, picture: Picture) -> Detection:
        plan, shape = self.plan, (int(picture.pixels.shape[0]), int(picture.pixels.shape[1]))
        if min(shape) == 0:
            return Detection(picture.case_id, shape, found_by="segment")
        engine = self._opened()
        started = time.perf_counter()
        logits = logits_of(picture.pixels, engine, plan.preprocess, plan.tta, batch=plan.batch)
        mapped = time.perf_counter()
        score = score_of(logits, plan.thresholds)
        flagged = score >= plan.thresholds.gate
        instances = instances_of(logits, plan.thresholds, picture.pixels) if flagged else ()
        notes, self._notes[:] = tuple(self._notes), []
        return Detection(
            picture.case_id,
            shape,
            instances=instances,
            score=score,
            found_by="segment",
            warnings=notes,
            seconds={"network": mapped - started, "instances": time.perf_counter() - mapped},
        )
