from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import nearest
from kernels.nearest import Best, most_similar
from tests.kernels.threads import threads

few = settings(max_examples=60, deadline=None)
SWAP = np.array([1, 0, 3, 2, 5, 4])


def plain_most_similar(
    similarity: NDArray[np.float32],
    points: NDArray[np.float64],
    apart: float,
    k: int,
    least: float,
) -> Best:
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    counts = (distance >= apart) & (similarity > least)
    index = np.full((len(points), k), -1, np.int64)
    value = np.full((len(points), k), -np.inf, np.float32)
    for i, row in enumerate(similarity):
        order = [j for j in np.argsort(-row, kind="stable") if counts[i, j]][:k]
        index[i, : len(order)] = order
        value[i, : len(order)] = row[order]
    return index, value


def whole_numbers(
    n: int, levels: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Descriptors whose products are exact in float32, so that equals are equal, and points."""
    random = np.random.default_rng(seed)
    descriptors = random.integers(-levels, levels + 1, (n, SWAP.size)).astype(np.float32)
    # Whole numbers, so that many lie exactly `apart`; 3-4-5 triangles included.
    return descriptors, random.integers(0, 12, (n, 2)).astype(np.float64)


@few
@given(
    st.integers(0, 40),
    st.sampled_from([0.0, 1.0, 5.0, 100.0]),
    st.sampled_from([1, 2, 4, 70]),
    st.sampled_from([1, 30]),
    st.sampled_from([-np.inf, 0.0, 3.0]),
    st.sampled_from([3, 16, 512]),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_a_sort(
    n: int, apart: float, k: int, levels: int, least: float, block: int, seed: int
) -> None:
    descriptors, points = whole_numbers(n, levels, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "_BLOCK", block)
        found = most_similar(descriptors, SWAP, points, apart=apart, k=k, least=least)
    for (index, value), others in zip(found, (descriptors, descriptors[:, SWAP]), strict=True):
        assert (index.dtype, value.dtype) == (np.int64, np.float32)
        expected = plain_most_similar(descriptors @ others.T, points, apart, k, least)
        np.testing.assert_array_equal(index, expected[0])
        np.testing.assert_array_equal(value, expected[1])


def test_entries_that_stay_in_place_count_once() -> None:
    random = np.random.default_rng(1)
    descriptors = random.normal(size=(30, 5)).astype(np.float32)
    mirror = np.array([0, 2, 1, 3, 4])
    points = random.uniform(0, 100, (30, 2))
    plain, mirrored = most_similar(descriptors, mirror, points, apart=1.0, k=3)
    for (_, value), others in zip(
        (plain, mirrored), (descriptors, descriptors[:, mirror]), strict=True
    ):
        similarity = descriptors @ others.T
        np.fill_diagonal(similarity, -np.inf)
        np.testing.assert_allclose(value, -np.sort(-similarity, axis=1)[:, :3], atol=1e-5)


def test_points_exactly_apart_count() -> None:
    descriptors = np.array([[1, 1, 0, 0], [0.8, 0.8, 0, 0], [0.9, 0.9, 0, 0]], np.float32)
    points = np.array([[0.0, 0.0], [3.0, 4.0], [2.999, 4.0]])
    (index, _), _ = most_similar(descriptors, np.array([1, 0, 3, 2]), points, apart=5.0, k=2)
    np.testing.assert_array_equal(index, [[1, -1], [0, -1], [-1, -1]])


@pytest.mark.parametrize("count", [63, 64, 65, 511, 512, 513, 700])
def test_chunks_and_blocks_leave_nothing_out(count: int) -> None:
    descriptors = np.zeros((count, 2), np.float32)
    descriptors[0] = descriptors[-1] = 1  # the two most similar are the outermost
    points = np.arange(2.0 * count).reshape(-1, 2)
    for index, value in most_similar(
        descriptors, np.array([1, 0]), points, apart=1.0, k=1, least=0
    ):
        assert index[0, 0] == count - 1
        assert index[-1, 0] == 0
        assert value[0, 0] == 2
        assert (index[1:-1] == -1).all()


def test_wrong_arrays_are_refused() -> None:
    descriptors, points = whole_numbers(4, 3, 0)
    with pytest.raises(ValueError, match=r"Got: \(3, 2\) and \(6,\)"):
        most_similar(descriptors, SWAP, points[:3], apart=1.0, k=1)
    with pytest.raises(ValueError, match=r"Got: \(4, 2\) and \(5,\)"):
        most_similar(descriptors, SWAP[:5], points, apart=1.0, k=1)
    with pytest.raises(ValueError, match="mirroring twice"):
        most_similar(descriptors, np.roll(np.arange(6), 1), points, apart=1.0, k=1)
    with pytest.raises(ValueError, match=r"k is at least 1\. Got: 0"):
        most_similar(descriptors, SWAP, points, apart=1.0, k=0)
    with pytest.raises(TypeError):
        most_similar(descriptors, SWAP, np.asfortranarray(points), apart=1.0, k=1)


def test_threads_do_not_change_the_result() -> None:
    descriptors, points = whole_numbers(1200, 3, 0)
    points = np.random.default_rng(0).uniform(0, 100, points.shape)
    with threads(1):
        alone = most_similar(descriptors, SWAP, points, apart=1.0, k=4)
    with threads(2):
        together = most_similar(descriptors, SWAP, points, apart=1.0, k=4)
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
