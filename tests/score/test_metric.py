"""The metric against hand-made cases, the published vectors and a computation on masks."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from forgecli.score.annotation import read_annotation
from forgecli.score.metric import best_assignment, score_image
from kernels.rle import annotation_to_text, encode
from tests.score import hand_made, mask_metric

SHARED = Path(os.environ.get("FORGE_SHARED", Path(__file__).parents[2] / "../shared"))
VECTORS = SHARED / "metric/vectors.json"


def score_text(true: str, predicted: str, shape: tuple[int, int]) -> float:
    return score_image(read_annotation(true, shape), read_annotation(predicted, shape))


@pytest.mark.parametrize("name", hand_made.CASES)
def test_hand_made_cases(name: str) -> None:
    true, predicted, expected = hand_made.CASES[name]
    assert score_text(true, predicted, hand_made.SHAPE) == pytest.approx(float(expected), abs=1e-15)


@pytest.mark.parametrize("name", hand_made.CASES)
def test_the_reference_agrees_with_the_hand(name: str) -> None:
    true, predicted, expected = hand_made.CASES[name]
    got = mask_metric.score(true, predicted, hand_made.SHAPE)
    assert got == pytest.approx(float(expected), abs=1e-15)


@pytest.mark.skipif(not VECTORS.is_file(), reason=f"no {VECTORS.name} in the shared data")
def test_published_vectors() -> None:
    vectors = json.loads(VECTORS.read_text())
    scores = []
    for case in vectors["cases"]:
        score = score_text(case["label"], case["prediction"], tuple(case["shape"]))
        assert score == pytest.approx(case["score"], abs=1e-12, rel=0), case["case_id"]
        scores.append(score)
    assert len(scores) == 240
    assert sum(scores) / 240 == pytest.approx(vectors["mean"], abs=1e-12, rel=0)


@st.composite
def annotations(draw: st.DrawFn, shape: tuple[int, int]) -> str:
    count = draw(st.integers(0, 6))
    if not count:
        return "authentic"
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0.02, 0.3, 0.7, 1.0]))
    text = annotation_to_text([encode(random.random(shape) < density) for _ in range(count)])
    return "authentic" if set(text) <= set("[];") else text


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_agrees_with_masks(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    true, predicted = data.draw(annotations(shape)), data.draw(annotations(shape))
    expected = mask_metric.score(true, predicted, shape)
    assert score_text(true, predicted, shape) == pytest.approx(expected, abs=1e-12, rel=0)


def test_one_row_of_values_needs_no_assignment() -> None:
    values = np.array([[0.1, 0.9, 0.3]])
    assert best_assignment(values) == best_assignment(values.T) == 0.9


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_assignment_is_the_best(rows: int, columns: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((rows, columns))
    chosen = linear_sum_assignment(-values)
    assert best_assignment(values) == pytest.approx(values[chosen].sum())


def test_image_size_costs_nothing() -> None:
    """Masks of this image would take a terabyte."""
    side = 10**6
    half = side * side // 2
    score = score_text(f"[1, {half}]", f"[{half // 2 + 1}, {half}]", (side, side))
    assert score == float(Fraction(1, 2))
