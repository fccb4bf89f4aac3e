"""From maps of logits to scores and instances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from forgecli.detection import Instance
from forgecli.segment import matched
from forgecli.segment.instances import (
    MOST_REGIONS,
    image_levels,
    instances_of,
    logit,
    probability_of,
    score_of,
)
from forgecli.segment.thresholds import Thresholds
from kernels.rle import decode, encode

LOGITS = arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([-20.0, -2.0, -0.5, 0.0, 0.5, 2.0, 20.0]),
)
PIXEL = st.sampled_from([0.0, 0.1, 0.5, 0.6, 0.9, 1.0])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def masks(instances: tuple[Instance, ...], shape: tuple[int, int]) -> list[np.ndarray]:
    return [decode(instance.runs, shape) for instance in instances]


def is_sound(instances: tuple[Instance, ...], shape: tuple[int, int]) -> bool:
    """Runs are canonical, regions make up their instance, the largest come first."""
    for instance in instances:
        parts = [decode(runs, shape) for runs in instance.regions]
        whole = decode(instance.runs, shape)
        assert np.array_equal(encode(whole), instance.runs)
        assert np.array_equal(np.sum(parts, axis=0), whole.astype(int)), "they do not overlap"
        areas = [int(part.sum()) for part in parts]
        assert areas == sorted(areas, reverse=True) and min(areas) > 0
    areas = [int(mask.sum()) for mask in masks(instances, shape)]
    return areas == sorted(areas, reverse=True)


def kept_components(wanted: np.ndarray, min_area: int) -> list[np.ndarray]:
    labels, count = ndimage.label(wanted)  # 4-connected
    found = [labels == number for number in range(1, count + 1)]
    return [mask for mask in found if mask.sum() >= min_area]


@given(LOGITS, PIXEL, st.integers(0, 6))
@settings(max_examples=200, deadline=None)
def test_components_and_merged_against_the_definition(
    logits: np.ndarray, pixel: float, min_area: int
) -> None:
    shape = logits.shape[1:]
    wanted = sigmoid(logits).max(0) >= pixel if 0 < pixel < 1 else np.full(shape, pixel == 0)
    expected = kept_components(wanted, min_area)

    apart = instances_of(logits, Thresholds(pixel, min_area, instances="components"))
    assert is_sound(apart, shape)
    assert {m.tobytes() for m in masks(apart, shape)} == {m.tobytes() for m in expected}
    assert all(len(instance.regions) == 1 for instance in apart)

    merged = instances_of(logits, Thresholds(pixel, min_area, instances="merged"))
    assert is_sound(merged, shape) and len(merged) == bool(expected)
    if merged:
        assert np.array_equal(masks(merged, shape)[0], np.any(expected, axis=0))
        assert len(merged[0].regions) == len(expected)


@given(LOGITS.filter(lambda logits: len(logits) > 1), PIXEL, st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_matched_takes_the_channels_of_a_network_that_has_some(
    logits: np.ndarray, pixel: float, min_area: int
) -> None:
    shape = logits.shape[1:]
    found = instances_of(logits, Thresholds(pixel, min_area, instances="matched"))
    assert is_sound(found, shape)
    expected = []
    for channel in logits:
        wanted = sigmoid(channel) >= pixel if 0 < pixel < 1 else np.full(shape, pixel == 0)
        parts = kept_components(wanted, min_area)
        if parts:
            expected.append(np.any(parts, axis=0).tobytes())
    assert sorted(m.tobytes() for m in masks(found, shape)) == sorted(expected)


def test_runs_that_meet_across_columns_are_joined() -> None:
    mask = np.zeros((3, 4), bool)
    mask[2, 1] = mask[0, 2] = True  # neighbours in the flattening, not in the picture
    logits = np.where(mask, 1.0, -1.0).astype(np.float32)[None]
    (merged,) = instances_of(logits, Thresholds())
    assert merged.runs.tolist() == [[5, 2]]
    assert len(merged.regions) == 2


def test_thousands_of_specks_are_one_instance_of_few_regions() -> None:
    logits = np.full((1, 60, 80), -1.0, np.float32)
    logits[0, ::2, ::2] = 1.0
    logits[0, :5, :5] = 1.0
    (found,) = instances_of(logits, Thresholds())
    assert np.array_equal(decode(found.runs, (60, 80)), logits[0] > 0)
    assert len(found.regions) == MOST_REGIONS
    assert int(found.regions[0][:, 1].sum()) == 25
    parts = np.sum([decode(runs, (60, 80)) for runs in found.regions], axis=0)
    assert np.array_equal(parts, (logits[0] > 0).astype(int))
    apart = instances_of(logits, Thresholds(instances="components"))
    assert len(apart) == 30 * 40 - 9 + 1


def test_logit_at_the_ends() -> None:
    assert logit(0.0) == -math.inf and logit(1.0) == math.inf and logit(0.5) == 0.0
    assert probability_of(-1e9) == 0.0 and probability_of(1e9) < 1.0
    for probability in (1e-12, 0.1, 0.5, 0.97, 1 - 1e-12):
        assert probability_of(logit(probability)) == pytest.approx(probability, rel=1e-9)


@given(LOGITS, st.lists(st.floats(0, 1), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_levels_are_quantiles_of_the_probabilities(
    logits: np.ndarray, quantiles: list[float]
) -> None:
    found = image_levels(logits, quantiles)
    highest = np.sort(sigmoid(logits).max(0).ravel())
    for quantile, level in zip(quantiles, found, strict=True):
        reached = np.searchsorted(highest, level - 1e-9)  # so many are below it
        covered = np.searchsorted(highest, level + 1e-9)
        assert level == pytest.approx(highest[reached], abs=1e-9), "the value of a pixel"
        assert covered >= quantile * highest.size - 1e-5, "enough do not exceed it"
        assert reached <= max(quantile * highest.size, 1) - 1e-6 or reached == 0, "the smallest"
        one = Thresholds(quantile=quantile)
        assert score_of(logits, one) == level


def test_quantiles_by_hand() -> None:
    logits = np.arange(100, dtype=np.float32).reshape(1, 10, 10) / 10 - 5
    ranks = {0.0: 0, 0.005: 0, 0.01: 0, 0.07: 6, 0.071: 7, 0.5: 49, 0.999: 99, 1.0: 99}
    found = image_levels(logits, list(ranks))
    expected = sigmoid(logits.ravel()[list(ranks.values())])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_no_score_reaches_a_gate_of_1() -> None:
    logits = np.full((1, 4, 4), 1e9, np.float32)
    assert 0.999 < score_of(logits, Thresholds()) < 1.0


def test_matched_asks_for_pixels_and_for_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.full((1, 5, 30), -1.0, np.float32)
    for left, width in ((0, 3), (10, 5), (20, 4)):
        logits[0, 1:4, left : left + width] = 1.0
    thresholds = Thresholds(instances="matched")
    with pytest.raises(ValueError, match="pixels"):
        instances_of(logits, thresholds)
    pixels = np.zeros((5, 30, 3), np.uint8)
    seen = []

    def grouped(given: np.ndarray, regions: list[np.ndarray]) -> list[list[int]]:
        assert given is pixels
        seen.extend(int(runs[:, 1].sum()) for runs in regions)
        return [[0, 2], [1]]

    monkeypatch.setattr(matched, "same_content", grouped)
    first, second = instances_of(logits, thresholds, pixels)
    assert seen == [15, 12, 9]
    assert [int(r[:, 1].sum()) for r in first.regions] == [15, 9]
    assert [int(r[:, 1].sum()) for r in second.regions] == [12]


def test_matched_does_not_look_where_there_is_nothing_to_join() -> None:
    logits = np.full((1, 5, 5), -1.0, np.float32)
    assert instances_of(logits, Thresholds(instances="matched")) == ()
    logits[0, 2, 2] = 1.0
    (found,) = instances_of(logits, Thresholds(instances="matched"))
    assert found.runs.tolist() == [[12, 1]]
