"""What the rows of a data set say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from forgecli.detection import Label, Status
from forgecli.inspect.relations import ids_in_both_classes
from forgecli.inspect.rows import NOTES, Finding, ImageRow, Kind, Triple
from forgecli.score.coverage import BUCKETS, bucket

UNLABELLED = "no class"
CLASSES = (Label.AUTHENTIC, Label.FORGED, UNLABELLED)

PERCENTILES = {"least": 0, "P50": 50, "P90": 90, "P95": 95, "most": 100}
CURVE_AT = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Percent of the image at which the cumulative curve is listed."""

_SPREAD = {"least": 0, "P50": 50, "P90": 90, "most": 100}


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """The images of one class. Figures of sizes and channels are over those whose header could be
    read, those of pixels over those that could be decoded; None where there are none.

    Attributes:
        images, unreadable: how many; unreadable ones are among the images.
        size: bytes of all files.
        height, width, long_side, megapixels: least, P50, P90 and most.
        formats: images by format.
        grey: share with one colour channel.
        grey_content: share of the decoded ones whose channels are the same everywhere.
        alpha: share with an alpha channel.
        sixteen_bit: share with more than 8 bits a sample.
        mean, std: of red, green and blue, 0 to 255, as a network sees them that is shown every
            image at one size: each image counts the same.
    """

    name: str
    images: int
    unreadable: int
    size: int
    height: dict[str, float] | None
    width: dict[str, float] | None
    long_side: dict[str, float] | None
    megapixels: dict[str, float] | None
    formats: dict[str, int]
    grey: float | None
    grey_content: float | None
    alpha: float | None
    sixteen_bit: float | None
    mean: Triple | None
    std: Triple | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the forged images their instances cover, in percent of the image.

    Attributes:
        images: forged images whose mask could be read and is not empty.
        percentiles: coverage at `PERCENTILES`, by their names; empty without images.
        buckets: images by `score.coverage.BUCKETS`.
        cumulative: share of the images that are covered as much or less, by percent.
    """

    images: int
    percentiles: dict[str, float]
    buckets: dict[str, int]
    cumulative: dict[float, float]


@dataclass(frozen=True, slots=True)
class Other:
    """Another data set that this one was compared with.

    Attributes:
        shared_ids, shared_pictures: images here that are there as well.
        shared_sources: synthetic cases here made from an image that was used there as well.
    """

    name: str
    images: int
    unreadable: int
    shared_ids: int
    shared_pictures: int
    shared_sources: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The report on a data set.

    Attributes:
        parts: images by set and class: ``{"train": {"forged": 3}}``. The name is empty where
            folders do not say.
        twins: ids that are in both classes of a set.
        instances: forged images by their number of instances.
        instance_area: pixels of all instances, likewise.
        findings: all that is wrong, by kind, in the order of `rows.Kind`.
        unreadable: images that could not be read, or whose masks could not.
    """

    dataset: str
    images: int
    unreadable: int
    parts: dict[str, dict[str, int]]
    twins: int
    classes: tuple[ClassSummary, ...]
    coverage: Coverage
    instances: dict[int, int]
    instance_area: dict[str, float] | None
    findings: tuple[Finding, ...]
    against: Other | None = None

    @property
    def labelled(self) -> bool:
        """Whether anything tells the classes of any image."""
        return any(each.images and each.name != UNLABELLED for each in self.classes)

    @property
    def wrong(self) -> int:
        """Findings that need mending."""
        return sum(finding.kind not in NOTES for finding in self.findings)

    def by_kind(self) -> dict[Kind, list[Finding]]:
        """The findings, those of one kind together."""
        kinds: dict[Kind, list[Finding]] = {}
        for finding in self.findings:
            kinds.setdefault(finding.kind, []).append(finding)
        return kinds

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = asdict(self)
        plain["findings"] = {
            str(kind): [{"path": each.path, "text": each.text} for each in found]
            for kind, found in self.by_kind().items()
        }
        plain["wrong"] = self.wrong
        return plain


