"""Fit the trees that draw the edges of copied regions: see `forgecli.match.edge`.

    python -m bench.edges [FORGERIES]

makes and searches synthetic forgeries of the sources that may be fitted on, and writes
forgecli/match/edge.json. Every pair whose two regions lie in one group of the truth gives pixels
around its outline; the truth says which of them are the region's. The error it prints is out of
fold: trees that drew an edge had seen none of its sources (`bench.judge_folds`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.judge_collect import LARGEST, overlap_with
from bench.judge_folds import FOLDS, folds_of, in_folds
from bench.judge_trees import BoostedTrees
from bench.machine import machine
from bench.sources import authentic_files, photographs
from forgecli.atomic import Draft
from forgecli.errors import ForgeError
from forgecli.match.agreement import Placed
from forgecli.match.bands import bands_of
from forgecli.match.candidates import Candidate
from forgecli.match.edge_statistics import EDGE_STATISTICS, edge_statistics, planes_of
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from forgecli.synth import Recipe, generate
from forgecli.synth.library import is_blot
from forgecli.synth.sources import LazySources

TREES, BAGS = 120, 1
SEED = 29
SAME = 0.7
"""Share of the worse of a pair's regions inside a group of the truth, over which it is a copy."""
PAIRS = 6
"""Of one image, the best ranked: a large copy is found many times."""
PIXELS = 4000
"""Of one pair, drawn at random."""
_CACHE_BYTES = 48 << 20
_FILE = Path(__file__).parents[1] / "forgecli" / "match" / "edge.json"


@dataclass(frozen=True, slots=True)
class EdgeSample:
    """Pixels around the edge of one region.

    Attributes:
        fold: of the image's sources.
        values: float32 (n, len(EDGE_STATISTICS)).
        inside: bool (n,), whether a pixel is the region's by the truth.
    """

    fold: int
    values: NDArray[np.float32]
    inside: NDArray[np.bool_]


def true_region(region: Placed, masks: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The piece of the truth, bool (H, W), in which most of a region lies; None if less than half.

    Args:
        masks: bool (N, H, W), the groups of the truth.
    """
    best, most = None, region.area // 2
    window = region.window
    for mask in masks:
        count, labels = cv2.connectedComponents(mask.astype(np.uint8))
        here = labels[window.top : window.bottom, window.left : window.right][region.mask]
        shares = np.bincount(here, minlength=count)
        shares[0] = 0
        if shares.max() > most:
            most = int(shares.max())
            best = np.asarray(labels == shares.argmax())
    return best


def samples_of(
    pixels: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    candidates: Sequence[Candidate],
    fold: int,
    rng: np.random.Generator,
) -> Iterator[EdgeSample]:
    """Pixels around the right pairs of a forgery."""
    right = [c for c in candidates if overlap_with(c, masks.astype(np.uint8)) > SAME]
    bands, planes = bands_of(pixels), planes_of(pixels)
    for candidate in sorted(right, key=lambda c: -c.rank_score)[:PAIRS]:
        truth = true_region(candidate.first, masks)
        measured = edge_statistics(planes, bands, candidate.first, candidate.affine)
        if truth is None or measured is None:
            continue
        window = measured.window
        inside = truth[window.top : window.bottom, window.left : window.right][measured.near]
        if not 0.02 < inside.mean() < 0.98:
            continue  # ground all around that is in the truth too: nothing shows where it ends
        drawn = rng.permutation(inside.size)[:PIXELS]
        yield EdgeSample(fold, measured.values[drawn], inside[drawn])


def forgeries(count: int) -> Iterator[EdgeSample]:
    """Those of so many forgeries, made and searched one by one."""
    files = authentic_files()[0]
    library = [photographs(part) for part in in_folds(files, folds_of(files))]
    sources = [LazySources(part, _CACHE_BYTES) for part in library]
    for number in range(count):
        fold, rng = number % FOLDS, np.random.default_rng((SEED, number))
        kinds = ["blot" if is_blot(file.kind) else file.kind for file in library[fold]]
        try:
            made = generate(rng, sources[fold], Recipe(), kinds)
        except ForgeError:
            continue
        if made.image.shape[0] * made.image.shape[1] > LARGEST:
            continue
        found = search(made.image, MatchSettings())
        yield from samples_of(made.image, made.masks.astype(bool), found.candidates, fold, rng)
        if number % 20 == 19:
            print(f"{number + 1} of {count} forgeries", file=sys.stderr, flush=True)


def trees_of(samples: Iterable[EdgeSample]) -> BoostedTrees:
    """Trees for these; every region counts the same."""
    samples = list(samples)
    weight = np.concatenate([np.full(len(s.inside), 1.0 / len(s.inside)) for s in samples])
    return BoostedTrees(EDGE_STATISTICS, bags=BAGS, count=TREES).fit(
        np.concatenate([s.values for s in samples]).astype(np.float64),
        np.concatenate([s.inside for s in samples]),
        weight / weight.mean(),
    )


def out_of_fold(samples: Sequence[EdgeSample]) -> tuple[float, float]:
    """Mean share of a region's pixels that are told wrongly: by the first outline, by the trees."""
    depth = EDGE_STATISTICS.index("depth")
    first, after = [], []
    for fold in sorted({sample.fold for sample in samples}):
        trees = trees_of(sample for sample in samples if sample.fold != fold)
        for sample in samples:
            if sample.fold == fold:
                said = trees.evidence(sample.values.astype(np.float64)) > 0
                first.append(float(np.mean((sample.values[:, depth] > 0) != sample.inside)))
                after.append(float(np.mean(said != sample.inside)))
    return float(np.mean(first)), float(np.mean(after))


def write(samples: Sequence[EdgeSample], path: Path = _FILE) -> None:
    """Fit to all, and keep the trees with what they were fitted on."""
    trees = trees_of(samples)
    first, after = out_of_fold(samples)
    document = {
        "statistics": list(EDGE_STATISTICS),
        "fitted_on": {
            "regions": len(samples),
            "pixels": sum(len(sample.inside) for sample in samples),
            "wrong_by_the_first_outline": round(first, 4),
            "wrong_out_of_fold": round(after, 4),
            "versions": machine()["versions"],
        },
        "importance": trees.importance(),
        **trees.document(),
    }
    draft = Draft(path)
    try:
        draft.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        draft.commit()
    finally:
        draft.discard()
    print(f"{len(samples)} regions: {first:.4f} of the pixels wrong before, {after:.4f} after")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("forgeries", nargs="?", type=int, default=320)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    write(list(forgeries(asked.forgeries)))


if __name__ == "__main__":
    main()
