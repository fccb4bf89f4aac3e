from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import overlap
from tests.kernels import reference
from tests.kernels.strategies import untidy_runs

few = settings(max_examples=200, deadline=None)
Runs = NDArray[np.int64]


def pixels(runs: Runs) -> NDArray[np.bool_]:
    return reference.decode(runs, (400, 1))


@few
@given(untidy_runs(), untidy_runs())
def test_set_operations(a: Runs, b: Runs) -> None:
    in_a, in_b = pixels(a), pixels(b)
    np.testing.assert_array_equal(overlap.union(a, b), reference.encode(in_a | in_b))
    np.testing.assert_array_equal(overlap.intersection(a, b), reference.encode(in_a & in_b))
    np.testing.assert_array_equal(overlap.difference(a, b), reference.encode(in_a & ~in_b))


@few
@given(untidy_runs(), untidy_runs())
def test_areas(a: Runs, b: Runs) -> None:
    in_a, in_b = pixels(a), pixels(b)
    assert overlap.area(a) == in_a.sum()
    assert overlap.intersection_area(a, b) == (in_a & in_b).sum()
    both = in_a.sum() + in_b.sum()
    assert overlap.f1(a, b) == (2 * (in_a & in_b).sum() / both if both else 0.0)


@few
@given(st.lists(untidy_runs(), max_size=5), st.lists(untidy_runs(), max_size=5))
def test_f1_matrix_is_f1_of_each_pair(a: list[Runs], b: list[Runs]) -> None:
    matrix = overlap.f1_matrix(a, b)
    assert matrix.shape == (len(a), len(b))
    assert matrix.dtype == np.float64
    expected = [[overlap.f1(x, y) for y in b] for x in a]
    np.testing.assert_array_equal(matrix, np.array(expected).reshape(len(a), len(b)))


@few
@given(untidy_runs())
def test_with_itself_and_with_nothing(a: Runs) -> None:
    canonical = reference.encode(pixels(a))
    np.testing.assert_array_equal(overlap.union(a, a), canonical)
    np.testing.assert_array_equal(overlap.union(a, []), canonical)
    np.testing.assert_array_equal(overlap.intersection(a, a), canonical)
    assert overlap.intersection(a, []).shape == (0, 2)
    assert overlap.difference(a, a).shape == (0, 2)
    assert overlap.difference([], a).shape == (0, 2)
    assert overlap.f1(a, a) == (1.0 if len(canonical) else 0.0)


def test_by_hand() -> None:
    a, b = [[2, 4], [10, 2]], [[4, 3], [11, 5]]
    np.testing.assert_array_equal(overlap.union(a, b), [[2, 5], [10, 6]])
    np.testing.assert_array_equal(overlap.intersection(a, b), [[4, 2], [11, 1]])
    np.testing.assert_array_equal(overlap.difference(a, b), [[2, 2], [10, 1]])
    assert overlap.intersection_area(a, b) == 3
    assert overlap.f1(a, b) == pytest.approx(6 / 14)


def test_runs_need_not_fit_in_memory_as_a_mask() -> None:
    far = 2**61
    assert overlap.intersection_area([[0, far]], [[far - 5, far]]) == 5
    np.testing.assert_array_equal(overlap.union([[0, far]], [[far, 3]]), [[0, far + 3]])


def test_what_is_not_runs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Got: "):
        overlap.union([1, 2, 3], [])
    with pytest.raises(ValueError, match=r"Got: "):
        overlap.f1_matrix([[[0, 1]], [[0.5, 1.0]]], [])
