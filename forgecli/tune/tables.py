"""What one image scores at every setting, as a small table.

The map of an image is looked at once. Everything a sweep or a cross-validation asks later is
arithmetic on tables of a few kilobytes, and exact: an entry is what `score_image` gives for the
instances that `forge predict` would make with that setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgecli.score.metric import best_assignment, score_image
from forgecli.segment.instances import image_levels, instances_of, logit
from forgecli.segment.thresholds import Thresholds
from forgecli.tune.grid import Grid
from kernels.components import Components, components
from kernels.overlap import area, union
from kernels.rle import Runs

Counts = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ImageTable:
    """One image at every setting of a grid of P pixel thresholds, M areas, Q quantiles.

    Attributes:
        case_id: of the image.
        instances: true instances; 0 if it is authentic.
        scores: float64 (policies, P, M), the metric if the image passes its gate.
        flagged: bool (policies, P, M), whether any instance is left then; without one it is
            authentic.
        levels: float64 (Q,), the image's score, a probability, by quantile.
        true_area: pixels of the union of the true instances.
        predicted: int64 (P,), pixels from each pixel threshold on, whatever the components.
        shared: int64 (P,), those of them that are in the union of the true instances.
    """

    case_id: str
    instances: int
    scores: Scores
    flagged: NDArray[np.bool_]
    levels: Scores
    true_area: int
    predicted: Counts
    shared: Counts

    @property
    def silent(self) -> float:
        """The metric if the image is called authentic: 1 if it is, 0 if not."""
        return float(self.instances == 0)

    @classmethod
    def of(
        cls,
        logits: NDArray[np.float32],
        truth: Sequence[Runs],
        grid: Grid,
        *,
        case_id: str = "",
        pixels: NDArray[np.uint8] | None = None,
    ) -> ImageTable:
        """Make the table of one image.

        Args:
            logits: float32 (K, H, W), of the full-size image.
            truth: runs of every true instance; none if the image is authentic.
            grid: the settings.
            case_id: to know the image by.
            pixels: uint8 (H, W, 3), the image; the policy ``matched`` looks at it.

        Raises:
            ValueError: the policy ``matched`` is in the grid, and `pixels` are not given.
        """
        if "matched" in grid.policies and pixels is None:
            raise ValueError("the policy matched needs the pixels of the image")
        highest = logits[0] if len(logits) == 1 else logits.max(axis=0)
        flat = np.empty((0, 2), np.int64)
        for runs in truth:
            flat = union(flat, runs)
        true_parts = [_Cover.of(runs) for runs in truth]
        shape = (len(grid.policies), len(grid.pixels), len(grid.min_areas))
        scores = np.full(shape, float(not len(truth)))
        flagged = np.zeros(shape, bool)
        predicted, shared = np.zeros((2, len(grid.pixels)), np.int64)
        everything = _Cover.of(flat)
        peak = float(highest.max())
        for p, pixel in enumerate(grid.pixels):
            limit = np.float32(logit(pixel))  # as `instances_of` compares
            if peak < limit:
                break  # nothing here, nor at the higher thresholds that follow
            found = components(highest >= limit, connectivity=4)
            predicted[p] = found.areas.sum()
            shared[p] = everything.shared_with(found.runs).sum()
            flagged[:, p] = found.areas.max() >= np.asarray(grid.min_areas)
            parts = _Parts.of(found, true_parts)
            for index, policy in enumerate(grid.policies):
                if policy == "matched":
                    assert pixels is not None
                    matched = _Matched(logits, pixels, truth, pixel)
                    scores[index, p], flagged[index, p] = matched.at(grid.min_areas, parts)
                elif not len(truth):
                    scores[index, p] = ~flagged[index, p]
                elif policy == "merged":
                    scores[index, p] = parts.merged(grid.min_areas)
                else:
                    scores[index, p] = parts.apart(grid.min_areas)
        return cls(
            case_id,
            len(truth),
            scores,
            flagged,
            image_levels(logits, grid.quantiles),
            area(flat),
            predicted,
            shared,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Cover:
    """How many pixels of some runs lie before a place, for any place."""

    starts: Counts
    lengths: Counts
    before: Counts  # pixels of the runs before each run

    @classmethod
    def of(cls, runs: Runs) -> _Cover:
        lengths = np.ascontiguousarray(runs[:, 1])
        return cls(np.ascontiguousarray(runs[:, 0]), lengths, np.cumsum(lengths) - lengths)

    @property
    def area(self) -> int:
        return int(self.lengths.sum())

    def shared_with(self, runs: Runs) -> Counts:
        """int64 (k,), the pixels that each of `runs` shares with these."""
        if not len(self.starts) or not len(runs):
            return np.zeros(len(runs), np.int64)
        return self._until(runs[:, 0] + runs[:, 1]) - self._until(runs[:, 0])

    def _until(self, places: Counts) -> Counts:
        last = np.searchsorted(self.starts, places, side="right") - 1
        inside = np.clip(places - self.starts[last], 0, self.lengths[last])
        return np.asarray(np.where(last < 0, 0, self.before[last] + inside))


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The components at one pixel threshold, largest first.

    Attributes:
        areas: int64 (n,), pixels, descending.
        shared: int64 (n, T), pixels shared with each true instance.
        true_areas: int64 (T,).
    """

    areas: Counts
    shared: Counts
    true_areas: Counts

    @classmethod
    def of(cls, found: Components, truth: Sequence[_Cover]) -> _Parts:
        order = np.argsort(-found.areas, kind="stable")
        shared = np.empty((found.count, len(truth)), np.int64)
        for column, cover in enumerate(truth):
            of_runs = cover.shared_with(found.runs)
            shared[:, column] = np.add.reduceat(of_runs, found.offsets[:-1])
        areas = np.array([cover.area for cover in truth], np.int64)
        return cls(found.areas[order], shared[order], areas)

    def kept(self, min_areas: Sequence[int]) -> Counts:
        """int64 (M,), how many components have each area or more."""
        return np.asarray(np.searchsorted(-self.areas, -np.asarray(min_areas), side="right"))

    def merged(self, min_areas: Sequence[int]) -> Scores:
        """float64 (M,), the metric where all components are one instance."""
        kept = self.kept(min_areas)
        last = np.maximum(kept, 1) - 1
        areas, shared = self.areas.cumsum()[last], self.shared.cumsum(axis=0)[last]
        f1 = 2 * shared / (areas[:, None] + self.true_areas)
        return np.where(kept > 0, f1.max(axis=1) / len(self.true_areas), 0.0)

    def apart(self, min_areas: Sequence[int]) -> Scores:
        """float64 (M,), the metric where every component is an instance."""
        f1 = 2 * self.shared / (self.areas[:, None] + self.true_areas)
        scores: dict[int, float] = {0: 0.0}
        counts = self.kept(min_areas).tolist()
        for count in set(counts) - {0}:
            scores[count] = _assigned(f1[:count]) / max(f1[:count].shape)
        return np.array([scores[count] for count in counts])


