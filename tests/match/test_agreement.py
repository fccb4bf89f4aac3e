from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from forgecli.detection import Affine
from forgecli.match.agreement import (
    Placed,
    Window,
    correlation_inside,
    local_correlation,
    warp_into,
    warp_mask,
)
from tests.match.pictures import mask_of_disc, overlap, similarity, tissue

few = settings(max_examples=40, deadline=None)
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@st.composite
def maps(draw: st.DrawFn) -> Affine:
    """Similarities of a small image; of every third, all numbers are whole."""
    target = (draw(st.floats(-20, 60)), draw(st.floats(-20, 60)))
    if draw(st.integers(0, 2)) == 0:
        whole = (round(target[0]), round(target[1]))
        return np.rint(similarity((20, 20), whole, turn=90 * draw(st.integers(0, 3))))
    return similarity(
        (20, 20),
        target,
        turn=draw(st.floats(0, 360)),
        scale=draw(st.floats(0.6, 1.7)),
        mirrored=draw(st.booleans()),
    )


@few
@given(maps(), st.integers(0, 30), st.integers(0, 20), st.integers(1, 12), st.integers(1, 12))
def test_a_warp_is_a_bilinear_look_up(
    affine: Affine, left: int, top: int, width: int, height: int
) -> None:
    image = tissue((35, 45), seed=1)
    window = Window(left, top, left + width, top + height)
    warped = warp_into(image, affine, window)
    assert warped.dtype == np.float32
    assert warped.shape == (height, width)
    rows, columns = np.mgrid[top : top + height, left : left + width]
    x, y = np.tensordot(affine, np.stack((columns, rows, np.ones_like(rows))), axes=1)
    expected = ndimage.map_coordinates(image.astype(float), [y, x], order=1, mode="nearest")
    inside = (x >= -0.5) & (y >= -0.5) & (x <= 44.5) & (y <= 34.5)
    sure = np.min([np.abs(x + 0.5), np.abs(y + 0.5), np.abs(x - 44.5), np.abs(y - 34.5)], 0) > 1e-6
    np.testing.assert_array_equal(np.isfinite(warped)[sure], inside[sure])
    both = inside & np.isfinite(warped)
    np.testing.assert_allclose(warped[both], expected[both], atol=0.01)


