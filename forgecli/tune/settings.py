"""What tuning can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from forgecli.cases.decode import MAX_PIXELS
from forgecli.segment.thresholds import Policy


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """The table ``[tune]``.

    Attributes:
        cache: folder for what the network says, so that it is run once; None keeps nothing.
        folds: of the cross-validation.
        seed: decides which images are in which fold.
        instances: the policies to try; of two that score alike the first is taken.
        workers: images at work at the same time on the CPU, each in a process of its own; None
            takes as many as there are cores. A GPU has one.
        max_pixels: larger images are not decoded.
    """

    cache: Path | None = None
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    seed: int = 0
    instances: Annotated[tuple[Policy, ...], Field(min_length=1)] = ("merged", "components")
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
