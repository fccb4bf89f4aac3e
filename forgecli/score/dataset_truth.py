"""The truth of a data set with masks, row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from forgecli.atomic import atomic_writer
from forgecli.cases.discover import discover
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.header import read_size
from forgecli.cases.masks import read_mask
from forgecli.detection import Case, Label
from forgecli.errors import UsageError
from forgecli.score.annotation import AUTHENTIC
from forgecli.score.problems import BadRows, Problem
from forgecli.score.rows import ID
from forgecli.score.truth import COLUMNS
from kernels.rle import annotation_to_text, encode

Part = Literal["authentic", "forged", "all"]

_NO_MASK = "the image is forged but has no mask"
_EMPTY_MASK = "the image is forged but its mask is empty"


@dataclass(slots=True)
class Remarks:
    """What is odd about a data set.

    Attributes:
        warnings: ids by what was repaired in their masks.
        unlabelled: ids taken for authentic because nothing says that they are forged.
        problems: images whose truth cannot be told.
    """

    warnings: dict[str, list[str]] = field(default_factory=dict)
    unlabelled: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Each kind of remark once, with its count and the first id."""
        for text, ids in self.warnings.items():
            yield f"{text} ({_count(ids)})"
        if self.unlabelled:
            yield (
                "no mask and no folder called authentic or forged; taken for authentic "
                f"({_count(self.unlabelled)})"
            )


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} images, the first is {ids[0]!r}" if len(ids) > 1 else repr(ids[0])


def find_cases(
    inputs: Sequence[str | Path], *, part: Part = "all", id_from: Literal["name", "path"] = "name"
) -> list[Case]:
    """The labelled cases of a data set, in natural order of ids. See `cases.discover.discover`.

    Images without a label count as forged if they have a mask, as authentic if not. Where no image
    has either, all are authentic, but only if that part is asked for.

    Raises:
        UsageError: two images share an id, no image is in the part, or nothing tells the classes.
    """
    every = discover(inputs, id_from="path")
    if part != "authentic" and not any(case.label or case.mask for case in every):
        raise UsageError(
            "no image here has a mask, or is in a folder called authentic or forged.",
            file=", ".join(str(named) for named in inputs),
            mend="name a folder that holds train_images and train_masks, or images and masks; "
            "or, for forge truth, add --part authentic if all of them are",
        )
    wanted = [case for case in every if part in ("all", _expected(case))]
    if not wanted:
        raise UsageError(
            f"none of the {len(every)} images is {part}.", mend="choose another --part"
        )
    if id_from == "path":
        return wanted
    try:
        return discover([case.image for case in wanted], id_from="name")
    except UsageError as error:
        raise UsageError(
            error.what,
            mend="add --id-from path, which makes ids of paths, or --part forged or "
            "--part authentic where the same id is in both",
        ) from error


def truth_rows(cases: Iterable[Case], remarks: Remarks) -> Iterator[tuple[str, str, str]]:
    """The row of each case: its id, `authentic` or 1-based runs of each instance, and ``[H, W]``.

    As in the competition, the shape of authentic rows is `authentic`.

    Args:
        remarks: is filled.

    Raises:
        BadRows: after the last case, if the truth of any cannot be told.
    """
    for case in cases:
        try:
            row = _row(case, remarks)
        except (Unreadable, TooLarge) as failure:
            file = Path(failure.file or case.image)
            mend = failure.mend or "replace the file, or take the image out of the data set"
            remarks.problems.append(Problem(file, failure.what, mend, case_id=case.case_id))
            continue
        if row:
            yield row
    if remarks.problems:
        raise BadRows(remarks.problems)


def write_truth(file: Path, rows: Iterable[tuple[str, str, str]]) -> int:
    """Write a truth file, or nothing if `rows` raises. Ids are written as they are.

    Returns:
        the number of rows.

    Raises:
        OutputError: it cannot be written.
    """
    count = 0
    with atomic_writer(file, newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((ID, *COLUMNS))
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _row(case: Case, remarks: Remarks) -> tuple[str, str, str] | None:
    authentic = (case.case_id, AUTHENTIC, AUTHENTIC)
    if case.label is Label.AUTHENTIC:
        return authentic
    if case.mask is None:
        if case.label is None:
            remarks.unlabelled.append(case.case_id)
            return authentic
        raise Unreadable(_NO_MASK, file=case.image, mend="add its mask, or take the image out")
    size = read_size(case.image)
    instances, warnings = read_mask(case.mask, (size.height, size.width))
    for text in warnings:
        remarks.warnings.setdefault(text, []).append(case.case_id)
    if not len(instances):
        if case.label is None:
            return authentic
        raise Unreadable(_EMPTY_MASK, file=case.mask, mend="draw it, or take the image out")
    annotation = annotation_to_text(encode(instance) for instance in instances)
    return case.case_id, annotation, f"[{size.height}, {size.width}]"


def _expected(case: Case) -> str:
    return case.label or (Label.FORGED if case.mask else Label.AUTHENTIC)
