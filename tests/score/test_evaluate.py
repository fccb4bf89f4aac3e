"""Matching of rows, the problems that are found, and what lenience makes of them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from forgecli.detection import Label
from forgecli.errors import ForgeError
from forgecli.score.evaluate import Evaluation, evaluate
from forgecli.score.problems import BadRows

TRUTH = """case_id,annotation,shape
a,authentic,authentic
b,"[1, 4]","[4, 5]"
c,"[1, 4];[9, 4]","[4, 5]"
d,authentic,"[4, 5]"
"""
GOOD = """case_id,annotation
a,authentic
b,"[3, 4]"
c,"[1, 4];[9, 4]"
d,"[1, 1]"
"""


class Files:
    """A submission and a truth in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.submission = folder / "sub.csv"
        self.truth = folder / "gt.csv"

    def evaluate(
        self, submission: str = GOOD, truth: str = TRUTH, *, lenient: bool = False
    ) -> Evaluation:
        self.submission.write_text(submission)
        self.truth.write_text(truth)
        return evaluate(self.submission, self.truth, lenient=lenient)

    def lenient_scores(self, submission: str = GOOD, truth: str = TRUTH) -> dict[str, float]:
        evaluation = self.evaluate(submission, truth, lenient=True)
        return {image.case_id: image.score for image in evaluation.images}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_every_image_in_the_order_of_the_truth(files: Files) -> None:
    evaluation = files.evaluate()
    assert [image.case_id for image in evaluation.images] == ["a", "b", "c", "d"]
    assert [image.score for image in evaluation.images] == [1, 0.5, 1, 0]
    assert [image.label for image in evaluation.images] == [
        Label.AUTHENTIC,
        Label.FORGED,
        Label.FORGED,
        Label.AUTHENTIC,
    ]
    assert [image.n_true for image in evaluation.images] == [0, 1, 2, 0]
    assert [image.n_pred for image in evaluation.images] == [0, 1, 2, 1]
    assert [image.coverage for image in evaluation.images] == [None, 20, 40, None]
    assert [image.whole_image for image in evaluation.images] == [0, 8 / 24, 8 / 24 / 2, 0]
    assert evaluation.problems == ()


def test_the_order_of_rows_does_not_matter(files: Files) -> None:
    head, *rows = GOOD.splitlines()
    assert files.evaluate("\n".join([head, *reversed(rows)])) == files.evaluate()


def test_coverage_counts_shared_pixels_once(files: Files) -> None:
    truth = 'case_id,annotation,shape\na,"[1, 4];[3, 4]","[4, 5]"\n'
    evaluation = files.evaluate("case_id,annotation\na,authentic\n", truth)
    assert evaluation.images[0].coverage == 30


def test_ids_match_however_accents_are_spelt(files: Files) -> None:
    truth = "case_id,annotation,shape\ne\u0301,authentic,authentic\n"
    assert files.lenient_scores("case_id,annotation\n\u00e9,authentic\n", truth) == {"\u00e9": 1}


PROBLEMS = [
    # a change of the submission, where and what is wrong, the scores of a, b, c, d when lenient
    (('b,"[3, 4]"\n', ""), (None, "b", "no row for this id of line 3"), [1, 0, 1, 0]),
    (("\nd,", "\ne,authentic\nd,"), (5, "e", "the id is not in"), [1, 0.5, 1, 0]),
    (("\nd,", '\nc,"[1, 4]"\nd,'), (5, "c", "the id is in line 4 already"), [1, 0.5, 0, 0]),
    (("a,authentic", "a,"), (2, "a", "is empty"), [0, 0.5, 1, 0]),
    (("a,authentic", "a,nan"), (2, "a", "'nan'"), [0, 0.5, 1, 0]),
    (("[3, 4]", "[]"), (3, "b", "list is empty"), [1, 0, 1, 0]),
    (("[3, 4]", "[3]"), (3, "b", "odd"), [1, 0, 1, 0]),
    (("[3, 4]", "[3, 4, 1, 1]"), (3, "b", "starts before the run before"), [1, 0, 1, 0]),
    (("[3, 4]", "[3, 4, 4, 1]"), (3, "b", "overlaps"), [1, 0, 1, 0]),
    (("[3, 4]", "[3, 4.5]"), (3, "b", "whole number"), [1, 0, 1, 0]),
    (("[3, 4]", "[-3, 4]"), (3, "b", "before the first pixel"), [1, 0, 1, 0]),
    (("[3, 4]", "[18, 4]"), (3, "b", "image of 4 x 5"), [1, 0, 1, 0]),
    (('"[3, 4]"', "[3, 4]"), (3, "b", "3 fields, the first line 2"), [1, 0, 1, 0]),
    (("[1, 1]", "[21, 1]"), (5, "d", "image of 4 x 5"), [1, 0.5, 1, 0]),
]


