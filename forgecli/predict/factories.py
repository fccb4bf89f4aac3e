"""What makes a detector in the process that uses it: functions that can be sent there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from forgecli.detection import Detector

if TYPE_CHECKING:
    from forgecli.match.settings import MatchSettings
    from forgecli.segment.plan import SegmentPlan


def match_factory(settings: MatchSettings, device: str = "cpu") -> Callable[[], Detector]:
    """Makes match detectors.

    Args:
        settings: of the detector.
        device: ``cpu``, or a GPU as `forgecli.match.gpu.resolve_device` gives it.
    """
    return partial(make_match, settings, device)


def make_match(settings: MatchSettings, device: str = "cpu") -> Detector:
    """Match on the CPU, or on a GPU as `forgecli.match.gpu.resolve_device` names it."""
    from forgecli.match.detector import MatchDetector

    if device == "cpu":
        return MatchDetector(settings)
    from forgecli.match.gpu import open_gpu

    return MatchDetector(settings, compute=open_gpu(device))


def make_segment(plan: SegmentPlan, at_once: int = 1) -> Detector:
    """A network, for so many threads at the same time (of an ``.onnx`` only)."""
    from forgecli.segment.detector import SegmentDetector

    return SegmentDetector(plan, at_once=at_once)


def make_fused(match: MatchSettings, plan: SegmentPlan) -> Detector:
    """Match on the CPU, and a network that is asked where match is silent."""
    from forgecli.fused import FusedDetector
    from forgecli.match.operating import thresholds_of

    gate = plan.thresholds.fused_gate
    if gate is not None:  # it outlines from its gate on, and here that is this one
        plan = replace(plan, thresholds=replace(plan.thresholds, gate=gate))
    threshold = min(thresholds_of(match).values())
    return FusedDetector(make_match(match), make_segment(plan), threshold, gate)
