"""Fit the judge of the match detector: `python -m bench.judge [--forgeries N]`.

Forgeries are made from the images to fit on (`bench.sources`); each is searched, and so is its
authentic twin, and so are authentic images of every kind. A candidate is a copy if both its regions
lie in one group of the truth. Trees are fitted to that; the image score is calibrated on
out-of-fold sums. Writes forgecli/match/judge.json and prints what it is worth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from bench.sources import authentic_files, photographs, spread
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.match.candidates import Candidate
from forgecli.match.features import FEATURES
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from forgecli.synth import Recipe, generate
from forgecli.synth.sources import LazySources

LARGEST = 1_500_000
"""Pixels: larger images are left out of the fit, for time."""

PER_KIND = 25
"""Authentic images of each kind in the fit."""


@dataclass
class Samples:
    """Candidates of many images, a row each.

    Attributes:
        features: float64 (n, len(FEATURES)).
        overlap: float64 (n,), share of the worse region inside the best group of the truth.
        image: int64 (n,), which image a row comes from.
        case: int64 (images,), forgery and twin share one: they stay in one fold.
        forged: bool (images,).
    """

    features: NDArray[np.float64]
    overlap: NDArray[np.float64]
    image: NDArray[np.int64]
    case: NDArray[np.int64]
    forged: NDArray[np.bool_]


def overlap_with(candidate: Candidate, masks: NDArray[np.uint8]) -> float:
    """Share of the worse of two regions that lies inside the group that holds most of both."""
    best = 0.0
    for mask in masks.astype(bool):
        shares = []
        for region in (candidate.first, candidate.second):
            window = region.window
            part = mask[window.top : window.bottom, window.left : window.right]
            shares.append(np.count_nonzero(part & region.mask) / max(region.area, 1))
        best = max(best, min(shares))
    return best


def _searched(pixels: NDArray[np.uint8], masks: NDArray[np.uint8]) -> tuple[Any, Any]:
    found = search(pixels, MatchSettings())
    overlap = np.array([overlap_with(candidate, masks) for candidate in found.candidates])
    return found.features, overlap


_library: tuple[LazySources, list[str]] | None = None


def _start() -> None:
    import numba

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    global _library
    files = photographs(authentic_files()[0])
    _library = LazySources(files), [file.kind for file in files]


def _forgery(task: tuple[int, int]) -> list[tuple[Any, Any, bool]]:
    assert _library is not None
    seed, index = task
    try:
        made = generate(np.random.default_rng([seed, index]), *_library_with(Recipe()))
    except ForgeError:
        return []
    if made.image.shape[0] * made.image.shape[1] > LARGEST:
        return []
    none = made.masks[:0]
    return [(*_searched(made.image, made.masks), True), (*_searched(made.twin, none), False)]


def _library_with(recipe: Recipe) -> tuple[LazySources, Recipe, list[str]]:
    assert _library is not None
    return _library[0], recipe, _library[1]


def _authentic(file: tuple[str, Path]) -> list[tuple[Any, Any, bool]]:
    try:
        pixels = read_picture(Case(*file))[0].pixels
    except ForgeError:
        return []
    if pixels.shape[0] * pixels.shape[1] > LARGEST:
        return []
    return [(*_searched(pixels, np.zeros((0, *pixels.shape[:2]), np.uint8)), False)]


def collect(forgeries: int, seed: int, workers: int) -> Samples:
    """Search forgeries, their twins and authentic images; see the module."""
    chosen = spread(authentic_files()[0], PER_KIND)
    with ProcessPoolExecutor(workers, get_context("spawn"), _start) as pool:
        made = pool.map(_forgery, [(seed, index) for index in range(forgeries)])
        authentic = pool.map(_authentic, [(file.name, file.path) for file in chosen])
        return _joined(
            [
                *_said(made, "forgeries", forgeries),
                *_said(authentic, "authentic images", len(chosen)),
            ]
        )


def _said(groups: Iterator[Any], what: str, total: int) -> Iterator[Any]:
    for number, group in enumerate(groups, 1):
        if number % 20 == 0:
            print(f"{number} of {total} {what}", flush=True)
        yield group


def _joined(cases: Sequence[list[tuple[Any, Any, bool]]]) -> Samples:
    features, overlap, image, case, forged = [], [], [], [], []
    for number, members in enumerate(cases):
        for rows, shares, is_forged in members:
            features.append(rows)
            overlap.append(shares)
            image.append(np.full(len(rows), len(case)))
            case.append(number)
            forged.append(is_forged)
    return Samples(
        np.concatenate(features),
        np.concatenate(overlap).astype(float),
        np.concatenate(image),
        np.array(case),
        np.array(forged),
    )


def fit(samples: Samples) -> dict[str, Any]:
    """Trees, calibration and out-of-fold figures, as the document that `judge_from` reads."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    images = len(samples.case)
    clear = (samples.overlap > 0.7) | (samples.overlap < 0.3)
    copies = samples.overlap > 0.7
    rows_of = np.bincount(samples.image, minlength=images)
    weight = 1.0 / rows_of[samples.image]
    # A forgery's few copies weigh as much, all together, as the look-alikes of its twin.
    copies_of = np.bincount(samples.image[copies], minlength=images)
    weight[copies] = 1.0 / copies_of[samples.image[copies]]

    best = np.full(images, -20.0)
    for train, test in GroupKFold(5).split(samples.features, groups=samples.case[samples.image]):
        use = train[clear[train]]
        model = _trees().fit(samples.features[use], copies[use], sample_weight=weight[use])
        evidence = model.decision_function(samples.features[test])
        np.maximum.at(best, samples.image[test], evidence)
    line = LogisticRegression(class_weight="balanced", C=1e3).fit(best[:, None], samples.forged)
    slope, offset = float(line.coef_[0, 0]), float(line.intercept_[0])
    score = 1.0 / (1.0 + np.exp(-(slope * best + offset)))

    final = _trees().fit(samples.features[clear], copies[clear], sample_weight=weight[clear])
    trees = [_tree(estimator.tree_) for estimator in final.estimators_[:, 0]]
    prior = float(np.average(copies[clear], weights=weight[clear]))
    document = {
        "features": list(FEATURES),
        "base": float(np.log(prior / (1.0 - prior))),
        "slope": slope,
        "offset": offset,
        "fitted_on": {
            "forged": int(samples.forged.sum()),
            "authentic": int((~samples.forged).sum()),
            "candidates": len(samples.overlap),
            "copies": int(copies.sum()),
            "forged_with_a_copy_among_candidates": round(
                float((copies_of[samples.forged] > 0).mean()), 4
            ),
            "versions": machine()["versions"],
        },
        "out_of_fold": _operating_points(score, samples.forged),
        "importance": dict(
            sorted(
                zip(FEATURES, np.round(final.feature_importances_, 4).tolist(), strict=True),
                key=lambda item: -item[1],
            )
        ),
        "trees": trees,
    }
    return document


