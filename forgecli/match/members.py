"""Which pairs of a flagged image are held to be copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import cover
from forgecli.match.candidates import Candidate
from forgecli.match.settings import MatchSettings


def members(
    candidates: Sequence[Candidate], probability: NDArray[np.float64], settings: MatchSettings
) -> list[int]:
    """The best pair of a flagged image, and those that may stand beside it, best first.

    A pair that shares a region with one already held, a further copy of it, needs less evidence
    than one that begins a group of its own: an instance too many costs as much as one missed.

    Args:
        candidates: all that were found, one or more.
        probability: float64 (n,), of each.
        settings: the two thresholds; the best pair needs none.
    """
    joins = settings.member_threshold
    begins = max(joins, settings.group_threshold)
    best, *others = (int(index) for index in np.argsort(-probability, kind="stable"))
    held = [best]
    for index in others:
        likely = probability[index]
        if likely < min(joins, probability[best]):
            break
        if likely >= min(begins, probability[best]) or any(
            _share_a_region(candidates[index], candidates[other], settings) for other in held
        ):
            held.append(index)
    return held


def _share_a_region(one: Candidate, other: Candidate, settings: MatchSettings) -> bool:
    return any(
        cover(a, b, settings) for a in (one.first, one.second) for b in (other.first, other.second)
    )
