"""The paired difference, checked where the answer is known, and against SciPy's bootstrap."""

from __future__ import annotations

from math import fsum, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.detection import Label
from forgecli.score.bootstrap import Interval, interval_of_mean
from forgecli.score.compare import Comparison, compare, evaluate_both, group_of
from forgecli.score.evaluate import Evaluation, ImageScore, evaluate
from forgecli.score.problems import BadRows


def image(case_id: str, score: float, label: Label = Label.FORGED) -> ImageScore:
    forged = label is Label.FORGED
    return ImageScore(case_id, score, label, int(forged), 1, 5.0 if forged else None, 0.0)


def evaluation(*scores: float, ids: list[str] | None = None) -> Evaluation:
    names = ids or [str(number) for number in range(len(scores))]
    return Evaluation(
        tuple(image(name, score) for name, score in zip(names, scores, strict=True)), ()
    )


def compared(
    a: list[float], b: list[float], ids: list[str] | None = None, **more: int
) -> Comparison:
    return compare(evaluation(*a, ids=ids), evaluation(*b, ids=ids), **more)


def interval(found: Comparison) -> Interval:
    assert found.overall.interval is not None
    return found.overall.interval


def test_a_difference_that_is_the_same_everywhere_is_certain() -> None:
    found = compared([0.25, 0.5, 0.0], [0.5, 0.75, 0.25])
    assert found.overall.difference == 0.25
    assert (interval(found).low, interval(found).high) == (0.25, 0.25)
    assert (found.overall.better, found.overall.worse, found.overall.equal) == (3, 0, 0)
    assert found.verdict().startswith("B scores higher")


def test_equal_submissions() -> None:
    found = compared([0.1 + 0.2, 1.0], [0.3, 1.0])  # not the same number, but the same score
    assert found.overall.difference == 0
    assert found.overall.equal == 2
    assert found.verdict() == "Every image has the same score in both."
    assert found.most_changed(5) == []


def test_the_interval_of_many_images_is_that_of_the_normal_distribution() -> None:
    differences = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 2000, p=[0.2, 0.5, 0.3])
    found = compared([1.0] * 2000, list(1 + differences), resamples=4000)
    half = 1.96 * differences.std() / sqrt(2000)
    assert interval(found).low == pytest.approx(differences.mean() - half, abs=0.1 * half)
    assert interval(found).high == pytest.approx(differences.mean() + half, abs=0.1 * half)


def test_a_fair_coin_holds_zero_and_nothing_is_claimed() -> None:
    found = compared([0.0, 1.0] * 50, [1.0, 0.0] * 50, resamples=1000)
    assert found.overall.difference == 0
    assert interval(found).holds_zero
    assert "do not tell the two apart" in found.verdict()
    assert (found.overall.better, found.overall.worse) == (50, 50)


def test_swapping_the_submissions_turns_the_sign() -> None:
    random = np.random.default_rng(3)
    a, b = list(random.random(60)), list(random.random(60) + 0.3)
    there, back = compared(a, b), compared(b, a)
    assert there.overall.difference == pytest.approx(-(back.overall.difference or 0))
    assert interval(there).low == pytest.approx(-interval(back).high, abs=0.005)
    assert "B scores higher" in there.verdict()
    assert "A scores higher" in back.verdict()


def test_twins_are_one_witness() -> None:
    """An image that is there twice tells nothing new: the interval is that of the image alone."""
    random = np.random.default_rng(5)
    a, b = list(random.random(40)), list(random.random(40) + 0.1)
    alone = compared(a, b, [str(i) for i in range(40)])
    twins = [f"{part}/{i}.png" for part in ("authentic", "forged") for i in range(40)]
    paired = compared(a * 2, b * 2, twins)
    assert paired.groups == 40
    assert paired.overall.images == 80
    assert interval(paired).low == pytest.approx(interval(alone).low, abs=1e-12)
    assert interval(paired).high == pytest.approx(interval(alone).high, abs=1e-12)

    apart = compared(a * 2, b * 2, [str(i) for i in range(80)])
    widths = [interval(each).high - interval(each).low for each in (paired, apart)]
    assert widths[0] / widths[1] == pytest.approx(sqrt(2), abs=0.1)


