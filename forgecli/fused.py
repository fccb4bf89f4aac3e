"""Two detectors as one: match decides; where it is silent, segment may speak if it is sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from forgecli.detection import Criterion, Detection, Detector, Picture, Status


class FusedDetector:
    """Satisfies `forgecli.detection.Detector`.

    Match speaks on an image if its score reaches its threshold and it outlines something; then the
    detection is match's, unchanged. Segment looks at the other images only. If its score reaches
    its gate and it outlines something, the instances are its own.

    Where both are silent it is match's detection, with the higher of the two scores. There is one
    scale, and it is match's: segment's scores are stretched so that its gate falls on match's
    threshold t (of those by kind of image the lowest), linearly on either side (0 to 0, gate to t,
    1 to 1). A score of segment that reaches its gate with nothing outlined does not count.

    If segment fails on an image, match's detection stands, with a warning. If match fails, the
    image has failed: nobody can say whether it would have spoken.

    Args:
        match, segment: the detectors. Segment outlines from its gate on, at the latest.
        match_threshold: score at which match flags an image, and at which this detector does.
        gate: score from which segment may speak; None: never, and then it is not even prepared.
    """

    def __init__(
        self, match: Detector, segment: Detector, match_threshold: float, gate: float | None
    ) -> None:
        self._match = match
        self._segment = segment
        self._threshold = match_threshold
        self._gate = gate

    def prepare(self) -> None:
        """Prepare both, as far as they will be asked."""
        self._match.prepare()
        if self._gate is not None:
            self._segment.prepare()

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        """One detection per picture, in the same order."""
        found = self._match.detect(pictures)
        if self._gate is None:
            return found
        return [
            detection if self._speaks(detection) else self._asked(self._gate, picture, detection)
            for picture, detection in zip(pictures, found, strict=True)
        ]

    def close(self) -> None:
        """Close both."""
        try:
            self._match.close()
        finally:
            self._segment.close()

    def _speaks(self, detection: Detection) -> bool:
        if detection.status is not Status.OK:
            return True  # there is no more to be had
        return bool(detection.instances) and detection.score >= self._threshold

    def _asked(self, gate: float, picture: Picture, silent: Detection) -> Detection:
        """What segment makes of a picture on which match is silent."""
        try:
            (found,) = self._segment.detect([picture])
        except Exception as error:  # noqa: BLE001 - match's word stands
            first = next(iter(str(error).strip().splitlines()), "")
            told = f"{type(error).__name__}: {first[:300]}" if first else type(error).__name__
            return _warned(silent, told)
        if found.status is not Status.OK:
            return _warned(silent, found.reason or str(found.status))
        seconds = {**silent.seconds, **found.seconds}
        warnings = (*silent.warnings, *found.warnings)
        if found.instances and found.score >= gate:
            score = self._common(found.score, gate)
            kind = silent.criterion.kind if silent.criterion else ""
            return replace(
                found, score=score, warnings=warnings, seconds=seconds,
                criterion=Criterion(kind, self._threshold),
            )  # fmt: skip
        if found.score < gate:
            seen = min(self._common(found.score, gate), math.nextafter(self._threshold, 0.0))
            silent = replace(silent, score=max(silent.score, seen))
        return replace(silent, warnings=warnings, seconds=seconds)

    def _common(self, score: float, gate: float) -> float:
        """Segment's score on match's scale."""
        t = self._threshold
        if score < gate:
            return t * score / gate
        return t if gate >= 1.0 else min(max(t + (1.0 - t) * (score - gate) / (1.0 - gate), t), 1.0)


def _warned(detection: Detection, cause: str) -> Detection:
    text = f"segment failed ({cause}); match alone has judged"
    return replace(detection, warnings=(*detection.warnings, text))