def test_a_warp_keeps_the_last_row_and_column() -> None:
    image = tissue((20, 30), seed=2)
    np.testing.assert_array_equal(warp_into(image, IDENTITY, Window(0, 0, 30, 20)), image)
    turned = np.array([[-1.0, 0.0, 29.0], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(warp_into(image, turned, Window(0, 0, 30, 20)), image[:, ::-1])


def test_windows() -> None:
    window = Window(3, 5, 10, 7)
    assert (window.width, window.height) == (7, 2)
    assert window.grown(4, (10, 12)) == Window(0, 1, 12, 10)
    image = tissue((20, 20), seed=0)
    np.testing.assert_array_equal(window.cut(image), image[5:7, 3:10])
    affine = similarity((4, 4), (9, 2), turn=20)
    np.testing.assert_allclose(window.shifted(affine) @ (1, 1, 1), affine @ (4, 6, 1))


@few
@given(st.integers(0, 2**32 - 1))
def test_a_placed_mask_is_the_same_everywhere(seed: int) -> None:
    random = np.random.default_rng(seed)
    left, top = (int(n) for n in random.integers(0, 10, 2))
    placed = Placed(Window(left, top, left + 6, top + 4), random.random((4, 6)) < 0.5)
    full = placed.on((20, 25))
    assert placed.area == full.sum()
    np.testing.assert_array_equal(full[top : top + 4, left : left + 6], placed.mask)
    window = Window(*(int(n) for n in (*random.integers(0, 8, 2), *random.integers(9, 20, 2))))
    np.testing.assert_array_equal(
        placed.into(window), full[window.top : window.bottom, window.left : window.right]
    )
    points = random.uniform(0, 19, (50, 2))
    nearest = np.rint(points).astype(int)
    np.testing.assert_array_equal(placed.holds(points), full[nearest[:, 1], nearest[:, 0]])
    assert not placed.holds(np.array([[-5.0, 2.0], [2.0, -5.0], [500.0, 2.0]])).any()


def test_a_mask_moves_by_whole_pixels_unchanged() -> None:
    placed = Placed(Window(5, 4, 12, 9), np.random.default_rng(0).random((5, 7)) < 0.5)
    moved = warp_mask(placed, similarity((5, 4), (30, 2)), (40, 50))
    np.testing.assert_array_equal(moved.on((40, 50))[2:7, 30:37], placed.mask)
    assert moved.area == placed.area


@few
@given(maps())
def test_a_mask_lands_where_its_map_says(affine: Affine) -> None:
    shape = (60, 70)
    disc = mask_of_disc(shape, (20, 20), 9.0)
    placed = Placed(Window(10, 10, 31, 31), disc[10:31, 10:31])
    landed = warp_mask(placed, affine, shape)
    window = landed.window
    assert 0 <= window.left < window.right <= shape[1]
    assert 0 <= window.top < window.bottom <= shape[0]
    assert landed.mask.shape == (window.height, window.width)
    scale = abs(np.linalg.det(affine[:, :2])) ** 0.5
    x, y = affine @ (20, 20, 1)
    expected = mask_of_disc(shape, (x, y), 9.0 * scale)
    if expected.sum() < 60:
        assert landed.area < 90
    else:
        assert overlap(landed.on(shape), expected) > 0.8
        # Two discs of pixels with one outline may differ by a share of the pixels on it.
        on_outline = 2.0 * np.sqrt(np.pi * expected.sum())
        assert abs(landed.area - int(expected.sum())) <= 0.3 * on_outline


@few
@given(st.sampled_from([1, 3, 7]), st.booleans(), st.integers(0, 2**32 - 1))
def test_local_correlation_is_that_of_the_box(side: int, hole: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    first = tissue((14, 17), seed % 1000)
    second = (0.7 * first + random.normal(0, 8, first.shape)).astype(np.float32)
    if hole:
        second[4, 5] = np.nan
    found = local_correlation(first, second, side)
    assert found.dtype == np.float32
    half = side // 2
    p = np.pad(first.astype(float), half, mode="reflect")
    q = np.pad(second.astype(float), half, mode="reflect")
    for row in range(14):
        for column in range(17):
            box = np.s_[row : row + side, column : column + side]
            if np.isnan(q[box]).any() or p[box].std() < 1e-6:
                assert found[row, column] == -1
            else:
                expected = np.corrcoef(p[box].ravel(), q[box].ravel())[0, 1]
                assert found[row, column] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("level", np.linspace(0.13, 60, 9))
def test_flat_areas_do_not_correlate_however_far_from_the_mean(level: float) -> None:
    image = np.full((60, 160), 250, np.float32)
    image[:, :30] = level
    found = local_correlation(image, image.copy(), 7)
    assert (found[:, :26] == -1).all()
    assert (found[:, 34:] == -1).all()
    assert (found[:, 28:32] > 0.99).all()


def test_correlation_inside_a_mask() -> None:
    first = tissue((30, 30), seed=1)
    second = (-2 * first + 7).astype(np.float32)
    mask = mask_of_disc((30, 30), (15, 15), 8)
    assert correlation_inside(first, first, mask) == pytest.approx(1)
    assert correlation_inside(first, second, mask) == pytest.approx(-1)
    other = tissue((30, 30), seed=2)
    expected = np.corrcoef(first[mask], other[mask])[0, 1]
    assert correlation_inside(first, other, mask) == pytest.approx(expected)
    other[~mask] = np.nan
    other[14, 14] = np.nan
    kept = mask & np.isfinite(other)
    expected = np.corrcoef(first[kept], other[kept])[0, 1]
    assert correlation_inside(first, other, mask) == pytest.approx(expected)


def test_what_cannot_correlate_gives_nought() -> None:
    image = tissue((30, 30), seed=1)
    flat = np.full_like(image, 9)
    all_of_it = np.ones(image.shape, bool)
    few_pixels = np.zeros(image.shape, bool)
    few_pixels[0, :7] = True
    assert correlation_inside(image, flat, all_of_it) == 0
    assert correlation_inside(flat, flat, all_of_it) == 0
    assert correlation_inside(image, image, few_pixels) == 0
    assert correlation_inside(image, np.full_like(image, np.nan), all_of_it) == 0
