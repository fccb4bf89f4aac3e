"""Whether a fused gate was tuned beside match as it is used now.

The gate is the score from which a network may speak where match is silent. Match at another
threshold, or one that looks for inverted copies too, is silent on other images, so there the gate
is one that nobody measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forgecli.match.operating import POOLED
from forgecli.segment.checkpoint import read_card
from forgecli.segment.onnx_file import read_onnx_card
from forgecli.segment.plan import SegmentPlan


def other_match(plan: SegmentPlan, match: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for a user where match flags from other scores than the gate was tuned with.

    Args:
        plan: the network. Where its fused gate is not the one in the file, it is the user's word,
            and nothing is said; nor where the file does not say how match was used.
        match: its record, of which ``thresholds`` by kind of image, ``false_positive_rate`` and
            ``inverted`` count (`forgecli.predict.detectors.Chosen.record`).

    Raises:
        ForgeError: the network's card is not one of ours.
    """
    # As `SegmentPlan.of` reads it.
    card = (read_onnx_card if plan.engine == "openvino" else read_card)(plan.weights)
    gate = plan.thresholds.fused_gate
    fused = card.tuning.get("fused")
    there = fused.get("operating_point_of_match") if isinstance(fused, dict) else None
    if gate is None or gate != card.thresholds.fused_gate or not isinstance(there, dict):
        return ()
    scores = there.get("thresholds")
    if not isinstance(scores, dict):
        return ()
    alike, inverted = _alike(scores, match["thresholds"]), bool(there.get("inverted"))
    if alike and inverted == match["inverted"]:
        return ()
    then, now = _at(there), _at(match)
    if inverted != match["inverted"]:
        then += f" {'with' if inverted else 'without'} --inverted"
        now += f" {'with' if match['inverted'] else 'without'} it"
    elif then == now:
        then = "with another judge"
    return (
        f"the fused gate was tuned beside match {then}, and here match is {now}: for the images "
        "that it is silent on here, the gate was not measured; forge tune --fused finds one, from "
        "a submission of match made so",
    )


def _alike(there: Mapping[str, Any], here: Mapping[str, float]) -> bool:
    """Whether images of every kind are flagged from the same score."""
    kinds = {*there, *here}
    return all(
        there.get(kind, there.get(POOLED)) == here.get(kind, here.get(POOLED)) for kind in kinds
    )


def _at(point: Mapping[str, Any]) -> str:
    """In words for a user: which rate, or which score."""
    rate = point.get("false_positive_rate")
    if isinstance(rate, int | float):
        return f"at {100 * rate:.3g} % of false positives"
    return f"at the score {point['thresholds'].get(POOLED)}"
