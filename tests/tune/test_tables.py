from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from scipy import ndimage

from forgecli.score.metric import score_image
from forgecli.segment.instances import instances_of, score_of
from forgecli.segment.thresholds import Policy, Thresholds
from forgecli.tune.grid import COARSE, Grid
from forgecli.tune.tables import ImageTable
from kernels.rle import encode
from tests.score import mask_metric
from tests.tune.maps import GRID, images, runs_of


def predicted(
    logits: NDArray[np.float32], pixel: float, min_area: int, policy: Policy
) -> list[NDArray[np.bool_]]:
    """The instances by SciPy's labels, in probabilities."""
    probability = 1 / (1 + np.exp(-logits.max(axis=0).astype(np.float64)))
    labels, count = ndimage.label(probability >= pixel)
    parts = [labels == index + 1 for index in range(count)]
    kept = [part for part in parts if part.sum() >= min_area]
    return [np.logical_or.reduce(kept)] if policy == "merged" and kept else kept


@settings(max_examples=60, deadline=None)
@given(images())
def test_a_table_says_what_scoring_the_masks_says(image: Any) -> None:
    logits, truth = image
    table = ImageTable.of(logits, runs_of(truth), GRID)
    for (k, policy), (p, pixel), (m, area) in product(
        enumerate(GRID.policies), enumerate(GRID.pixels), enumerate(GRID.min_areas)
    ):
        masks = predicted(logits, pixel, area, policy)
        expected = score_image(runs_of(truth), runs_of(masks))
        assert table.scores[k, p, m] == pytest.approx(expected, abs=1e-12)
        assert table.flagged[k, p, m] == bool(masks)


@settings(max_examples=40, deadline=None)
@given(images(channels=2))
def test_a_table_says_what_scoring_the_predictions_says(image: Any) -> None:
    """With two channels, so that the policy matched does not look at the picture."""
    logits, truth = image
    grid = GRID.with_policies(("components", "matched", "merged"))
    pixels = np.zeros((*logits.shape[1:], 3), np.uint8)
    table = ImageTable.of(logits, runs_of(truth), grid, pixels=pixels)
    for (k, policy), (p, pixel), (m, area) in product(
        enumerate(grid.policies), enumerate(grid.pixels), enumerate(grid.min_areas)
    ):
        wanted = Thresholds(pixel=pixel, min_area=area, instances=policy)
        found = [instance.runs for instance in instances_of(logits, wanted)]
        assert table.scores[k, p, m] == pytest.approx(score_image(runs_of(truth), found), abs=1e-12)
        assert table.flagged[k, p, m] == bool(found)
        for q, quantile in enumerate(grid.quantiles):
            assert table.levels[q] == score_of(logits, Thresholds(quantile=quantile))


def test_a_table_by_hand() -> None:
    """A truth of two columns of a 4 x 6 image; the map finds one of them and a pixel beside."""
    truth = np.zeros((4, 6), bool)
    truth[:, :2] = True
    logits = np.full((1, 4, 6), -5, np.float32)
    logits[0, :, 0] = 5
    logits[0, 0, 5] = 5
    grid = Grid(pixels=(0.5,), min_areas=(0, 2, 5), policies=("merged", "components"))
    table = ImageTable.of(logits, [encode(truth)], grid)
    assert table.scores[0, 0].tolist() == pytest.approx([2 * 4 / (5 + 8), 2 * 4 / (4 + 8), 0])
    assert table.scores[1, 0].tolist() == pytest.approx([2 * 4 / (4 + 8) / 2, 2 * 4 / (4 + 8), 0])
    assert table.flagged[:, 0].tolist() == [[True, True, False]] * 2
    assert (table.true_area, table.predicted[0], table.shared[0]) == (8, 5, 4)
    assert table.silent == 0


def test_an_authentic_image_scores_only_if_nothing_is_left() -> None:
    logits = np.full((1, 3, 3), -5, np.float32)
    logits[0, 1, 1] = 5
    grid = Grid(pixels=(0.5, 0.999), min_areas=(0, 2))
    table = ImageTable.of(logits, [], grid)
    assert table.scores[0].tolist() == [[0, 1], [1, 1]]
    assert table.silent == 1


