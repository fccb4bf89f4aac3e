"""A submission against a truth file, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forgecli.detection import Label
from forgecli.errors import ForgeError
from forgecli.score.annotation import BadAnnotation, read_annotation
from forgecli.score.metric import score_image
from forgecli.score.problems import BadRows, Problem, shown
from forgecli.score.rows import Row, read_rows
from forgecli.score.truth import TrueImage, read_truth
from kernels.rle import Runs


@dataclass(frozen=True, slots=True)
class ImageScore:
    """How one image of the truth file was scored.

    Attributes:
        score: 0 to 1; 0 where there is a problem.
        label: what the image is; None if the truth's row cannot be read.
        n_true: number of true instances, 0 if authentic; None if the truth's row cannot be read.
        n_pred: number of predicted instances, 0 if none; None if there is no row, or a bad one.
        coverage: percent of the image that true instances cover; None if it is not forged.
        whole_image: the score of a prediction that covers the whole image.
        problem: why it scores 0 whatever it says; None if all is well.
    """

    case_id: str
    score: float
    label: Label | None
    n_true: int | None
    n_pred: int | None
    coverage: float | None
    whole_image: float
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of all images of the truth, in its order, and what was wrong with the files."""

    images: tuple[ImageScore, ...]
    problems: tuple[Problem, ...]


def evaluate(submission: Path, truth: Path, *, lenient: bool = False) -> Evaluation:
    """Score every image of a truth file. Rows are matched by id, whatever their order.

    Memory holds the runs of the truth and one row of the submission: it grows with the outlines,
    not with the size of images.

    Args:
        submission: CSV with the columns ``case_id,annotation``.
        truth: CSV with the columns ``case_id,annotation,shape``.
        lenient: score images with a problem 0 instead of raising. Rows with ids that the truth
            does not have are passed over.

    Raises:
        BadRows: rows of either file are wrong, missing, there twice, or of no image of the truth.
        ForgeError: a file as a whole cannot be used, or the two have no id in common.
    """
    images, problems = read_truth(truth)
    scores: dict[str, ImageScore] = {}
    lines: dict[str, int] = {}
    strangers: list[str] = []
    for row in read_rows(submission, ("annotation",)):
        seen = lines.get(row.case_id)
        if row.case_id and seen is None:
            lines[row.case_id] = row.line
        image = images.get(row.case_id)
        problem, predicted = _judge(row, seen, image, submission, truth)
        if problem:
            problems.append(problem)
        if image:
            scores[row.case_id] = _score(image, predicted, problem)
        elif row.case_id:
            strangers.append(row.case_id)
    if strangers and not scores:
        raise ForgeError(
            f"none of its {len(lines)} ids is among the {len(images)} of {truth} (the first are "
            f"{shown(strangers[0])} and {shown(next(iter(images), ''))}).",
            file=submission,
            mend="check that the two files belong together",
        )
    for case_id, image in images.items():
        if case_id not in scores:
            problem = Problem(
                submission,
                f"there is no row for this id of line {image.line} of {truth}",
                "add one; write authentic where there is no instance",
                case_id=case_id,
            )
            problems.append(problem)
            scores[case_id] = _score(image, None, problem)
    if problems and not lenient:
        raise BadRows(problems, mend="mend the rows, or add --lenient to score them 0")
    return Evaluation(tuple(scores[case_id] for case_id in images), tuple(problems))


def _judge(
    row: Row, seen: int | None, image: TrueImage | None, file: Path, truth: Path
) -> tuple[Problem | None, list[Runs] | None]:
    """What is wrong with a row of the submission, if anything, or else what it predicts."""

    def problem(what: str, mend: str) -> tuple[Problem, None]:
        return Problem(file, what, mend, row.line, row.case_id), None

    if row.fault:
        return problem(row.fault, row.mend)
    if seen is not None:
        return problem(f"the id is in line {seen} already", "keep one of the rows")
    if image is None:
        return problem(f"the id is not in {truth}", "take the row out, or score with another truth")
    try:
        return None, read_annotation(row.values[0], image.shape)
    except BadAnnotation as error:
        return problem(error.what, error.mend)


def _score(image: TrueImage, predicted: list[Runs] | None, problem: Problem | None) -> ImageScore:
    score = 0.0
    if predicted is not None and not image.problem:
        score = score_image(image.instances, predicted)
    return ImageScore(
        case_id=image.case_id,
        score=score,
        label=image.label,
        n_true=None if image.problem else len(image.instances),
        n_pred=None if predicted is None else len(predicted),
        coverage=image.coverage,
        whole_image=image.whole_image_score,
        problem=image.problem or problem,
    )
