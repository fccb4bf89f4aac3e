"""What an agreement is worth: independent samples, information, two levels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.match.agreement import correlation_inside
from forgecli.match.bands import FloatImage
from forgecli.match.texture import independent_samples, information, two_levels
from tests.match.pictures import mask_of_disc


def blurred(random: np.random.Generator, shape: tuple[int, int], sigma: float) -> FloatImage:
    noise = random.normal(size=shape).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma), np.float32) if sigma else noise


def test_samples_are_those_of_the_sum_over_all_moves() -> None:
    random = np.random.default_rng(0)
    image = blurred(random, (24, 30), 1.5) + 50  # sizes that are transformed as they are
    inside = mask_of_disc((24, 30), (14, 11), 6)
    values = np.where(inside, image - image[inside].mean(), 0).astype(np.float64)
    moved = [
        (values * np.roll(values, (dy, dx), (0, 1))).sum() / (values**2).sum()
        for dy in range(24)
        for dx in range(30)
    ]
    expected = inside.sum() / np.square(moved).sum()
    assert independent_samples(image, inside) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("sigma", [0.0, 2.0, 4.0])
def test_correlations_of_unrelated_textures_scatter_as_those_of_so_many_samples(
    sigma: float,
) -> None:
    """Within a factor of 2.5: moves beyond the texture's own add what they scatter by."""
    random = np.random.default_rng(1)
    inside = mask_of_disc((80, 80), (40, 40), 28)
    images = [blurred(random, (80, 80), sigma) for _ in range(60)]
    pairs = zip(images[::2], images[1::2], strict=True)
    more = zip(images[1::2], np.roll(np.array(images[::2]), 1, axis=0), strict=True)
    found = [correlation_inside(a, b, inside) for both in (pairs, more) for a, b in both]
    samples = np.mean([independent_samples(image, inside) for image in images[:20]])
    assert 0.4 < samples * np.mean(np.square(found)) < 1.4


def test_a_smooth_blob_is_worth_few_samples_and_a_flat_region_one() -> None:
    y, x = np.mgrid[:60, :60].astype(np.float32)
    blob = 100 * np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 200).astype(np.float32)
    inside = mask_of_disc((60, 60), (30, 30), 20)
    assert 1 < independent_samples(blob, inside) < 10
    assert independent_samples(np.full((60, 60), 77.7, np.float32), inside) == 1.0


@given(st.floats(-1, 1), st.floats(1, 1e6))
def test_information_is_the_ratio_of_likelihoods(correlation: float, samples: float) -> None:
    found = information(correlation, samples)
    if correlation <= 0:
        assert found == 0
    else:
        share = min(correlation, 0.9995) ** 2
        assert found == pytest.approx(-samples / 2 * np.log(1 - share), abs=1e-9 * samples)
    assert information(correlation, 2 * samples) >= found >= 0


def test_two_levels_explain_print_and_not_a_photograph() -> None:
    random = np.random.default_rng(2)
    ink = np.where(random.random(4000) < 0.3, 40, 210) + random.normal(0, 5, 4000)
    assert two_levels(ink.astype(np.float32)) > 0.98
    # Of a normal variable the best two levels explain 2 / pi.
    normal = random.normal(128, 25, 40000).astype(np.float32)
    assert two_levels(normal) == pytest.approx(2 / np.pi, abs=0.01)
    assert two_levels(np.full(30, 9.0, np.float32)) == 1.0
