from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from kernels.extent import FEATURES, extent
from tests.kernels.local_matches import (
    Image,
    Matches,
    images_and_matches,
    linear,
    match_of,
    sample,
    texture,
)
from tests.kernels.threads import threads

few = settings(max_examples=60, deadline=None)
AREA, CORRELATION, FINE, LOWEST, REACH = range(5)


def plain_extent(
    image: Image, fine: Image, match: NDArray[np.float64], radius: int, window: int, limit: float
) -> tuple[NDArray[np.float64], float]:
    """The features of one match, and how near the closest call was to the threshold."""
    height, width = image.shape
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    x, y = round(match[0]) + u, round(match[1]) + v
    a, b, c, d = match[4:]
    px = match[2] + a * (x - match[0]) + b * (y - match[1])
    py = match[3] + c * (x - match[0]) + d * (y - match[1])
    known = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    known &= (px >= 0) & (py >= 0) & (px < width - 1.001) & (py < height - 1.001)
    here, there, fine_here, fine_there = (np.zeros(known.shape) for _ in range(4))
    here[known], there[known] = image[y[known], x[known]], sample(image, px[known], py[known])
    fine_here[known] = fine[y[known], x[known]]
    fine_there[known] = sample(fine, px[known], py[known])

    local = np.full(known.shape, -1.0)
    half = window // 2
    for i, j in zip(*np.nonzero(known), strict=True):
        box = np.s_[max(0, i - half) : i + half + 1, max(0, j - half) : j + half + 1]
        p, q = here[box][known[box]], there[box][known[box]]
        if p.size >= window * window // 2 and p.var() > 1e-3 and q.var() > 1e-3:
            local[i, j] = np.mean((p - p.mean()) * (q - q.mean())) / (p.std() * q.std())

    labels, _ = ndimage.label(local > limit)
    middle = np.s_[max(0, radius - 3) : radius + 4, max(0, radius - 3) : radius + 4]
    inside = np.isin(labels, np.setdiff1d(labels[middle], [0]))
    features = np.zeros(5)
    closest = float(np.abs(local - limit).min())
    if not inside.any():
        return features, closest
    values = np.sort(local[inside])
    p, q = fine_here[inside], fine_there[inside]
    rim = np.ones_like(inside)
    rim[1:-1, 1:-1] = False
    features[AREA] = values.size
    features[CORRELATION] = values.mean()
    if min(p.var(), q.var()) * p.size > 1e-6:
        features[FINE] = np.mean((p - p.mean()) * (q - q.mean())) / (p.std() * q.std())
    features[LOWEST] = values[-(-values.size // 10) - 1]
    features[REACH] = np.count_nonzero(inside & rim) / (4 * (2 * radius + 1))
    return features, closest


@few
@given(
    images_and_matches(longest=50),
    st.sampled_from([0, 1, 3, 9]),
    st.sampled_from([1, 3, 7]),
    st.sampled_from([0.0, 0.5, 0.75]),
)
def test_agrees_with_a_plain_reference(
    drawn: tuple[Image, Matches], radius: int, window: int, threshold: float
) -> None:
    image, matches = drawn
    if image.size and len(matches):  # make some of them true: nearly the identity
        matches[::2, 4:] = linear(1, 1.01, mirrored=False).ravel()
        matches[::2, 2:4] = matches[::2, :2] + 0.3
    fine = (image - ndimage.gaussian_filter(image, 1.0)).astype(np.float32)
    found = extent(image, fine, matches, radius=radius, window=window, threshold=threshold)
    assert found.dtype == np.float32
    assert found.shape == (len(matches), len(FEATURES))
    assert np.isfinite(found).all()
    for row, match in zip(found, matches, strict=True):
        if not image.size:
            assert not row.any()
            continue
        expected, closest = plain_extent(image, fine, match, radius, window, threshold)
        if closest < 1e-4:
            continue  # rounding decides
        assert row[AREA] == expected[AREA]
        np.testing.assert_allclose(row[[CORRELATION, REACH]], expected[[CORRELATION, REACH]], 1e-4)
        np.testing.assert_allclose(row[FINE], expected[FINE], atol=5e-3)
        if row[AREA]:
            assert abs(row[LOWEST] - expected[LOWEST]) <= 0.5 / 64 + 1e-4


def two_copies(size: int = 12) -> tuple[Image, Matches]:
    """A square of `size` pixels that stands twice on other ground, and the match between them."""
    image = texture((80, 160), seed=3)
    image[40 - size // 2 : 40 + size // 2, 120 - size // 2 : 120 + size // 2] = image[
        40 - size // 2 : 40 + size // 2, 40 - size // 2 : 40 + size // 2
    ]
    return image, match_of((40, 40), (120, 40), np.eye(2))


@pytest.mark.parametrize("size", [16, 24, 32])
def test_the_area_is_that_of_the_copy(size: int) -> None:
    image, match = two_copies(size)
    area = extent(image, image, match, window=7)[0, AREA]
    assert (size - 6) ** 2 <= area <= (size + 6) ** 2  # give or take half a window


def test_what_is_no_copy_has_no_area() -> None:
    image, match = two_copies(16)
    match[0, 2] += 20
    assert not extent(image, image, match).any()


@pytest.mark.parametrize(("away", "area"), [(0, 1), (3, 1), (-3, 1), (4, 0), (-4, 0)])
def test_the_flood_starts_within_three_pixels(away: int, area: int) -> None:
    image = np.random.default_rng(0).normal(0, 20, (40, 80)).astype(np.float32)
    centre = 20 + away
    image[19:22, centre + 39 : centre + 42] = image[19:22, centre - 1 : centre + 2]
    match = match_of((20, 20), (60, 20), np.eye(2))
    assert extent(image, image, match, radius=9, window=3, threshold=0.99)[0, AREA] == area


@pytest.mark.parametrize("radius", [6, 7, 14, 15, 30, 31])
def test_neighbourhoods_about_as_wide_as_a_power_of_two(radius: int) -> None:
    """The flood counts pixels in rows of such a length."""
    image = np.tile(texture((90, 90), seed=3), (1, 2))
    image[:, 90:] += np.random.default_rng(1).normal(0, 12, (90, 90))  # with holes in it
    match = match_of((45, 45), (135, 45), np.eye(2))
    found = extent(image, image, match, radius=radius, window=3, threshold=0.8)[0]
    expected, closest = plain_extent(image, image, match[0], radius, 3, 0.8)
    assert closest > 1e-5
    assert 0 < found[AREA] == expected[AREA] < (2 * radius + 1) ** 2
    np.testing.assert_allclose(found[[CORRELATION, REACH]], expected[[CORRELATION, REACH]], 1e-4)


def test_a_copy_that_fills_the_neighbourhood_reaches_its_border() -> None:
    image = np.tile(texture((80, 80), seed=3), (1, 2))
    row = extent(image, image, match_of((40, 40), (120, 40), np.eye(2)), radius=20)[0]
    assert row[AREA] > 0.95 * 41 * 41
    assert row[REACH] > 0.9
    small = extent(*(two_copies(12)[0],) * 2, two_copies(12)[1], radius=20)[0]
    assert small[REACH] == 0


def test_brightness_and_contrast_do_not_matter() -> None:
    image, match = two_copies(24)
    changed = image.copy()
    changed[:, 80:] = 0.4 * changed[:, 80:] + 50
    same, other = extent(image, image, match)[0], extent(changed, changed, match)[0]
    np.testing.assert_allclose(other, same, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("level", [0.0, 0.1, 255.0])
def test_a_flat_image_agrees_nowhere(level: float) -> None:
    image = np.full((60, 60), level, np.float32)
    assert not extent(image, image, match_of((30, 30), (20.3, 30.6), np.eye(2))).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300])
@pytest.mark.parametrize("column", range(8))
def test_a_match_that_is_not_finite_agrees_nowhere(column: int, value: float) -> None:
    image = texture((60, 60), seed=2)
    match = match_of((30, 30), (30, 30), np.eye(2))
    match[0, column] = value
    assert not extent(image, image, match).any()


def test_no_matches() -> None:
    image = texture((20, 20), seed=0)
    assert extent(image, image, np.empty((0, 8))).shape == (0, len(FEATURES))


def test_wrong_arrays_are_refused() -> None:
    image = texture((40, 40), seed=0)
    match = match_of((20, 20), (20, 20), np.eye(2))
    with pytest.raises(ValueError, match=r"one shape\. Got: \(40, 40\) and \(40, 30\)"):
        extent(image, np.ascontiguousarray(image[:, :30]), match)
    with pytest.raises(ValueError, match=r"matches are \(n, 8\)\. Got: \(1, 6\)"):
        extent(image, image, match[:, :6])
    wrong: NDArray[Any]
    for wrong in (image.astype(np.float64), np.asfortranarray(image), image[::2, ::2]):
        with pytest.raises(TypeError):
            extent(wrong, wrong, match)


def test_threads_do_not_change_the_result() -> None:
    image = texture((120, 120), seed=5)
    points = np.random.default_rng(0).uniform(0, 120, (200, 2))
    maps = np.tile(linear(1, 1.01, mirrored=False).ravel(), (200, 1))
    matches = np.column_stack((points, points + 0.5, maps))
    with threads(1):
        alone = extent(image, image, matches)
    with threads(2):
        together = extent(image, image, matches)
    np.testing.assert_array_equal(alone, together)
