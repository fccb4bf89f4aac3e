"""The fit of the judge: boosted trees, the way to a probability, thresholds, and their worth.

All figures are out of fold: the trees that score a case have seen none of its sources, for sources
were put into folds before anything was made of them (`bench.judge_folds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.drawn import DRAWN
from bench.judge_samples import Samples
from bench.judge_trees import BoostedTrees
from bench.machine import machine
from forgecli.match.calibration import Calibration, parts
from forgecli.match.features import FEATURES
from forgecli.match.operating import POOLED, measured_thresholds

RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
"""False-positive rates for which thresholds are measured."""

BINS = 10
PRIOR = 0.5
"""Share of forged images that the probability assumes. The fit's own share means nothing, and at
one in two the score says by itself which of the two is more likely."""

NO_CANDIDATE = -np.inf
"""Stands for the log-odds of an image without any candidate. The detector scores it 0, which says
that nothing was found, and is no probability: such images are left out of the calibration."""

_SURE, _NONE = 0.7, 0.3
"""Candidates that overlap the truth more are copies, less are not; between, nothing is learnt."""


def folds(samples: Samples) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Images to fit on and images to score, bool (images,) each; every image is scored once."""
    fold = samples.fold[samples.case]
    for number in np.unique(fold):
        yield fold != number, fold == number


def weights(samples: Samples) -> NDArray[np.float64]:
    """Of the rows: every image counts the same, and so do the few copies of a forgery, all
    together, as the look-alikes of its twin."""
    copies = samples.overlap > _SURE
    images = len(samples.case)
    weight = 1.0 / np.bincount(samples.image, minlength=images)[samples.image]
    copies_of = np.bincount(samples.image[copies], minlength=images)
    weight[copies] = 1.0 / copies_of[samples.image[copies]]
    return np.asarray(weight)


def clear(samples: Samples) -> NDArray[np.bool_]:
    """Rows that are a copy or none without doubt."""
    return (samples.overlap > _SURE) | (samples.overlap < _NONE)


def trees() -> BoostedTrees:
    """The trees, not fitted."""
    return BoostedTrees(FEATURES)


def out_of_fold(samples: Samples, make: Callable[[], BoostedTrees] = trees) -> NDArray[np.float64]:
    """The highest log-odds among the candidates of every image, float64 (images,), each from trees
    that saw none of its sources."""
    best = np.full(len(samples.case), NO_CANDIDATE)
    weight, known = weights(samples), clear(samples)
    for fitted, scored in folds(samples):
        use = fitted[samples.image] & known
        rows = np.flatnonzero(scored[samples.image])
        if not rows.size:
            continue
        model = make().fit(samples.features[use], samples.overlap[use] > _SURE, weight[use])
        np.maximum.at(best, samples.image[rows], model.evidence(samples.features[rows]))
    return best


