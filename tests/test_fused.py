"""Match decides; where it is silent, segment may speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.detection import Criterion, Detection, Instance, Picture, Status
from forgecli.fused import FusedDetector
from forgecli.predict.decide import flagged_instances

PICTURE = Picture("x", np.zeros((4, 5, 3), np.uint8))
SCORE = st.floats(0, 1)
INNER = st.floats(0.01, 0.99)


def instance(start: int) -> Instance:
    runs = np.array([[start, 2]], np.int64)
    return Instance(runs, (runs,))


def detection(by: str, score: float, *, outlines: bool, **more: object) -> Detection:
    start = 0 if by == "match" else 10
    instances = (instance(start),) if outlines else ()
    return Detection("x", (4, 5), instances, score, found_by=by, **more)  # type: ignore[arg-type]


@dataclass
class Fake:
    """Gives what it is told to, or raises it."""

    gives: Detection | Exception
    calls: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        self.calls.append("prepare")

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        self.calls.append("detect")
        if isinstance(self.gives, Exception):
            raise self.gives
        return [self.gives for _ in pictures]

    def close(self) -> None:
        self.calls.append("close")


def fused(
    match: Detection | Exception,
    segment: Detection | Exception,
    threshold: float = 0.7,
    gate: float | None = 0.9,
) -> Detection:
    (found,) = FusedDetector(Fake(match), Fake(segment), threshold, gate).detect([PICTURE])
    return found


def flagged(found: Detection, threshold: float = 0.7) -> tuple[Instance, ...]:
    return flagged_instances(found, threshold=threshold, min_area=0)


@given(SCORE, st.booleans(), SCORE, st.booleans(), SCORE, st.none() | SCORE)
def test_whatever_the_scores(
    m: float, m_outlines: bool, s: float, s_outlines: bool, threshold: float, gate: float | None
) -> None:
    match = detection("match", m, outlines=m_outlines)
    segment = detection("segment", s, outlines=s_outlines)
    found = fused(match, segment, threshold, gate)
    alone = flagged(match, threshold)
    submitted = flagged(found, threshold)
    if alone:
        assert found is match, "where match speaks it is match"
    elif gate is not None and s >= gate and s_outlines:
        assert submitted == segment.instances and found.found_by == "segment"
    else:
        assert submitted == () and found.found_by == "match"
        assert found.score >= match.score
    assert 0 <= found.score <= 1


@given(INNER, INNER, SCORE, SCORE)
def test_the_common_scale_keeps_the_order(
    threshold: float, gate: float, one: float, two: float
) -> None:
    scores = [
        fused(detection("match", 0.0, outlines=False), detection("segment", s, outlines=True),
              threshold, gate).score
        for s in sorted((one, two))
    ]  # fmt: skip
    assert scores[0] <= scores[1]


def test_the_scale_by_hand() -> None:
    silent = detection("match", 0.1, outlines=False)
    for score, expected in [(0.45, 0.35), (0.9, 0.7), (0.95, 0.85), (1.0, 1.0), (0.09, 0.1)]:
        found = fused(silent, detection("segment", score, outlines=True))
        assert found.score == pytest.approx(expected)


def test_just_under_the_gate_is_under_the_threshold() -> None:
    score = float(np.nextafter(0.9, 0))
    found = fused(
        detection("match", 0.0, outlines=False), detection("segment", score, outlines=True)
    )
    assert found.score < 0.7 and flagged(found) == ()


def test_segment_is_asked_only_where_match_is_silent() -> None:
    speaking, segment = Fake(detection("match", 0.8, outlines=True)), Fake(ValueError())
    detector = FusedDetector(speaking, segment, 0.7, 0.9)
    detector.prepare()
    detector.detect([PICTURE, PICTURE])
    assert segment.calls == ["prepare"]
    detector.close()
    assert segment.calls == ["prepare", "close"] and speaking.calls[-1] == "close"


def test_what_segment_says_was_held_against_the_threshold_of_both() -> None:
    silent = detection("match", 0.2, outlines=False, criterion=Criterion("blot", 0.8, 0.01))
    spoken = fused(silent, detection("segment", 0.95, outlines=True))
    assert spoken.found_by == "segment" and spoken.criterion == Criterion("blot", 0.7)
    kept = fused(silent, detection("segment", 0.1, outlines=False))
    assert kept.criterion == silent.criterion


def test_without_a_gate_segment_is_never_asked_nor_prepared() -> None:
    silent, segment = Fake(detection("match", 0.1, outlines=False)), Fake(ValueError())
    detector = FusedDetector(silent, segment, 0.7, None)
    detector.prepare()
    assert detector.detect([PICTURE]) == [silent.gives]
    assert segment.calls == []


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("a strange\npicture"),
        detection("segment", 1.0, outlines=True, status=Status.FAILED, reason="a strange picture"),
    ],
)
def test_where_segment_fails_match_stands_with_a_warning(failure: Detection | Exception) -> None:
    match = detection("match", 0.2, outlines=False, warnings=("odd",))
    found = fused(match, failure)
    assert replace(found, warnings=match.warnings) == match
    assert found.warnings[0] == "odd" and "a strange" in found.warnings[1]
    assert "\n" not in found.warnings[1]


def test_where_match_fails_the_image_has_failed() -> None:
    failed = detection("match", 0.0, outlines=False, status=Status.FAILED, reason="no")
    sure = detection("segment", 1.0, outlines=True)
    assert fused(failed, sure) is failed
    with pytest.raises(ValueError, match="no"):
        fused(ValueError("no"), sure)


def test_seconds_and_warnings_of_both_are_kept() -> None:
    match = detection("match", 0.2, outlines=False, warnings=("a",), seconds={"grow": 1.0})
    segment = detection("segment", 1.0, outlines=True, warnings=("b",), seconds={"network": 2.0})
    found = fused(match, segment)
    assert found.warnings == ("a", "b") and found.seconds == {"grow": 1.0, "network": 2.0}


def test_both_are_closed_even_if_one_cannot() -> None:
    class Stuck(Fake):
        def close(self) -> None:
            raise RuntimeError("stuck")

    segment = Fake(ValueError())
    with pytest.raises(RuntimeError):
        FusedDetector(Stuck(ValueError()), segment, 0.7, 0.9).close()
    assert segment.calls == ["close"]
