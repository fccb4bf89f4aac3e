"""What the scores of many images say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Any

from forgecli.detection import Label
from forgecli.score.coverage import BUCKETS, bucket
from forgecli.score.evaluate import Evaluation, ImageScore


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the images. The scores are means over them, None where there are no images.

    Attributes:
        name: what they have in common.
        score: of the submission.
        all_authentic: of a submission that calls every image authentic.
        whole_image: of a submission with one instance per image that covers all of it.
    """

    name: str
    images: int
    score: float | None
    all_authentic: float | None
    whole_image: float | None


@dataclass(frozen=True, slots=True)
class ImageLevel:
    """Whether images are flagged, whatever the outlines. A forged image is a positive.

    Images that scored 0 for a problem of the submission count as answered wrongly. Ratios are None
    where they are undefined.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    precision: float | None
    recall: float | None
    f1: float | None
    false_positive_rate: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The report of a submission.

    Attributes:
        overall: all images of the truth. Its score is the competition's.
        by_instances: forged images by their number of true instances.
        by_coverage: forged images by how much of them true instances cover, in `coverage.BUCKETS`.
        zeroed: images that score 0 because of a problem in either file.
        problems: problems in both files, with those of rows that belong to no image of the truth.
    """

    overall: Group
    authentic: Group
    forged: Group
    image_level: ImageLevel
    by_instances: tuple[Group, ...]
    by_coverage: tuple[Group, ...]
    zeroed: int
    problems: int

    def as_json(self) -> dict[str, Any]:
        """Plain values; `overall.score` is also `score`."""
        return {"score": self.overall.score, **asdict(self)}


def summarise(evaluation: Evaluation) -> Summary:
    """Means over all images and over groups of them."""
    images = evaluation.images
    forged = [image for image in images if image.label is Label.FORGED]
    counts = sorted({image.n_true for image in forged if image.n_true is not None})
    return Summary(
        overall=_group("all", images),
        authentic=_group("authentic", [i for i in images if i.label is Label.AUTHENTIC]),
        forged=_group("forged", forged),
        image_level=_image_level(images),
        by_instances=_split(forged, [str(count) for count in counts], lambda i: str(i.n_true)),
        by_coverage=_split(forged, BUCKETS, _bucket),
        zeroed=sum(image.problem is not None for image in images),
        problems=len(evaluation.problems),
    )


def _bucket(image: ImageScore) -> str:
    return bucket(image.coverage) if image.coverage is not None else ""


def _split(
    images: Iterable[ImageScore], names: Iterable[str], name_of: Callable[[ImageScore], str]
) -> tuple[Group, ...]:
    members: dict[str, list[ImageScore]] = {name: [] for name in names}
    for image in images:
        members[name_of(image)].append(image)
    return tuple(_group(name, group) for name, group in members.items())


def _group(name: str, images: Sequence[ImageScore]) -> Group:
    return Group(
        name,
        len(images),
        _mean(image.score for image in images),
        _mean(float(image.label is Label.AUTHENTIC) for image in images),
        _mean(image.whole_image for image in images),
    )


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return fsum(values) / len(values) if values else None


def _image_level(images: Iterable[ImageScore]) -> ImageLevel:
    counts = {(label, flagged): 0 for label in Label for flagged in (True, False)}
    for image in images:
        if image.label is not None:
            counts[image.label, _is_flagged(image)] += 1
    hits, misses = counts[Label.FORGED, True], counts[Label.FORGED, False]
    alarms, rejections = counts[Label.AUTHENTIC, True], counts[Label.AUTHENTIC, False]
    return ImageLevel(
        true_positives=hits,
        false_positives=alarms,
        false_negatives=misses,
        true_negatives=rejections,
        precision=_ratio(hits, hits + alarms),
        recall=_ratio(hits, hits + misses),
        f1=_ratio(2 * hits, 2 * hits + alarms + misses),
        false_positive_rate=_ratio(alarms, alarms + rejections),
    )


def _is_flagged(image: ImageScore) -> bool:
    if image.problem:
        return image.label is Label.AUTHENTIC
    return bool(image.n_pred)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
