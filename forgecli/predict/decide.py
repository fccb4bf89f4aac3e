"""From a detection to what the submission says: which instances count."""

from __future__ import annotations

from dataclasses import replace

from forgecli.detection import Detection, Instance, Status


def flagged_instances(
    detection: Detection, *, threshold: float, min_area: int
) -> tuple[Instance, ...]:
    """The instances to submit; none means `authentic`.

    Args:
        detection: of one image, whatever its status.
        threshold: score the image needs, from 0 to 1.
        min_area: pixels an instance needs, source and copies together.
    """
    if detection.status is not Status.OK or not detection.score >= threshold:
        return ()
    return tuple(
        instance
        for instance in detection.instances
        if int(instance.runs[:, 1].sum()) >= max(min_area, 1)
    )


def only(detection: Detection, instances: tuple[Instance, ...]) -> Detection:
    """The detection with these instances and the pairs between their regions, nothing else.

    Args:
        detection: of one image.
        instances: some of its instances, the same objects.
    """
    place = {id(instance): index for index, instance in enumerate(instances)}
    old = [place.get(id(instance)) for instance in detection.instances]
    pairs = tuple(
        replace(pair, instance=index)
        for pair in detection.evidence
        if (index := old[pair.instance]) is not None
    )
    return replace(detection, instances=instances, evidence=pairs)