@settings(max_examples=50, deadline=None)
@given(images())
def test_levels_are_quantiles(image: Any) -> None:
    logits, truth = image
    table = ImageTable.of(logits, runs_of(truth), GRID)
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = np.quantile(probability, GRID.quantiles, method="inverted_cdf")
    assert table.levels == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(images())
def test_overlaps_count_pixels(image: Any) -> None:
    logits, truth = image
    table = ImageTable.of(logits, runs_of(truth), GRID)
    union = np.logical_or.reduce([np.zeros(logits.shape[1:], bool), *truth])
    for p, pixel in enumerate(GRID.pixels):
        mask = 1 / (1 + np.exp(-logits[0].astype(np.float64))) >= pixel
        assert table.predicted[p] == mask.sum()
        assert table.shared[p] == (mask & union).sum()
    assert table.true_area == union.sum()


def test_thousands_of_components_are_assigned_exactly() -> None:
    """Single pixels over a truth of three instances: far more components than are ever tried."""
    random = np.random.default_rng(5)
    logits = np.where(random.random((1, 60, 60)) < 0.3, 4, -4).astype(np.float32)
    truth = []
    for left in (0, 20, 40):
        mask = np.zeros((60, 60), bool)
        mask[left : left + 10, left : left + 3] = True
        truth.append(mask)
    grid = Grid(pixels=(0.5,), min_areas=(0, 3), policies=("components",))
    table = ImageTable.of(logits, runs_of(truth), grid)
    for m, area in enumerate(grid.min_areas):
        parts = predicted(logits, 0.5, area, "components")
        assert len(parts) > 50
        assert table.scores[0, 0, m] == pytest.approx(score_image(runs_of(truth), runs_of(parts)))


def test_the_metric_on_masks_agrees() -> None:
    """One more oracle, which shares no code: the metric as notebooks compute it."""
    truth = np.zeros((6, 6), bool)
    truth[1:4, 1:4] = True
    logits = np.where(truth, 1, -1).astype(np.float32)[None]
    logits[0, 5, 5] = 1
    table = ImageTable.of(logits, [encode(truth)], COARSE)
    p = COARSE.pixels.index(0.5)
    from kernels.rle import annotation_to_text

    texts = [annotation_to_text([encode(mask)]) for mask in (truth, logits[0] >= 0)]
    assert table.scores[0, p, 0] == pytest.approx(mask_metric.score(texts[0], texts[1], (6, 6)))


def test_matched_looks_at_the_picture_as_predicting_does() -> None:
    """Two copies of a patch, and a third component that shows something else."""
    random = np.random.default_rng(2)
    pixels = random.integers(0, 255, (96, 96, 3), dtype=np.uint8)
    pixels[60:84, 60:84] = pixels[8:32, 8:32]
    pair, logits = np.zeros((96, 96), bool), np.full((1, 96, 96), -4, np.float32)
    pair[8:32, 8:32] = pair[60:84, 60:84] = True
    logits[0, pair] = 4
    logits[0, 8:32, 60:84] = 1
    grid = Grid((0.1, 0.5, 0.9), (0, 64, 1024), (1.0,), ("matched", "merged"))
    table = ImageTable.of(logits, [encode(pair)], grid, pixels=pixels)
    for (p, pixel), (m, area) in product(enumerate(grid.pixels), enumerate(grid.min_areas)):
        wanted = Thresholds(pixel=pixel, min_area=area, instances="matched")
        found = [instance.runs for instance in instances_of(logits, wanted, pixels)]
        assert table.scores[0, p, m] == pytest.approx(score_image([encode(pair)], found))
        assert table.flagged[0, p, m] == bool(found)
    assert table.scores[0, 1, 0] == pytest.approx(0.5), "the pair is one instance, the other apart"
    assert table.scores[0, 1, 0] != table.scores[1, 1, 0]
    assert table.scores[0, 2, 0] == 1
    authentic = ImageTable.of(logits, [], grid, pixels=pixels)
    assert authentic.scores[0, 0].tolist() == [0, 0, 1]


def test_matched_needs_the_picture() -> None:
    with pytest.raises(ValueError, match="needs the pixels"):
        ImageTable.of(np.zeros((1, 4, 4), np.float32), [], GRID.with_policies(("matched",)))


@pytest.mark.parametrize("change", [{"pixels": ()}, {"pixels": (0.5, 0.5)}, {"min_areas": (3, 1)}])
def test_a_grid_is_checked(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Grid(**change)
