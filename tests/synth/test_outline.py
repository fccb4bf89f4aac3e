from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from forgecli.synth.outline import freehand, grown, outline_of, rectangle


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30), st.floats(0, 1))
def test_outline_holds_exactly_the_pixels_of_its_mask(
    seed: int, height: int, width: int, density: float
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < density
    outline = outline_of(mask)
    if outline is None:
        assert not mask.any()
        return
    assert np.array_equal(outline.full(mask.shape), mask)
    assert outline.area == mask.sum()
    inner = outline.mask
    assert inner[0].any() and inner[-1].any() and inner[:, 0].any() and inner[:, -1].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(8, 60))
def test_a_freehand_shape_is_one_piece_without_holes_that_fills_its_box(
    seed: int, width: int, height: int
) -> None:
    mask = freehand(np.random.default_rng(seed), width, height)
    assert mask.shape == (height, width)
    assert ndimage.label(mask)[1] == 1
    assert np.array_equal(ndimage.binary_fill_holes(mask), mask)
    assert mask.any(axis=1).mean() > 0.9 and mask.any(axis=0).mean() > 0.9


@pytest.mark.parametrize("corner", [(10, 12), (0, 0), (32, 24)])
def test_growing_adds_a_rim_and_stays_in_the_image(corner: tuple[int, int]) -> None:
    small = rectangle(*corner, 8, 6)
    larger = grown(small, 2, (30, 40))
    whole, before = larger.full((30, 40)), small.full((30, 40))
    assert (whole & before).sum() == before.sum()
    distance = ndimage.distance_transform_edt(~before)
    assert distance[whole].max() <= 2.3  # OpenCV draws its disks a little square
    assert whole[distance <= 1].all()


def test_growing_by_nothing_changes_nothing() -> None:
    small = rectangle(3, 4, 5, 6)
    assert grown(small, 0, (30, 40)) is small