@pytest.mark.parametrize(
    ("case_id", "group"),
    [
        ("train_images/forged/10.png", "10"),
        ("train_images/authentic/10.TIFF", "10"),
        ("10", "10"),
        ("plate 3.7", "plate 3.7"),
        ("a/plate 3.7", "plate 3.7"),
        ("", ""),
    ],
)
def test_groups(case_id: str, group: str) -> None:
    assert group_of(case_id) == group


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-3, 3).map(lambda x: round(x, 2)), st.integers(1, 4)),
        min_size=8,
        max_size=40,
    )
)
def test_the_same_interval_as_scipy(groups: list[tuple[float, int]]) -> None:
    from scipy.stats import bootstrap

    sums, counts = np.array(groups, np.float64).T
    ours = interval_of_mean(sums, counts, resamples=4000, seed=1)
    assert ours is not None
    mean = sums.sum() / counts.sum()
    assert ours.low <= ours.high
    if np.ptp(sums / counts) < 1e-9:
        assert (ours.low, ours.high) == pytest.approx((mean, mean))
        return
    theirs = bootstrap(
        (sums, counts),
        lambda s, n, axis: s.sum(axis) / n.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="BCa",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.15 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.15 * width)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        values = random.exponential(1.0, 40) - 1.0  # skewed; the true mean is 0
        found = interval_of_mean(values, np.ones(40), resamples=500, seed=trial)
        covered += found is not None and found.holds_zero
    assert 0.87 <= covered / 200 <= 0.99


def test_the_seed_decides() -> None:
    random = np.random.default_rng(2)
    a, b = list(random.random(30)), list(random.random(30))
    assert compared(a, b, seed=4) == compared(a, b, seed=4)
    assert interval(compared(a, b, seed=4)) != interval(compared(a, b, seed=5))


def test_memory_is_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from forgecli.score import bootstrap

    values = np.random.default_rng(0).random(50)
    whole = interval_of_mean(values, np.ones(50), resamples=999)
    monkeypatch.setattr(bootstrap, "_BLOCK", 50 * 7)
    assert interval_of_mean(values, np.ones(50), resamples=999) == whole


def test_one_group_has_no_interval() -> None:
    found = compared([0.0, 0.0], [1.0, 0.5], ["a/1.png", "b/1.png"])
    assert found.overall.interval is None
    assert "one group" in found.verdict()


def test_few_groups_are_named() -> None:
    found = compared([0.0] * 5, [0.5, 0.6, 0.7, 0.8, 0.9])
    assert "With 5 groups" in found.verdict()


def test_by_class_and_what_changed_most() -> None:
    labels = [Label.AUTHENTIC, Label.AUTHENTIC, Label.FORGED, Label.FORGED]
    ids = ["img10", "img2", "img3", "img4"]

    def of(*scores: float) -> Evaluation:
        rows = zip(ids, scores, labels, strict=True)
        return Evaluation(tuple(image(name, score, label) for name, score, label in rows), ())

    found = compare(of(1, 1, 0.2, 0), of(0, 0, 0.9, 0.1))
    assert found.authentic.difference == -1
    assert (found.authentic.a, found.authentic.b) == (1, 0)
    assert found.forged.difference == pytest.approx(0.4)
    assert found.overall.difference == pytest.approx(-0.3)
    assert [each.case_id for each in found.most_changed(3)] == ["img2", "img10", "img3"]
    report = found.as_json(1)
    assert [each["case_id"] for each in report["most_changed"]] == ["img2"]
    assert report["forged"]["better"] == 2
    assert fsum(each.difference for each in found.images) / 4 == pytest.approx(-0.3)


def test_a_class_without_images() -> None:
    found = compared([0.0, 1.0], [0.5, 0.0])
    assert found.authentic.images == 0
    assert found.authentic.difference is found.authentic.interval is None


def test_other_truths_are_refused() -> None:
    with pytest.raises(ValueError, match="two truths"):
        compare(evaluation(1.0, ids=["a"]), evaluation(1.0, ids=["b"]))


TRUTH = 'case_id,annotation,shape\na,authentic,authentic\nb,"[1, 4]","[4, 5]"\n'


def test_problems_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    truth, first, second = (tmp_path / name for name in ("gt.csv", "a.csv", "b.csv"))
    truth.write_text(TRUTH)
    first.write_text("case_id,annotation\na,authentic\nb,[1\n")
    second.write_text("case_id,annotation\nb,authentic\n")
    with pytest.raises(BadRows) as caught:
        evaluate_both(first, second, truth)
    assert [problem.file.name for problem in caught.value.problems] == ["a.csv", "b.csv"]

    found = compare(*evaluate_both(first, second, truth, lenient=True))
    assert found.zeroed == 2
    assert len(found.problems) == 2
    assert found.overall.difference == -0.5  # the row for `a` is missing in B


def test_a_problem_of_the_truth_is_told_once(tmp_path: Path) -> None:
    truth, first = tmp_path / "gt.csv", tmp_path / "a.csv"
    truth.write_text(TRUTH.replace("[4, 5]", "[4]"))
    first.write_text("case_id,annotation\na,authentic\nb,authentic\n")
    with pytest.raises(BadRows) as caught:
        evaluate_both(first, first, truth)
    assert len(caught.value.problems) == 1
    assert evaluate(first, truth, lenient=True).images[1].problem
