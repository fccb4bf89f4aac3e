"""The truth file: what is really in every image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from forgecli.detection import Label
from forgecli.errors import ForgeError
from forgecli.score.annotation import AUTHENTIC, BadAnnotation, read_annotation
from forgecli.score.problems import Problem
from forgecli.score.rows import read_rows
from kernels.overlap import area, union
from kernels.rle import Runs

COLUMNS = ("annotation", "shape")

_SHAPE = re.compile(r"\s*\[\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*\]\s*")


@dataclass(frozen=True, slots=True)
class TrueImage:
    """One row of a truth file.

    Attributes:
        line: where it is, counted from 1.
        shape: (H, W) in pixels, or None: authentic rows need none.
        instances: canonical runs; none means authentic.
        problem: why the row cannot be scored; then there are no instances.
    """

    line: int
    case_id: str
    shape: tuple[int, int] | None = None
    instances: tuple[Runs, ...] = ()
    problem: Problem | None = None

    @property
    def label(self) -> Label | None:
        """What the image is; None if the row cannot be read."""
        if self.problem:
            return None
        return Label.FORGED if self.instances else Label.AUTHENTIC

    @property
    def coverage(self) -> float | None:
        """Percent of the image that instances cover; None if it is not forged."""
        if not self.instances:
            return None
        assert self.shape is not None
        covered = self.instances[0]
        for runs in self.instances[1:]:
            covered = union(covered, runs)
        return 100 * area(covered) / (self.shape[0] * self.shape[1])

    @property
    def whole_image_score(self) -> float:
        """The score of a prediction of one instance that covers the whole image."""
        if not self.instances:
            return 0.0
        assert self.shape is not None
        pixels = self.shape[0] * self.shape[1]
        f1 = (2 * true / (true + pixels) for true in map(area, self.instances))
        return max(f1) / len(self.instances)


def read_truth(file: Path) -> tuple[dict[str, TrueImage], list[Problem]]:
    """Read the columns ``case_id,annotation,shape``.

    Shape is ``[H, W]``; authentic rows may have ``authentic`` there instead.

    Returns:
        the images by id, in the order of the file; and what is wrong with rows.

    Raises:
        ForgeError: the file as a whole cannot be used. See `rows.read_rows`.
    """
    images: dict[str, TrueImage] = {}
    problems: list[Problem] = []
    for row in read_rows(file, COLUMNS):
        first = images.get(row.case_id)
        if row.fault:
            image = _bad(file, row.line, row.case_id, row.fault, row.mend)
        elif first:
            image = _bad(
                file,
                row.line,
                row.case_id,
                f"the id is in line {first.line} already",
                "keep one of the rows",
            )
        else:
            image = _read_image(file, row.line, row.case_id, *row.values)
        if image.problem:
            problems.append(image.problem)
        if row.case_id:
            images[row.case_id] = image
    if not images and not problems:
        raise ForgeError("has no rows.", file=file, mend="make it with forge truth")
    return images, problems


def _read_image(file: Path, line: int, case_id: str, annotation: str, shape: str) -> TrueImage:
    size = None
    if annotation != AUTHENTIC or shape != AUTHENTIC:
        size = _read_shape(shape)
        if size is None:
            return _bad(
                file,
                line,
                case_id,
                f"the shape is {shape[:40]!r}",
                "write the height and width of the image in pixels as [H, W]",
            )
    try:
        instances = read_annotation(annotation, size)
    except BadAnnotation as error:
        return _bad(file, line, case_id, error.what, error.mend)
    return TrueImage(line, case_id, size, tuple(instances))


def _read_shape(text: str) -> tuple[int, int] | None:
    match = _SHAPE.fullmatch(text)
    if not match:
        return None
    height, width = int(match[1]), int(match[2])
    return (height, width) if height and width else None


def _bad(file: Path, line: int, case_id: str, what: str, mend: str) -> TrueImage:
    return TrueImage(line, case_id, problem=Problem(file, what, mend, line, case_id))
