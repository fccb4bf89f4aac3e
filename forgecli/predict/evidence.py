"""Why an image is flagged or not, as one line of JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from forgecli.detection import Detection, Instance, Runs


def evidence_line(detection: Detection, flagged: tuple[Instance, ...]) -> str:
    """One line without its end. All that the detector outlined is there, submitted or not.

    Keys: case_id, status, reason, shape [H, W], score, kind (of image; empty where thresholds do
    not go by kind), threshold (score from which an image of this kind is flagged; null for one
    that could not be judged), false_positive_rate (that the threshold is for; null where it was
    asked for as a score, or is a network's), flagged; found_by, ``match`` or ``segment``
    (a network gives instances and no pairs), empty for an image without a detection; instances,
    each with area in pixels, submitted (whether it is in the submission) and regions, each with
    area and box [left, top, right, bottom] (right and bottom exclusive); pairs, each with instance,
    first and second (indices), affine (2 x 3: a point (x, y, 1) of the first region to (x, y) of
    the second), mirrored, inverted (whether the second is the negative of the first), inliers,
    correlation.

    Args:
        detection: of one image.
        flagged: the instances that were submitted, the same objects as in the detection.
    """
    criterion = detection.criterion
    submitted = {id(instance) for instance in flagged}
    height = detection.shape[0]
    record: dict[str, Any] = {
        "case_id": detection.case_id,
        "status": str(detection.status),
        "reason": detection.reason,
        "shape": [int(side) for side in detection.shape],
        "score": _number(detection.score),
        "kind": criterion.kind if criterion else "",
        "threshold": _number(criterion.threshold) if criterion else None,
        "false_positive_rate": criterion.rate if criterion else None,
        "flagged": bool(flagged),
        "found_by": detection.found_by,
        "instances": [
            {
                "area": int(instance.runs[:, 1].sum()),
                "submitted": id(instance) in submitted,
                "regions": [
                    {"area": int(runs[:, 1].sum()), "box": box_of(runs, height)}
                    for runs in instance.regions
                ],
            }
            for instance in detection.instances
        ],
        "pairs": [
            {
                "instance": int(pair.instance),
                "first": int(pair.first),
                "second": int(pair.second),
                "affine": [[_number(value) for value in line] for line in pair.affine.tolist()],
                "mirrored": bool(pair.mirrored),
                "inverted": bool(pair.inverted),
                "inliers": int(pair.inliers),
                "correlation": _number(pair.correlation),
            }
            for pair in detection.evidence
        ],
    }
    return json.dumps(record, separators=(",", ":"), allow_nan=False)


def box_of(runs: Runs, height: int) -> list[int]:
    """[left, top, right, bottom] of runs in an image of that height; zeros where there are none.

    Args:
        runs: (k, 2) column-major, canonical.
        height: H of the image.
    """
    if not len(runs):
        return [0, 0, 0, 0]
    starts, ends = runs[:, 0], runs[:, 0] + runs[:, 1] - 1
    left, right = int(starts[0] // height), int(ends[-1] // height) + 1
    crosses = starts // height != ends // height  # a run that goes on in the next column
    top = 0 if crosses.any() else int(np.min(starts % height))
    bottom = height if crosses.any() else int(np.max(ends % height)) + 1
    return [left, top, right, bottom]


def _number(value: float) -> float | None:
    """Six significant digits; JSON has no word for what is not finite."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
