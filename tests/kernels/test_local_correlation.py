from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.local_correlation import local_correlation
from tests.kernels.local_matches import texture

few = settings(max_examples=60, deadline=None)
Image = NDArray[np.float32]


def plain(first: Image, second: Image, side: int) -> NDArray[np.float64]:
    """The correlation of every box, one by one; NaN where rounding decides."""
    before, after = side // 2, side - 1 - side // 2
    pad = ((before, after), (before, after))
    p = np.pad(first.astype(float), pad, mode="reflect")
    q = np.pad(second.astype(float), pad, mode="reflect")
    expected = np.full(first.shape, -1.0)
    for y, x in np.ndindex(first.shape):
        here, there = p[y : y + side, x : x + side], q[y : y + side, x : x + side]
        if not np.isfinite(there).all():
            continue
        least = min(here.var(), there.var())
        if 0.5e-3 < least < 0.05:
            expected[y, x] = np.nan
        elif least > 1e-3:
            expected[y, x] = np.corrcoef(here.ravel(), there.ravel())[0, 1]
    return expected


@few
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([1, 2, 3, 7, 9, 30]),
    st.sampled_from([0.0, 1000.0]),
    st.sampled_from([0.0, 0.02, 0.9]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_every_box_by_itself(
    height: int, width: int, side: int, level: float, unknown: float, flat: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    first = texture((height, width), seed % 1000) + np.float32(level)
    second = (0.7 * first + random.normal(0, 8, first.shape)).astype(np.float32)
    if flat:
        first[: height // 2] = 3
    second[random.random(second.shape) < unknown] = random.choice([np.nan, np.inf])
    found = local_correlation(first, second, side)
    assert found.dtype == np.float32
    assert found.shape == first.shape
    expected = plain(first, second, side)
    sure = np.isfinite(expected)
    np.testing.assert_allclose(found[sure], expected[sure], atol=2e-4)


def test_the_level_does_not_matter() -> None:
    first, second = texture((60, 60), seed=1), texture((60, 60), seed=2)
    plainly = local_correlation(first, second, 7)
    np.testing.assert_allclose(
        local_correlation(first + 300, 2 * second - 9, 7), plainly, atol=1e-4
    )


def test_no_pixels() -> None:
    assert (
        local_correlation(np.empty((0, 5), np.float32), np.empty((0, 5), np.float32), 7).size == 0
    )


def test_parts_of_images_are_taken() -> None:
    image = texture((40, 50), seed=3)
    part, other = image[5:25, 10:30], image[15:35, 20:40]
    expected = local_correlation(part.copy(), other.copy(), 5)
    np.testing.assert_array_equal(local_correlation(part, other, 5), expected)


def test_wrong_arrays_are_refused() -> None:
    image = texture((10, 10), seed=0)
    with pytest.raises(ValueError, match=r"one shape\. Got: \(10, 10\) and \(10, 9\)"):
        local_correlation(image, image[:, :9], 7)
    with pytest.raises(ValueError, match="at least a pixel wide"):
        local_correlation(image, image, 0)
    with pytest.raises(TypeError):
        local_correlation(image.astype(np.float64), image, 7)
