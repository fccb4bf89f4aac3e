"""Which images of a data set INT8 is calibrated with, and on which others it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forgecli.detection import Case
from forgecli.errors import ForgeError

CHECKED = 8
"""Images that the two networks are compared on, for each that the quantised one is calibrated with,
as far as the data set has them. Activations need few pictures, a difference of 0.01 needs many."""


def shares(cases: Sequence[Case], images: int, dataset: Path) -> tuple[list[Case], list[Case]]:
    """Images to calibrate with and other images to check on, each spread over all of them.

    Args:
        cases: in a fixed order.
        images: to calibrate with, at most half of them.
        dataset: where they are from, for messages.

    Raises:
        ForgeError: there is no image for one of the two.
    """
    if len(cases) < 2:
        raise ForgeError(
            "INT8 is calibrated on some images and checked on others, so it takes two at least. "
            f"Got: {len(cases)}",
            file=dataset,
            mend="name a larger data set with --check; a hundred images tell more",
        )
    chosen = _spread(len(cases), min(images, len(cases) // 2))
    others = [case for place, case in enumerate(cases) if place not in chosen]
    kept = _spread(len(others), min(len(others), images * CHECKED))
    return [cases[place] for place in sorted(chosen)], [others[place] for place in sorted(kept)]


def _spread(total: int, count: int) -> set[int]:
    """So many of the first `total` numbers, evenly apart."""
    return {place * total // count for place in range(count)}
