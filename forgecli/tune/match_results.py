"""What the match detector says of the same images, from its submission."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forgecli.errors import ForgeError
from forgecli.score.annotation import BadAnnotation, read_annotation
from forgecli.score.metric import score_image
from forgecli.score.problems import BadRows, Problem, shown
from forgecli.score.rows import read_rows
from forgecli.tune.examine import Row
from forgecli.tune.fuse import MatchScores

_MAKE = "make it with forge predict DATASET --detector match --id-from path"


def read_match(submission: Path, rows: Sequence[Row]) -> MatchScores:
    """The scores of match's submission on images with a table.

    Ids are paths below the data set, as `--id-from path` makes them, or names without suffix where
    no two images share one. Rows of other images are passed over.

    Args:
        submission: CSV with the columns ``case_id,annotation``.
        rows: the images.

    Raises:
        BadRows: an image has no row, two, or one that cannot be scored.
        ForgeError: the file cannot be read, or is of other images.
    """
    written: dict[str, tuple[int, str]] = {}
    problems: list[Problem] = []
    for line in read_rows(submission, ("annotation",)):
        if line.fault or line.case_id in written:
            what = line.fault or "the id is there twice"
            mend = line.mend or "keep one of the rows"
            problems.append(Problem(submission, what, mend, line.line, line.case_id))
        else:
            written[line.case_id] = line.line, line.values[0]
    names = Counter(row.case.image.stem for row in rows)
    scores, speaks = np.zeros(len(rows)), np.zeros(len(rows), bool)
    missing: list[Problem] = []
    for index, row in enumerate(rows):
        stem = row.case.image.stem
        found = written.get(row.case.case_id) or (written.get(stem) if names[stem] == 1 else None)
        if found is None:
            what = "there is no row for this image"
            missing.append(Problem(submission, what, _MAKE, case_id=row.case.case_id))
            continue
        number, text = found
        try:
            predicted = read_annotation(text, row.shape)
        except BadAnnotation as error:
            problems.append(Problem(submission, error.what, error.mend, number, row.case.case_id))
            continue
        speaks[index] = bool(predicted)
        scores[index] = score_image(row.truth, predicted)
    if len(missing) == len(rows):
        first = next(iter(written), "")
        raise ForgeError(
            f"none of its {len(written)} ids is one of the {len(rows)} images (the first are "
            f"{shown(first)} and {shown(rows[0].case.case_id)}).",
            file=submission,
            mend=_MAKE,
        )
    if problems or missing:
        raise BadRows([*problems, *missing])
    return MatchScores(scores, speaks, operating_point(submission))


def operating_point(submission: Path) -> dict[str, Any] | None:
    """With which thresholds match made a submission: a fused gate holds for these.

    Returns:
        ``thresholds`` by kind of image, ``false_positive_rate`` (None where a score was asked for),
        ``judge_sha256`` and ``inverted`` (whether it looked for inverted copies too; where the
        record does not say, it did not), from the record of the run beside the submission; None
        where there is no such record of match.
    """
    file = submission.with_name(submission.stem + ".run.json")
    try:
        said = json.loads(file.read_text("utf-8"))["detector_settings"]
        names = ("thresholds", "false_positive_rate", "judge_sha256")
        return {**{name: said[name] for name in names}, "inverted": bool(said.get("inverted"))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
