"""From what the GPU leaves of a picture to its detection: as the ordinary path, to the last bit."""

from __future__ import annotations

from forgecli.detection import Detection, Instance
from forgecli.segment.instances import (
    instances_of,
    instances_of_components,
    probability_of,
    score_of,
)
from forgecli.segment.maps import NotFinite, at_full_size
from forgecli.segment.thresholds import Thresholds
from forgecli.stream.lane import Left


def detection_of(
    case_id: str, shape: tuple[int, int], left: Left, thresholds: Thresholds
) -> Detection:
    """The detection of one picture.

    Args:
        shape: (H, W) of the picture.
        left: what its lane gave.
        thresholds: those that the lane's table was made of.

    Raises:
        NotFinite: the network gave what is not a number.
    """
    finished = left.finished
    if not finished.finite:
        raise NotFinite("the network gave values that are not finite numbers")
    instances: tuple[Instance, ...] = ()
    if finished.components is not None:
        score = probability_of(finished.score)
        if score >= thresholds.gate:
            instances = instances_of_components(finished.components, thresholds.instances)
    else:  # more runs than there was room for
        if left.logits is None:
            raise ValueError("neither components nor logits came back")
        logits = at_full_size(left.logits, shape)
        score = score_of(logits, thresholds)
        if score >= thresholds.gate:
            instances = instances_of(logits, thresholds)
    return Detection(case_id, shape, instances=instances, score=score, found_by="segment")
