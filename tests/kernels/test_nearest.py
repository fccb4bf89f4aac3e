from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.nearest import most_similar
from tests.kernels.threads import threads

few = settings(max_examples=100, deadline=None)


def plain_most_similar(
    similarity: NDArray[np.float32],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    apart: float,
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    distance = np.hypot(*(rows[:, None] - columns[None]).transpose(2, 0, 1))
    ranked = np.where(distance < apart, -np.inf, similarity).astype(np.float32)
    index = np.full((len(rows), k), -1, np.int64)
    value = np.full((len(rows), k), -np.inf, np.float32)
    for i, row in enumerate(ranked):
        order = [j for j in np.argsort(-row, kind="stable") if row[j] > -np.inf][:k]
        index[i, : len(order)] = order
        value[i, : len(order)] = row[order]
    return index, value


@few
@given(
    st.integers(0, 40),
    st.integers(0, 60),
    st.sampled_from([0.0, 1.0, 5.0, 100.0]),
    st.sampled_from([1, 2, 4, 70]),
    st.sampled_from([3, 1000]),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_a_sort(n: int, m: int, apart: float, k: int, levels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    similarity = random.integers(-levels, levels + 1, (n, m)).astype(np.float32) / levels
    # Whole numbers, so that many lie exactly `apart`; 3-4-5 triangles included.
    rows = random.integers(0, 12, (n, 2)).astype(np.float64)
    columns = random.integers(0, 12, (m, 2)).astype(np.float64)
    index, value = most_similar(similarity, rows, columns, apart=apart, k=k)
    assert (index.dtype, value.dtype) == (np.int64, np.float32)
    expected_index, expected_value = plain_most_similar(similarity, rows, columns, apart, k)
    np.testing.assert_array_equal(index, expected_index)
    np.testing.assert_array_equal(value, expected_value)


def test_points_exactly_apart_count() -> None:
    similarity = np.array([[0.9, 0.8, 0.7]], np.float32)
    columns = np.array([[0.0, 0.0], [3.0, 4.0], [2.999, 4.0]])
    index, value = most_similar(similarity, np.zeros((1, 2)), columns, apart=5.0, k=2)
    np.testing.assert_array_equal(index, [[1, -1]])
    np.testing.assert_array_equal(value, np.array([[0.8, -np.inf]], np.float32))


def test_among_equals_the_lower_index_is_first() -> None:
    similarity = np.full((1, 6), 0.5, np.float32)
    similarity[0, 4] = 0.6
    index, _ = most_similar(similarity, np.zeros((1, 2)), np.ones((6, 2)), apart=1.0, k=4)
    np.testing.assert_array_equal(index, [[4, 0, 1, 2]])


def test_wrong_arrays_are_refused() -> None:
    similarity = np.zeros((2, 3), np.float32)
    rows, columns = np.zeros((2, 2)), np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"Got: \(3, 2\) and \(3, 2\)"):
        most_similar(similarity, columns, columns, apart=1.0, k=1)
    with pytest.raises(ValueError, match=r"k is at least 1\. Got: 0"):
        most_similar(similarity, rows, columns, apart=1.0, k=0)
    with pytest.raises(TypeError):
        most_similar(np.asfortranarray(similarity), rows, columns, apart=1.0, k=1)
    with pytest.raises(TypeError):
        most_similar(similarity, rows, np.asfortranarray(columns), apart=1.0, k=1)


def test_threads_do_not_change_the_result() -> None:
    random = np.random.default_rng(0)
    similarity = random.random((300, 500), np.float32)
    rows, columns = random.random((300, 2)), random.random((500, 2))
    with threads(1):
        alone = most_similar(similarity, rows, columns, apart=0.1, k=4)
    with threads(2):
        together = most_similar(similarity, rows, columns, apart=0.1, k=4)
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)