def summarise(
    dataset: str,
    rows: Sequence[ImageRow],
    findings: Iterable[Finding] = (),
    against: Other | None = None,
) -> Summary:
    """Counts and figures over all rows.

    Args:
        dataset: its name, for people.
        findings: those between images and of masks without image; those of rows are in the rows.
    """
    every = [*(finding for row in rows for finding in row.findings), *findings]
    order = {kind: number for number, kind in enumerate(Kind)}
    truths = [row.truth for row in rows if row.truth and row.truth.areas]
    parts: dict[str, Counter[str]] = {}
    for row in rows:
        parts.setdefault(row.part, Counter())[row.label or UNLABELLED] += 1
    return Summary(
        dataset=dataset,
        images=len(rows),
        unreadable=sum(row.unreadable for row in rows),
        parts={part: dict(counts) for part, counts in parts.items()},
        twins=ids_in_both_classes(rows),
        classes=tuple(
            summarise_class(name, [row for row in rows if (row.label or UNLABELLED) == name])
            for name in CLASSES
        ),
        coverage=summarise_coverage([truth.coverage for truth in truths]),
        instances=dict(sorted(Counter(len(truth.areas) for truth in truths).items())),
        instance_area=_spread(
            [float(area) for truth in truths for area in truth.areas], PERCENTILES
        ),
        findings=tuple(sorted(every, key=lambda finding: order[finding.kind])),
        against=against,
    )


def summarise_class(name: str, rows: Sequence[ImageRow]) -> ClassSummary:
    """Figures of the images of one class."""
    known = [row for row in rows if row.height]
    decoded = [row.pixels for row in rows if row.pixels]
    means, stds = (
        np.array([getattr(pixels, what) for pixels in decoded], np.float64).reshape(-1, 3)
        for what in ("mean", "std")
    )
    mean = std = None
    if decoded:
        mean = _triple(means.mean(axis=0))
        # The variance of all samples: within images, and between their means.
        std = _triple(np.sqrt((stds**2).mean(axis=0) + means.var(axis=0)))
    return ClassSummary(
        name=name,
        images=len(rows),
        unreadable=sum(row.status is not Status.OK for row in rows),
        size=sum(row.size for row in rows),
        height=_spread([float(row.height) for row in known]),
        width=_spread([float(row.width) for row in known]),
        long_side=_spread([float(max(row.height, row.width)) for row in known]),
        megapixels=_spread([row.height * row.width / 1e6 for row in known]),
        formats=dict(Counter(str(row.format) for row in known).most_common()),
        grey=_share(row.channels - row.alpha == 1 for row in known),
        grey_content=_share(pixels.grey for pixels in decoded),
        alpha=_share(row.alpha for row in known),
        sixteen_bit=_share(row.bits > 8 for row in known),
        mean=mean,
        std=std,
    )


def summarise_coverage(percents: Sequence[float]) -> Coverage:
    """Percentiles, buckets and cumulative curve.

    Args:
        percents: of every forged image.
    """
    found = Counter(bucket(percent) for percent in percents)
    values = np.array(percents, np.float64)
    return Coverage(
        images=len(percents),
        percentiles={name: float(np.percentile(values, at)) for name, at in PERCENTILES.items()}
        if percents
        else {},
        buckets={name: found[name] for name in BUCKETS},
        cumulative={at: float((values <= at).mean()) for at in CURVE_AT} if percents else {},
    )


def _spread(values: Sequence[float], at: Mapping[str, int] = _SPREAD) -> dict[str, float] | None:
    if not values:
        return None
    return {name: float(np.percentile(values, share)) for name, share in at.items()}


def _share(flags: Iterable[bool]) -> float | None:
    every = list(flags)
    return sum(every) / len(every) if every else None


def _triple(values: np.ndarray) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