@pytest.mark.parametrize(("change", "expected", "scores"), PROBLEMS, ids=str)
def test_problems_of_a_submission(
    files: Files,
    change: tuple[str, str],
    expected: tuple[int | None, str, str],
    scores: list[float],
) -> None:
    submission = GOOD.replace(*change)
    assert submission != GOOD
    with pytest.raises(BadRows) as caught:
        files.evaluate(submission)
    (problem,) = caught.value.problems
    line, case_id, what = expected
    assert (problem.file, problem.line, problem.case_id) == (files.submission, line, case_id)
    assert what in problem.what
    assert problem.mend
    place = f"{files.submission}:{line}" if line else str(files.submission)
    assert f"{place}: id '{case_id}': " in str(caught.value)
    assert problem.mend in str(caught.value)
    assert "--lenient" in caught.value.mend
    assert list(files.lenient_scores(submission).values()) == scores


TRUTH_PROBLEMS = [
    (('"[4, 5]"\nc', '"[4]"\nc'), (3, "b", "the shape is '[4]'"), [1, 0, 1, 0]),
    (('"[4, 5]"\nc', '"[0, 5]"\nc'), (3, "b", "the shape is '[0, 5]'"), [1, 0, 1, 0]),
    (('"[4, 5]"\nc', '"[-4, 5]"\nc'), (3, "b", "the shape is '[-4, 5]'"), [1, 0, 1, 0]),
    (('"[4, 5]"\nc', '"(4, 5)"\nc'), (3, "b", "the shape is '(4, 5)'"), [1, 0, 1, 0]),
    (('"[4, 5]"\nc', "authentic\nc"), (3, "b", "the shape is 'authentic'"), [1, 0, 1, 0]),
    (("authentic,authentic", "authentic,"), (2, "a", "the shape is ''"), [0, 0.5, 1, 0]),
    (("[1, 4];[9, 4]", "[1, 4];[19, 4]"), (4, "c", "instance 2"), [1, 0.5, 0, 0]),
    (("d,auth", 'b,"[1, 4]","[4, 5]"\nd,auth'), (5, "b", "in line 3 already"), [1, 0, 1, 0]),
    (('b,"[1, 4]"', "b,[1, 4]"), (3, "b", "4 fields, the first line 3"), [1, 0, 1, 0]),
]


@pytest.mark.parametrize(("change", "expected", "scores"), TRUTH_PROBLEMS, ids=str)
def test_problems_of_a_truth(
    files: Files, change: tuple[str, str], expected: tuple[int, str, str], scores: list[float]
) -> None:
    truth = TRUTH.replace(*change)
    assert truth != TRUTH
    with pytest.raises(BadRows) as caught:
        files.evaluate(truth=truth)
    (problem,) = caught.value.problems
    line, case_id, what = expected
    assert (problem.file, problem.line, problem.case_id) == (files.truth, line, case_id)
    assert what in problem.what
    assert list(files.lenient_scores(truth=truth).values()) == scores


def test_all_problems_are_collected(files: Files) -> None:
    submission = 'case_id,annotation\nb,"[3]"\nc,nan\nx,authentic\nb,authentic\n'
    truth = TRUTH.replace('d,authentic,"[4, 5]"', "d,authentic,wide")
    with pytest.raises(BadRows) as caught:
        files.evaluate(submission, truth)
    found = [(problem.line, problem.case_id) for problem in caught.value.problems]
    assert found == [(5, "d"), (2, "b"), (3, "c"), (4, "x"), (5, "b"), (None, "a"), (None, "d")]


def test_the_first_problems_are_shown(files: Files) -> None:
    head = "case_id,annotation,shape\n"
    truth = head + "".join(f"{i},authentic,authentic\n" for i in range(50))
    submission = "case_id,annotation\n" + "".join(f"{i},nan\n" for i in range(50))
    with pytest.raises(BadRows) as caught:
        files.evaluate(submission, truth)
    assert len(caught.value.problems) == 50
    lines = caught.value.what.splitlines()
    assert lines[0] == "50 problems, the first 20:"
    assert len(lines) == 21
    assert lines[20].startswith(f"  {files.submission}:21: id '19': the annotation is 'nan'; write")


def test_ids_are_data(files: Files) -> None:
    with pytest.raises(BadRows) as caught:
        files.evaluate(GOOD + "\x1b[31mred" + "x" * 200 + ",authentic\n")
    assert "\x1b" not in str(caught.value)
    assert "x" * 100 not in str(caught.value)


def test_files_that_do_not_belong_together(files: Files) -> None:
    with pytest.raises(ForgeError, match="none of its 1 ids is among the 4") as caught:
        files.evaluate("case_id,annotation\na.png,authentic\n", lenient=True)
    assert "'a.png'" in caught.value.what


def test_no_rows(files: Files) -> None:
    with pytest.raises(ForgeError, match="has no rows"):
        files.evaluate(truth="case_id,annotation,shape\n")
    with pytest.raises(BadRows, match="4 problems"):
        files.evaluate("case_id,annotation\n")


def test_memory_does_not_grow_with_the_image(files: Files) -> None:
    truth = 'case_id,annotation,shape\na,"[1, 5000000]","[100000, 100000]"\n'
    files.evaluate('case_id,annotation\na,"[9, 7]"\n', truth)  # imports and compiles
    tracemalloc.start()
    try:
        (image,) = files.evaluate('case_id,annotation\na,"[1, 2500000]"\n', truth).images
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert image.score == pytest.approx(2 / 3)
    assert peak < 1_000_000
