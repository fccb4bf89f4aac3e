"""Means over groups of images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forgecli.detection import Label
from forgecli.score.coverage import BUCKETS, bucket
from forgecli.score.evaluate import Evaluation, ImageScore
from forgecli.score.problems import Problem
from forgecli.score.summary import summarise


def image(
    score: float,
    n_true: int | None,
    n_pred: int | None,
    coverage: float | None = None,
    problem: bool = False,
) -> ImageScore:
    label = None if n_true is None else Label.FORGED if n_true else Label.AUTHENTIC
    wrong = Problem(Path("sub.csv"), "what", "mend") if problem else None
    return ImageScore("id", score, label, n_true, n_pred, coverage, 0.1 * bool(n_true), wrong)


IMAGES = (
    image(1, 0, 0),
    image(1, 0, 0),
    image(0, 0, 2),
    image(0.5, 1, 1, 0.1),
    image(0.25, 1, 2, 3),
    image(0, 2, 0, 80),
)


def test_groups() -> None:
    summary = summarise(Evaluation(IMAGES, ()))
    assert (summary.overall.images, summary.overall.score) == (6, pytest.approx(2.75 / 6))
    assert (summary.authentic.images, summary.authentic.score) == (3, pytest.approx(2 / 3))
    assert (summary.forged.images, summary.forged.score) == (3, pytest.approx(0.25))
    assert [(g.name, g.images, g.score) for g in summary.by_instances] == [
        ("1", 2, 0.375),
        ("2", 1, 0),
    ]
    assert [(g.name, g.images, g.score) for g in summary.by_coverage] == [
        ("<= 0.1 %", 1, 0.5),
        ("0.1 - 0.5 %", 0, None),
        ("0.5 - 1 %", 0, None),
        ("1 - 2 %", 0, None),
        ("2 - 5 %", 1, 0.25),
        ("> 5 %", 1, 0),
    ]


def test_trivial_submissions() -> None:
    summary = summarise(Evaluation(IMAGES, ()))
    assert summary.overall.all_authentic == 0.5
    assert summary.authentic.all_authentic == 1
    assert summary.forged.all_authentic == 0
    assert summary.overall.whole_image == pytest.approx(0.05)
    assert summary.forged.whole_image == pytest.approx(0.1)


def test_image_level() -> None:
    level = summarise(Evaluation(IMAGES, ())).image_level
    assert (level.true_positives, level.false_negatives) == (2, 1)
    assert (level.false_positives, level.true_negatives) == (1, 2)
    assert level.precision == level.recall == level.f1 == pytest.approx(2 / 3)
    assert level.false_positive_rate == pytest.approx(1 / 3)


def test_problems_are_wrong_answers() -> None:
    images = (image(0, 0, None, problem=True), image(0, 1, None, 1, problem=True))
    summary = summarise(Evaluation(images, ()))
    level = summary.image_level
    assert (level.true_positives, level.false_negatives) == (0, 1)
    assert (level.false_positives, level.true_negatives) == (1, 0)
    assert summary.zeroed == 2


def test_an_unreadable_truth_counts_in_the_score_only() -> None:
    summary = summarise(Evaluation((image(1, 0, 0), image(0, None, 1, problem=True)), ()))
    assert summary.overall.score == 0.5
    assert summary.authentic.images + summary.forged.images == 1
    assert summary.image_level.false_positives == 0


def test_undefined_ratios() -> None:
    level = summarise(Evaluation((image(1, 0, 0),), ())).image_level
    assert level.precision is level.recall is level.f1 is None
    assert level.false_positive_rate == 0
    level = summarise(Evaluation((image(0, 1, 0, 1),), ())).image_level
    assert level.precision is level.false_positive_rate is None
    assert level.recall == level.f1 == 0


def test_json_has_no_nan() -> None:
    summary = summarise(Evaluation((image(1, 0, 0),), ()))
    text = json.dumps(summary.as_json(), allow_nan=False)
    assert json.loads(text)["score"] == 1
    assert json.loads(text)["forged"]["score"] is None


@pytest.mark.parametrize(
    ("percent", "index"),
    [(0, 0), (0.1, 0), (0.1001, 1), (0.5, 1), (1, 2), (2, 3), (5, 4), (5.01, 5), (100, 5)],
)
def test_buckets(percent: float, index: int) -> None:
    assert bucket(percent) == BUCKETS[index]
