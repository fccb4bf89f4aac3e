"""What every detector takes and gives: pictures in, one detection per picture out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Runs = NDArray[np.int64]
"""int64 (k, 2): 0-based start and length of each run over the column-major flattening of a mask,
starts ascending, runs not overlapping and not adjacent, lengths positive. See `kernels.rle`."""

Affine = NDArray[np.float64]
"""float64 (2, 3): maps a point (x, y, 1) of one region to (x, y) of the other; pixel centres are
at whole numbers."""


class Status(StrEnum):
    """How the work on one input ended."""

    OK = "ok"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too-large"
    FAILED = "failed"


class Label(StrEnum):
    """What a data set says of an image."""

    AUTHENTIC = "authentic"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Case:
    """One image on disk. `mask` is the truth's file where a data set has one."""

    case_id: str
    image: Path
    mask: Path | None = None
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded image.

    Attributes:
        case_id: the id of its case.
        pixels: uint8 (H, W, 3), RGB, C-contiguous. Alpha is composited on white; grey is repeated.
    """

    case_id: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Instance:
    """One group of regions that share content: the source and all its copies.

    Attributes:
        runs: the union of the regions, which is what a submission holds.
        regions: the runs of every region, source or copy, two or more for a match, one where a
            detector cannot tell them apart.
    """

    runs: Runs
    regions: tuple[Runs, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Why two regions of one instance are held to be copies of each other.

    Attributes:
        instance: index into `Detection.instances`.
        first, second: indices into that instance's `regions`.
        affine: maps the first region onto the second.
        mirrored: whether the map turns the content over (negative determinant).
        inliers: number of point matches that agree with the map.
        correlation: mean local normalised correlation inside the region, -1 to 1; of an inverted
            pair, that of the first with the negative of the second.
        inverted: whether the second is the negative of the first, dark where that is bright.
    """

    instance: int
    first: int
    second: int
    affine: Affine
    mirrored: bool
    inliers: int
    correlation: float
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Criterion:
    """What an image's score was held against.

    Attributes:
        kind: of image, as match sees it; empty where thresholds do not go by kind.
        threshold: score from which such an image is flagged.
        rate: share of authentic images that this threshold flags, by measurement; None where the
            threshold itself was asked for, or was not measured so.
    """

    kind: str
    threshold: float
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found in one input. There is one for every input, whatever happened.

    Attributes:
        shape: (H, W) in pixels; (0, 0) where not even the header could be read.
        instances: empty means authentic.
        score: from 0 to 1, higher where a copied region is more likely.
        evidence: the pairs behind the instances; a network gives none.
        reason: why the status is not `ok`; a sentence for a user.
        warnings: what was odd about the file but could be read all the same.
        seconds: wall time by stage.
        found_by: ``match`` or ``segment``: whose word it is; empty if nobody's.
        criterion: what the score was held against; None where a detector leaves that to the job.
    """

    case_id: str
    shape: tuple[int, int]
    instances: tuple[Instance, ...] = ()
    score: float = 0.0
    evidence: tuple[Pair, ...] = ()
    status: Status = Status.OK
    reason: str = ""
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    found_by: str = ""
    criterion: Criterion | None = None


class Detector(Protocol):
    """A way of finding copied regions."""

    def prepare(self) -> None:
        """Load and compile what is needed, so that the first image costs what the others do."""

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        """One detection per picture, in the same order. Does not raise for a strange picture."""

    def close(self) -> None:
        """Give back what `prepare` took."""
