from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.support import explained, support
from tests.kernels.local_matches import linear, match_of

few = settings(max_examples=60, deadline=None)
Doubles = NDArray[np.float64]


def some_matches(count: int, affine: Doubles, seed: int) -> Doubles:
    """Matches on a plane of 100 x 100, half of them near where a map takes their points."""
    random = np.random.default_rng(seed)
    points = random.uniform(0, 100, (count, 2))
    ends = points @ affine[:, :2].T + affine[:, 2] + random.normal(0, 2, (count, 2))
    ends[::2] = random.uniform(0, 100, ends[::2].shape)
    return np.column_stack((points, ends, np.tile(affine[:, :2].ravel(), (count, 1))))


@few
@given(
    st.integers(0, 40),
    st.floats(0, 360),
    st.booleans(),
    st.sampled_from([0.0, 1.0, 3.0]),
    st.lists(st.floats(-20, 120), min_size=4, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_explained_are_those_that_start_in_the_box_and_end_where_the_map_says(
    count: int, turn: float, mirrored: bool, tolerance: float, sides: list[float], seed: int
) -> None:
    affine = np.column_stack((linear(turn, 1.1, mirrored), (40.0, 20.0)))
    matches = some_matches(count, affine, seed)
    box = (min(sides[0], sides[1]), min(sides[2], sides[3]), max(sides[:2]), max(sides[2:]))
    expected = []
    for index, (x, y, u, v, *_) in enumerate(matches):
        error = np.hypot(*(affine @ (x, y, 1.0) - (u, v)))
        if box[0] <= x < box[2] and box[1] <= y < box[3] and error < tolerance:
            expected.append(index)
    found = explained(matches, affine, box, tolerance)
    assert found.dtype == np.int64
    assert found.tolist() == expected


def test_a_box_holds_its_left_and_top_side_and_not_the_others() -> None:
    unmoved = np.eye(2, 3)
    matches = np.concatenate([match_of((x, y), (x, y), np.eye(2)) for x in (1.0, 4.0)
                              for y in (2.0, 7.0)])  # fmt: skip
    assert explained(matches, unmoved, (1.0, 2.0, 4.0, 7.0), 1.0).tolist() == [0]
    assert explained(matches, unmoved, (1.0, 2.0, 4.1, 7.1), 1.0).tolist() == [0, 1, 2, 3]


def test_a_map_and_a_table_of_any_order_in_memory_are_taken() -> None:
    matches = some_matches(20, np.eye(2, 3), seed=1)
    expected = explained(matches, np.eye(2, 3), (0, 0, 100, 100), 3.0)
    found = explained(matches, np.asfortranarray(np.eye(2, 3)), (0, 0, 100, 100), 3.0)
    np.testing.assert_array_equal(found, expected)
    assert expected.size
    with pytest.raises(TypeError):
        explained(matches.astype(np.float32), np.eye(2, 3), (0, 0, 100, 100), 3.0)


def test_support_counts_places_and_not_matches() -> None:
    shift = np.eye(2)
    points = [(50.0, 50.0), (50.1, 50.1), (60.0, 50.0), (75.0, 75.0), (90.0, 50.0)]
    matches = np.concatenate([match_of(p, (p[0] + 200, p[1] + 9), shift) for p in points])
    matches[3, 2] += 2.5  # disagrees with the others
    found = support(matches, radius=32.0, tolerance=2.0)
    # Places of 8 x 8 pixels are counted from each match: the first has the second in its own place,
    # the second has the first in the one beside it. The last sees only the third.
    assert found.tolist() == [2, 3, 3, 1, 2]