def at_prior(forged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights of images that make the share of forged ones `PRIOR`; 1 on average."""
    weight = np.where(forged, PRIOR / forged.sum(), (1.0 - PRIOR) / (~forged).sum())
    return np.asarray(weight * len(forged))


def calibration(best: NDArray[np.float64], forged: NDArray[np.bool_]) -> Calibration:
    """From an image's best log-odds to the probability that it is forged, at a prior of `PRIOR`.

    Kull, Silva Filho and Flach (2017): a logistic regression on two parts of the log-odds; a part
    that would count the wrong way round is left out.
    """
    from sklearn.linear_model import LogisticRegression

    known, weight = best > NO_CANDIDATE, at_prior(forged)
    columns = np.stack(parts(best[known]), axis=1)
    used = np.ones(2, bool)
    for _ in range(len(used)):
        fitted = LogisticRegression(C=1e3).fit(
            columns[:, used], forged[known], sample_weight=weight[known]
        )
        slopes = np.zeros(2)
        slopes[used] = fitted.coef_[0]
        if (slopes >= 0.0).all():
            break
        used[np.argmin(slopes)] = False
    else:  # the evidence says nothing: every score is the share of forged images
        share = float(np.average(forged[known], weights=weight[known]))
        return Calibration(0.0, 0.0, float(np.log(share / (1.0 - share))))
    below, above = np.maximum(slopes, 0.0).tolist()
    return Calibration(below, above, float(fitted.intercept_[0]))


def scores(best: NDArray[np.float64], calibrated: Calibration) -> NDArray[np.float64]:
    """The probabilities, float64 of the same shape; 0 where there was no candidate."""
    score = np.zeros(len(best))
    known = best > NO_CANDIDATE
    score[known] = calibrated(best[known])
    return score


def reliability(samples: Samples, best: NDArray[np.float64]) -> dict[str, Any]:
    """How often images of a score are forged. The calibration is fitted on other folds, too.

    Forged and authentic images weigh the same, all together: that is what the score assumes.

    Returns:
        `bins`: for each tenth of the scores with images in it, their number, mean score and
        weighted share of forged ones; `expected_calibration_error`: the mean difference of the
        last two, weighted; `without_candidate`: the images that have no score.
    """
    score = np.zeros(len(best))
    real = samples.kind != DRAWN
    for fitted, scored in folds(samples):
        fitted = fitted & real
        score[scored] = scores(best[scored], calibration(best[fitted], samples.forged[fitted]))
    best, score, forged = best[real], score[real], samples.forged[real]
    known = best > NO_CANDIDATE
    weight = at_prior(forged) * known
    weight /= weight.sum()
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for number in range(BINS):
        inside = known & (place == number)
        if not inside.any():
            continue
        mean = float(np.average(score[inside], weights=weight[inside]))
        share = float(np.average(forged[inside], weights=weight[inside]))
        error += float(weight[inside].sum()) * abs(mean - share)
        bins.append(
            {"images": int(inside.sum()), "score": round(mean, 4), "forged": round(share, 4)}
        )
    return {
        "bins": bins,
        "expected_calibration_error": round(error, 4),
        "without_candidate": {
            "forged": int((forged & ~known).sum()),
            "authentic": int((~forged & ~known).sum()),
        },
    }


def operating_points(
    score: NDArray[np.float64], forged: NDArray[np.bool_], kind: NDArray[np.str_]
) -> dict[str, Any]:
    """Thresholds by rate and kind, on how many images they rest, and the recall they leave.

    Rates that so few images cannot support are left out.

    Raises:
        ValueError: no rate can be supported.
    """
    kinds = sorted(set(kind.tolist()) - {POOLED})
    authentic = {POOLED: score[~forged].tolist()}
    authentic |= {name: score[~forged & (kind == name)].tolist() for name in kinds}
    found = measured_thresholds(authentic, RATES)
    kept = [number for number, value in enumerate(found[POOLED]) if value is not None]
    if not kept:
        raise ValueError(f"{int((~forged).sum())} authentic images support no false-positive rate")
    thresholds: dict[str, list[float]] = {}
    recall: dict[str, list[float | None]] = {}
    for name, row in found.items():
        # Rounded up: rounded down, the image that sets a threshold could be one too many.
        rounded = [float(np.ceil(1e4 * (row[number] or 1.0)) / 1e4) for number in kept]
        thresholds[name] = rounded
        mine = forged if name == POOLED else forged & (kind == name)
        recall[name] = [
            round(float((score[mine] >= t).mean()), 4) if mine.any() else None
            for t in thresholds[name]
        ]
    return {
        "rates": [RATES[number] for number in kept],
        "thresholds": thresholds,
        "authentic_images": {name: len(authentic[name]) for name in thresholds},
        "recall": recall,
    }


def fit(samples: Samples, make: Callable[[], BoostedTrees] = trees) -> dict[str, Any]:
    """Trees, calibration, thresholds and out-of-fold figures, as `judge_from` reads them."""
    best = out_of_fold(samples, make)
    # Images with drawn look-alikes teach the trees; how often such are met, nobody knows.
    real = samples.kind != DRAWN
    forged, kind = samples.forged[real], samples.kind[real]
    calibrated = calibration(best[real], forged)
    score = scores(best, calibrated)
    points = operating_points(score[real], forged, kind)

    use, weight = clear(samples), weights(samples)
    copies = samples.overlap > _SURE
    final = make().fit(samples.features[use], copies[use], weight[use])
    found = np.zeros(len(samples.case), bool)
    found[samples.image[copies]] = True
    return {
        "features": list(FEATURES),
        "calibration": asdict(calibrated),
        "prior": PRIOR,
        "operating_points": points,
        "reliability": reliability(samples, best),
        "drawn": {
            "images": int((~real).sum()),
            "flagged": [int((score[~real] >= t).sum()) for t in points["thresholds"][POOLED]],
        },
        "fitted_on": {
            "forged": int(forged.sum()),
            "authentic": int((~forged).sum()),
            "sources": len(samples.sources),
            "folds": len(np.unique(samples.fold)),
            "candidates": len(samples.overlap),
            "copies": int(copies.sum()),
            "forged_with_a_copy_among_candidates": round(float(found[samples.forged].mean()), 4),
            "versions": machine()["versions"],
        },
        "importance": final.importance(),
        **final.document(),
    }
