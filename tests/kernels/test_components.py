from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import rle
from kernels.components import Components, components, label_image
from tests.kernels import reference
from tests.kernels.strategies import LAYOUTS, laid_out, masks

few = settings(max_examples=100, deadline=None)
Connectivity = Literal[4, 8]


def check(found: Components, mask: NDArray[np.generic], connectivity: int, min_area: int) -> None:
    expected = [c for c in reference.components(mask, connectivity) if c[0] >= min_area]
    assert found.count == len(expected)
    assert found.areas.dtype == np.int64
    assert found.boxes.dtype == np.int32
    assert found.boxes.shape == (found.count, 4)
    assert found.offsets.shape == (found.count + 1,)
    for index, (area, box, runs) in enumerate(expected):
        assert found.areas[index] == area
        assert tuple(found.boxes[index]) == box
        np.testing.assert_array_equal(found.runs_of(index), runs)


@few
@given(masks(longest=70), st.sampled_from([4, 8]), st.sampled_from([0, 1, 2, 5, 1000]))
def test_agrees_with_scipy(mask: NDArray[Any], connectivity: Connectivity, min_area: int) -> None:
    check(components(mask, connectivity, min_area), mask, connectivity, min_area)


PICTURES = {
    "corners": ["#.#", ".#.", "#.#"],
    "ring": ["####", "#..#", "#..#", "####"],
    "comb": ["#####", "#.#.#", "#.#.#", "#.#.#"],
    "comb downwards": ["#.#.#", "#.#.#", "#.#.#", "#####"],
    "spiral": ["######", ".....#", "####.#", "#..#.#", "#....#", "######"],
    "foot and head": ["..#", "...", "#..", "##."],
    "foot meets head": ["##", "##"],
    "foot meets head apart": [".#", "..", "#."],
    "snake": ["###", "..#", "###", "#..", "###"],
    "one": ["#"],
    "none": ["...", "..."],
    "row": ["#.##.###"],
    "column": ["#", "#", ".", "#"],
}


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures(name: str, layout: str, connectivity: Connectivity) -> None:
    mask = np.array([[pixel == "#" for pixel in row] for row in PICTURES[name]])
    check(components(laid_out(mask, layout), connectivity), mask, connectivity, 0)


def test_corners_join_only_when_8_connected() -> None:
    mask = np.eye(200, dtype=np.bool_)
    assert components(mask, 4).count == 200
    assert components(mask, 8).count == 1
    assert components(mask[::-1], 8).count == 1
    assert components(mask[::-1], 4).count == 200


@pytest.mark.parametrize("row", [62, 63, 64, 127])
def test_pieces_touch_across_the_edge_of_a_word(row: int) -> None:
    mask = np.zeros((130, 4), np.bool_)
    mask[row, 1] = mask[row + 1, 2] = True  # by a corner, in different words for 63 and 127
    mask[row - 3 : row, 2] = True
    check(components(mask, 8), mask, 8, 0)
    check(components(mask, 4), mask, 4, 0)


def test_a_component_that_goes_on_in_the_next_column_has_one_run_there() -> None:
    mask = np.zeros((64, 3), np.bool_)
    mask[60:, 0] = mask[:, 1] = mask[:5, 2] = True
    found = components(mask, 4)
    assert found.count == 1
    np.testing.assert_array_equal(found.runs_of(0), [[60, 4 + 64 + 5]])


def test_runs_that_meet_only_in_the_flattening_stay_apart() -> None:
    mask = np.zeros((64, 2), np.bool_)
    mask[60:, 0] = mask[:5, 1] = True
    found = components(mask, 8)
    assert found.count == 2
    np.testing.assert_array_equal(found.runs, [[60, 4], [64, 5]])
    assert len(rle.encode(mask)) == 1


@few
@given(masks(longest=70), st.sampled_from([4, 8]))
def test_together_they_are_the_mask(mask: NDArray[Any], connectivity: Connectivity) -> None:
    found = components(mask, connectivity)
    assert found.areas.sum() == np.count_nonzero(mask)
    np.testing.assert_array_equal(rle.decode(found.runs, mask.shape), mask != 0)
    labels = label_image(found, mask.shape)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels != 0, mask != 0)
    for index in range(min(found.count, 20)):
        own = rle.decode(found.runs_of(index), mask.shape)
        assert (labels[own] == index + 1).all()


def test_a_large_noisy_mask() -> None:
    mask = np.random.default_rng(3).random((1500, 300)) < 0.55
    found = components(mask, 4)
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    assert found.count == count
    np.testing.assert_array_equal(np.sort(found.areas), np.sort(np.bincount(labels.ravel())[1:]))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_a_mask_without_pixels(shape: tuple[int, int]) -> None:
    found = components(np.zeros(shape, np.uint8))
    assert found.count == 0
    assert found.runs.shape == (0, 2)
    assert label_image(found, shape).shape == shape


def test_wrong_arguments() -> None:
    mask = np.ones((2, 2), np.bool_)
    with pytest.raises(ValueError, match=r"connectivity is 4 or 8\. Got: 6"):
        components(mask, 6)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Got: float64 \(2, 2\)"):
        components(np.ones((2, 2)))  # type: ignore[arg-type]
    with pytest.raises(IndexError, match=r"there are 1 components\. Got: 1"):
        components(mask).runs_of(1)
    with pytest.raises(IndexError):
        components(mask).runs_of(-1)
    with pytest.raises(ValueError, match=r"row 1, column 1\. Got: \(1, 2\)"):
        label_image(components(mask), (1, 2))
