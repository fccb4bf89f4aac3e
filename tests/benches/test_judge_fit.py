"""The fit of the judge: which images it keeps apart, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from bench.drawn import DRAWN
from bench.judge_fit import (
    calibration,
    fit,
    folds,
    operating_points,
    reliability,
    weights,
)
from bench.judge_samples import Samples, Searched, SearchedCase, joined
from bench.judge_trees import BoostedTrees
from forgecli.match.calibration import Calibration
from forgecli.match.features import FEATURES
from forgecli.match.judge import judge_from

pytest.importorskip("sklearn")


def few_trees() -> BoostedTrees:
    return BoostedTrees(FEATURES, bags=2, count=20, bins=12)


def drawn(seed: int = 0, cases: int = 120) -> Samples:
    """Cases of fifteen sources, three a fold; a copy shows in the first feature."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(cases):
        fold = number % 5
        mine = [f"s{fold}{letter}" for letter in "abc"]
        images = []
        for forged in (True, False) if number % 2 else (False,):
            count = int(random.integers(0 if not forged else 2, 6))
            features = random.normal(size=(count, len(FEATURES)))
            overlap = np.zeros(count)
            if forged:
                overlap[0] = 1.0
                features[0, 0] += 3.5
            kind = "blot" if number % 7 == 3 else "photograph"
            images.append(Searched(features, overlap, forged, kind))
        sources = tuple(mine[: 1 + number % 3])
        made.append(SearchedCase(f"task {number}", fold, sources, tuple(images)))
    return joined(made)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return drawn()


def test_no_source_is_on_both_sides_of_a_fold(samples: Samples) -> None:
    scored_times = np.zeros(len(samples.case), int)
    for fitted, scored in folds(samples):
        scored_times += scored
        assert fitted.any() and (fitted != scored).all(), "no case is left out of both"
        seen = samples.of[samples.case[fitted]].any(axis=0)
        assert not (seen & samples.of[samples.case[scored]].any(axis=0)).any()
    assert (scored_times == 1).all()


def test_images_weigh_the_same_and_so_do_all_copies_of_one(samples: Samples) -> None:
    weight, copies = weights(samples), samples.overlap > 0.7
    rows = np.bincount(samples.image, minlength=len(samples.case))
    for image in np.flatnonzero(rows):
        mine = samples.image == image
        if samples.forged[image]:
            assert weight[mine & copies].sum() == pytest.approx(1.0)
        else:
            assert weight[mine].sum() == pytest.approx(1.0)


def test_the_document_is_a_judge(samples: Samples) -> None:
    document = fit(samples, few_trees)
    judge = judge_from(document)
    assert judge.points is not None
    # 120 authentic images support 1 %, and no less.
    assert judge.points.rates == (0.01, 0.02, 0.05, 0.1)
    assert judge.points.images == {"all": 120, "photograph": 103, "blot": 17}
    assert document["fitted_on"]["folds"] == 5
    copy, other = np.zeros((2, len(FEATURES)))
    copy[0] = 3.0
    low, high = judge.probability(judge.evidence(np.array([other, copy])))
    assert low < 0.5 < high
    assert document["operating_points"]["recall"]["all"][-1] > 0.5
    assert document["reliability"]["expected_calibration_error"] < 0.2
    sizes = [one["images"] for one in document["reliability"]["bins"]]
    silent = sum(document["reliability"]["without_candidate"].values())
    assert silent == len(samples.case) - len(set(samples.image.tolist())) > 0
    assert sum(sizes) == len(samples.case) - silent


