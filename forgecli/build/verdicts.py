"""What a network finds on labelled images, scored by the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgecli.build.labelled import read_labelled
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.predict.decide import flagged_instances
from forgecli.score.metric import score_image
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.settings import SegmentSettings


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """A network on some images, with the thresholds of its card, on the CPU.

    Attributes:
        scores: float64 (N,), the metric of each image that could be read.
        seconds: float64 (N,), wall time of its network.
        flagged: images on which it flags something.
    """

    scores: NDArray[np.float64]
    seconds: NDArray[np.float64]
    flagged: int

    @classmethod
    def of(cls, model: Path, cases: Sequence[Case], dataset: Path) -> Verdicts:
        """Let a network look at images.

        Args:
            model: its file, with its card.
            cases: images with their masks; those that cannot be read are left out.
            dataset: where they are from, for messages.

        Raises:
            ForgeError: the network cannot be used, or no image can be read.
        """
        plan = SegmentPlan.of(model, SegmentSettings(device="cpu"))
        detector = SegmentDetector(plan)
        detector.prepare()
        rows: list[tuple[float, float, bool]] = []
        try:
            for case in cases:
                known = read_labelled(case)
                if known is None:
                    continue
                picture, true = known
                (found,) = detector.detect([picture])
                flagged = flagged_instances(found, threshold=plan.thresholds.gate, min_area=0)
                score = score_image(true, [instance.runs for instance in flagged])
                rows.append((score, found.seconds["network"], bool(flagged)))
        finally:
            detector.close()
        if not rows:
            raise ForgeError(
                f"none of the {len(cases)} images to compare on can be read.",
                file=dataset,
                mend="forge inspect says what is wrong with them",
            )
        scores, seconds, any_flagged = zip(*rows, strict=True)
        return cls(np.array(scores), np.maximum(seconds, 1e-9), sum(any_flagged))