def _trees() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(
        n_estimators=250,
        learning_rate=0.06,
        max_depth=4,
        min_samples_leaf=20,
        subsample=0.6,
        max_features=0.4,
        random_state=0,
    )


def _tree(tree: Any) -> dict[str, list[float]]:
    return {
        "feature": np.maximum(tree.feature, 0).tolist(),
        "threshold": np.round(tree.threshold, 6).tolist(),
        "left": tree.children_left.tolist(),
        "right": tree.children_right.tolist(),
        "value": np.round(0.06 * tree.value[:, 0, 0], 6).tolist(),
    }


def _operating_points(score: NDArray[np.float64], forged: NDArray[np.bool_]) -> list[Any]:
    points = []
    authentic = np.sort(score[~forged])[::-1]
    for rate in (0.005, 0.01, 0.02, 0.05, 0.1):
        threshold = float(authentic[int(rate * authentic.size)])
        points.append(
            {
                "false_positive_rate": rate,
                "threshold": round(threshold, 4),
                "recall": round(float((score[forged] > threshold).mean()), 4),
            }
        )
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forgeries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--samples", type=Path, help="keep the samples here, or read them from here"
    )
    target = Path(__file__).resolve().parents[1] / "forgecli" / "match" / "judge.json"
    parser.add_argument("--output", type=Path, default=target)
    options = parser.parse_args()
    if options.samples and options.samples.exists():
        with np.load(options.samples, allow_pickle=False) as kept:
            samples = Samples(**{name: kept[name] for name in kept.files})
    else:
        samples = collect(options.forgeries, options.seed, options.workers)
        if options.samples:
            np.savez_compressed(options.samples, **vars(samples))
    document = fit(samples)
    options.output.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    print(
        json.dumps(
            {key: document[key] for key in ("fitted_on", "out_of_fold", "importance")}, indent=1
        )
    )


if __name__ == "__main__":
    main()
