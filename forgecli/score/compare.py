"""Two submissions against one truth: the paired difference, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import fsum
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from forgecli.cases.header import SUFFIXES
from forgecli.cases.order import natural_key
from forgecli.detection import Label
from forgecli.score.bootstrap import Interval, interval_of_mean
from forgecli.score.evaluate import Evaluation, ImageScore, evaluate
from forgecli.score.problems import BadRows, Problem

RESAMPLES = 10_000
LEVEL = 0.95
FEW_GROUPS = 20
"""With fewer, the bootstrap's intervals are too narrow to be believed."""

_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class PairedScore:
    """One image of the truth under both submissions.

    Attributes:
        group: images of one group are not independent; see `group_of`.
        a, b: its scores.
    """

    group: str
    a: ImageScore
    b: ImageScore

    @property
    def case_id(self) -> str:
        """The image's id."""
        return self.a.case_id

    @property
    def difference(self) -> float:
        """Score of B minus score of A, exactly 0 where they differ by rounding alone."""
        difference = self.b.score - self.a.score
        return 0.0 if abs(difference) <= _EQUAL else difference


@dataclass(frozen=True, slots=True)
class Difference:
    """B against A over some of the images.

    Attributes:
        name: what the images have in common.
        a, b: mean scores; None where there are no images.
        difference: the mean of B minus A.
        interval: of the difference; None with fewer than two groups.
        better, worse, equal: images where B scores more than A, less, the same.
    """

    name: str
    images: int
    a: float | None
    b: float | None
    difference: float | None
    interval: Interval | None
    better: int
    worse: int
    equal: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The report.

    Attributes:
        images: in the order of the truth.
        groups: how many independent groups they are.
        problems: of both submissions and the truth, each once.
    """

    overall: Difference
    authentic: Difference
    forged: Difference
    images: tuple[PairedScore, ...]
    groups: int
    level: float
    resamples: int
    seed: int
    problems: tuple[Problem, ...] = ()

    @property
    def zeroed(self) -> int:
        """Images that score 0 in either submission because of a problem."""
        return sum(bool(image.a.problem or image.b.problem) for image in self.images)

    def most_changed(self, count: int) -> list[PairedScore]:
        """The images whose score differs most, the largest difference first."""
        changed = [image for image in self.images if image.difference]
        changed.sort(key=lambda image: (-abs(image.difference), natural_key(image.case_id)))
        return changed[:count]

    def verdict(self) -> str:
        """What may be said, in a sentence. Says so where that is nothing."""
        overall, percent = self.overall, f"{100 * self.level:g} %"
        if overall.better == overall.worse == 0:
            return "Every image has the same score in both."
        if overall.interval is None:
            return "All images are one group, so nothing can be said of how sure the difference is."
        if overall.interval.holds_zero:
            return (
                f"These images do not tell the two apart: the {percent} interval of the "
                "difference holds 0."
            )
        better = "B" if overall.interval.low > 0 else "A"
        said = (
            f"{better} scores higher on images like these: the {percent} interval of the "
            "difference does not hold 0."
        )
        if self.groups < FEW_GROUPS:
            said += f" With {self.groups} groups the interval is likely too narrow."
        return said

    def as_json(self, most: int) -> dict[str, Any]:
        """Plain values, with the `most` images that changed most."""
        return {
            "difference": self.overall.difference,
            "verdict": self.verdict(),
            "overall": _plain(self.overall),
            "authentic": _plain(self.authentic),
            "forged": _plain(self.forged),
            "groups": self.groups,
            "method": "BCa bootstrap over groups of ids with one stem",
            "level": self.level,
            "resamples": self.resamples,
            "seed": self.seed,
            "zeroed": self.zeroed,
            "problems": len(self.problems),
            "most_changed": [
                {
                    "case_id": image.case_id,
                    "label": image.a.label,
                    "a": image.a.score,
                    "b": image.b.score,
                    "difference": image.difference,
                }
                for image in self.most_changed(most)
            ],
        }


def group_of(case_id: str) -> str:
    """The group of an id: its last part, without a picture's suffix.

    ``train_images/authentic/10.png`` and ``train_images/forged/10.png`` are one picture before and
    after it was forged. A detector that is misled by its texture is misled twice, so the two are
    not two independent witnesses. Ids without folders are groups of their own.
    """
    name = PurePosixPath(case_id)
    return name.stem if name.suffix.lower() in SUFFIXES else name.name


def evaluate_both(
    first: Path, second: Path, truth: Path, *, lenient: bool = False
) -> tuple[Evaluation, Evaluation]:
    """Score two submissions. See `evaluate.evaluate`.

    Raises:
        BadRows: for the problems of all files at once.
        ForgeError: a file as a whole cannot be used, or has no id of the truth.
    """
    evaluations: list[Evaluation] = []
    problems: dict[Problem, None] = {}
    mend = ""
    for submission in (first, second):
        try:
            evaluations.append(evaluate(submission, truth, lenient=lenient))
        except BadRows as error:
            problems.update(dict.fromkeys(error.problems))
            mend = error.mend
    if problems:
        raise BadRows(tuple(problems), mend=mend)
    return evaluations[0], evaluations[1]


def compare(
    first: Evaluation,
    second: Evaluation,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Compare two evaluations of one truth, image by image.

    Args:
        first, second: A and B; of the same truth.
        resamples: of the bootstrap.
        level: the confidence of the intervals.
        seed: of the bootstrap; the same seed gives the same intervals.

    Raises:
        ValueError: the two are not of one truth.
    """
    if [image.case_id for image in first.images] != [image.case_id for image in second.images]:
        raise ValueError("the evaluations are of two truths")
    pairs = tuple(
        PairedScore(group_of(a.case_id), a, b)
        for a, b in zip(first.images, second.images, strict=True)
    )

    def difference(name: str, images: Sequence[PairedScore]) -> Difference:
        return _difference(name, images, resamples, level, seed)

    return Comparison(
        overall=difference("all", pairs),
        authentic=difference("authentic", [p for p in pairs if p.a.label is Label.AUTHENTIC]),
        forged=difference("forged", [p for p in pairs if p.a.label is Label.FORGED]),
        images=pairs,
        groups=len({pair.group for pair in pairs}),
        level=level,
        resamples=resamples,
        seed=seed,
        problems=tuple(dict.fromkeys((*first.problems, *second.problems))),
    )


def _difference(
    name: str, images: Sequence[PairedScore], resamples: int, level: float, seed: int
) -> Difference:
    differences = [image.difference for image in images]
    interval = None
    if images:
        _, group = np.unique([image.group for image in images], return_inverse=True)
        interval = interval_of_mean(
            np.bincount(group, weights=differences).astype(np.float64),
            np.bincount(group).astype(np.float64),
            resamples=resamples,
            level=level,
            seed=seed,
        )
    return Difference(
        name=name,
        images=len(images),
        a=_mean([image.a.score for image in images]),
        b=_mean([image.b.score for image in images]),
        difference=_mean(differences),
        interval=interval,
        better=sum(value > 0 for value in differences),
        worse=sum(value < 0 for value in differences),
        equal=sum(value == 0 for value in differences),
    )


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None


def _plain(difference: Difference) -> dict[str, Any]:
    plain = asdict(difference)
    if difference.interval:
        plain["interval"]["holds_zero"] = difference.interval.holds_zero
    return plain
