"""Whether two submissions say the same, but for pixels right at the threshold."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from forgecli.score.annotation import read_annotation
from forgecli.score.metric import score_image
from forgecli.score.rows import read_rows
from kernels.overlap import area, difference, union
from kernels.rle import Runs

LEAST_SCORE = 0.999
MOST_DIFFERENT = 1e-4


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two submissions are.

    Attributes:
        score: mean score of one against the other by the competition's metric, 0 to 1.
        different: share of all pixels that only one of them has in some instance.
    """

    score: float
    different: float

    @property
    def equal(self) -> bool:
        """Whether they differ by rounding only."""
        return self.score > LEAST_SCORE and self.different < MOST_DIFFERENT


def agreement(first: Path, second: Path, shapes: Mapping[str, tuple[int, int]]) -> Agreement:
    """Compare two submissions.

    Args:
        first, second: CSV files with a row for every image.
        shapes: (H, W) of every image.
    """
    both = [_instances(file, shapes) for file in (first, second)]
    if both[0].keys() != both[1].keys() or both[0].keys() != shapes.keys():
        sys.exit(f"{first.name} and {second.name} do not have the same rows")
    scores = [score_image(true, both[1][name]) for name, true in both[0].items()]
    apart = 0
    for name, true in both[0].items():
        a, b = joined(true), joined(both[1][name])
        apart += area(difference(a, b)) + area(difference(b, a))
    pixels = sum(height * width for height, width in shapes.values())
    return Agreement(sum(scores) / len(scores), apart / pixels)


def _instances(file: Path, shapes: Mapping[str, tuple[int, int]]) -> dict[str, list[Runs]]:
    return {
        row.case_id: read_annotation(row.values[0], shapes[row.case_id])
        for row in read_rows(file, ["annotation"])
    }


def joined(instances: Sequence[Runs]) -> Runs:
    """The pixels of any instance."""
    found = instances[0] if instances else read_annotation("authentic", None)
    for each in instances[1:]:
        found = union(found, each)
    return found  # type: ignore[return-value]


def described(file: Path, shapes: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """How many images have no, few (up to 5) and many regions, and the spread of the sizes."""
    counts = [len(found) for found in _instances(file, shapes).values()]
    sizes = sorted(height * width / 1e6 for height, width in shapes.values())
    return {
        "files": len(counts),
        "none": sum(count == 0 for count in counts),
        "few": sum(0 < count <= 5 for count in counts),
        "many": sum(count > 5 for count in counts),
        "most_regions": max(counts),
        "megapixels": {"least": sizes[0], "median": median(sizes), "most": sizes[-1],
                       "sum": sum(sizes)},
    }  # fmt: skip