def test_drawn_look_alikes_teach_the_trees_and_set_no_threshold(samples: Samples) -> None:
    """Look-alikes that only the second feature tells from copies."""
    random = np.random.default_rng(3)
    more = []
    for number in range(60):
        features = random.normal(size=(4, len(FEATURES)))
        features[:, 0] += 3.5
        features[:, 1] += 6.0
        image = Searched(features, np.zeros(4), False, DRAWN)
        more.append(SearchedCase(f"drawn {number}", number % 5, (f"s{number % 5}a",), (image,)))
    taught = fit(joined([*samples.cases(), *more]), few_trees)
    alone = fit(samples, few_trees)
    counted = taught["operating_points"]["authentic_images"]
    assert counted == alone["operating_points"]["authentic_images"]
    assert taught["fitted_on"]["authentic"] == alone["fitted_on"]["authentic"]
    images = [sum(one["images"] for one in d["reliability"]["bins"]) for d in (taught, alone)]
    assert images[0] == images[1]
    assert taught["drawn"]["images"] == 60 and alone["drawn"]["images"] == 0
    assert taught["drawn"]["flagged"][0] < 10
    drawn_one = np.concatenate([case.images[0].features for case in more])
    said = [judge_from(d).evidence(drawn_one).mean() for d in (taught, alone)]
    assert said[0] < said[1] - 1.0


def test_the_judge_is_the_mean_of_the_sums_that_were_fitted(samples: Samples) -> None:
    made: list[BoostedTrees] = []

    def few() -> BoostedTrees:
        made.append(few_trees())
        return made[-1]

    judge = judge_from(fit(samples, few))
    expected = made[-1].evidence(samples.features)
    np.testing.assert_allclose(judge.evidence(samples.features), expected, atol=1e-4)
    assert np.ptp(expected) > 1.0


def test_scores_that_say_nothing_are_reported_as_such() -> None:
    samples = drawn(1)
    best = np.random.default_rng(2).normal(size=len(samples.case))
    found = reliability(samples, best)
    assert found["expected_calibration_error"] < 0.15
    assert all(0.3 < one["score"] < 0.7 for one in found["bins"])


def test_thresholds_flag_no_more_than_they_say() -> None:
    random = np.random.default_rng(3)
    score, forged = random.random(500), np.arange(500) >= 400
    kind = np.where(np.arange(500) % 4, "photograph", "blot")
    found = operating_points(score, forged, kind)
    for name, row in found["thresholds"].items():
        mine = ~forged & ((kind == name) | (name == "all"))
        assert found["authentic_images"][name] == mine.sum()
        for rate, threshold in zip(found["rates"], row, strict=True):
            assert (score[mine] >= threshold).mean() <= rate
    with pytest.raises(ValueError, match="9 authentic images support no"):
        operating_points(score[391:], forged[391:], kind[391:])


def test_the_calibration_finds_both_slopes() -> None:
    random = np.random.default_rng(4)
    best = random.normal(0.0, 3.0, 30_000)
    true = Calibration(below=0.2, above=1.5, offset=-0.3)
    forged = random.random(best.size) < true(best)
    best[::50] = -np.inf  # nothing was found there
    found = calibration(best, forged)
    assert found.below == pytest.approx(true.below, abs=0.08)
    assert found.above == pytest.approx(true.above, abs=0.15)
    # Fitted for as many forged images as authentic ones, whatever their share is here.
    least = best[~forged & np.isfinite(best)]
    odds = np.log((~forged).sum() / forged.sum())
    assert found.offset == pytest.approx(true.offset + odds, abs=0.12)
    assert (found(least) < 0.5).mean() > 0.5


def test_a_slope_of_the_wrong_way_round_is_none() -> None:
    random = np.random.default_rng(5)
    best = random.normal(0.0, 3.0, 4000)
    forged = random.random(best.size) < np.where(best > 0, 0.5 + best / 30, 0.5 - best / 30)
    found = calibration(best, forged)
    assert min(found.below, found.above) == 0.0
    assert (np.diff(found(np.linspace(-9, 9, 40))) >= -1e-12).all()


def test_evidence_that_says_the_contrary_says_nothing() -> None:
    random = np.random.default_rng(6)
    best = random.normal(0.0, 3.0, 4000)
    forged = random.random(best.size) < 1 / (1 + np.exp(best))
    found = calibration(best, forged)
    np.testing.assert_allclose(found(np.array([-9.0, 0.0, 9.0])), 0.5, atol=0.02)