def _assigned(f1: Scores) -> float:
    """`best_assignment` of float64 (n, T) where n may be many thousands.

    No more than the best T components of each true instance can be in a best assignment: were
    another one in it, one of those would be free.
    """
    count, truths = f1.shape
    if count > truths * truths:
        rows = np.unique(np.argpartition(-f1, truths - 1, axis=0)[:truths])
        f1 = f1[rows]
    return best_assignment(f1.T)


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """Components that show the same content as one instance, at one pixel threshold.

    The pictures are compared by the code that predicts, once for every set of components.
    """

    logits: NDArray[np.float32]
    pixels: NDArray[np.uint8]
    truth: Sequence[Runs]
    pixel: float

    def at(self, min_areas: Sequence[int], parts: _Parts) -> tuple[Scores, NDArray[np.bool_]]:
        """float64 (M,), the metric, and bool (M,), whether any instance is left."""
        if len(self.logits) == 1 and not self.truth:  # only whether there are any counts
            left = parts.kept(min_areas) > 0
            return (~left).astype(np.float64), left
        found: dict[int, tuple[float, bool]] = {}
        keys = parts.kept(min_areas).tolist()
        if len(self.logits) > 1:  # every channel has components of its own
            keys = list(range(len(keys)))
        for key, min_area in zip(keys, min_areas, strict=True):
            if key not in found:
                found[key] = self._one(min_area)
        return np.array([found[key][0] for key in keys]), np.array([found[key][1] for key in keys])

    def _one(self, min_area: int) -> tuple[float, bool]:
        wanted = Thresholds(pixel=self.pixel, min_area=min_area, instances="matched")
        instances = [i.runs for i in instances_of(self.logits, wanted, self.pixels)]
        return score_image(self.truth, instances), bool(instances)
