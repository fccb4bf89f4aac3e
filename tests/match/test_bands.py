from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from forgecli.match.bands import bands_of, noise_level
from tests.match.pictures import photograph, tissue


@pytest.mark.parametrize("sigma", [1.0, 3.0, 10.0])
def test_the_noise_level_is_that_of_the_noise(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(0, sigma, (200, 300))
    ramp = np.linspace(40, 200, 300)[None, :]  # what is smooth is not noise
    assert noise_level((ramp + noise).astype(np.float32)) == pytest.approx(sigma, rel=0.1)


def test_what_is_flat_or_an_edge_is_not_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 4, (200, 300))
    figure = np.full((200, 600), 255.0)
    figure[:, 300:] = 100 + noise
    assert noise_level(figure.astype(np.float32)) == pytest.approx(4, rel=0.1)
    assert noise_level(np.full((40, 40), 77, np.float32)) == 0.3
    assert noise_level(np.full((1, 1), 77, np.float32)) == 0.3


def test_noise_is_at_least_that_of_rounding() -> None:
    ramp = np.rint(np.tile(np.linspace(0, 255, 400), (100, 1))).astype(np.float32)
    assert 0.3 <= noise_level(ramp) < 0.6


def test_bands_are_differences_of_blurs() -> None:
    grey = tissue((90, 110), seed=1)
    pixels = photograph(grey)
    bands = bands_of(pixels)
    assert bands.shape == (90, 110)
    rounded = pixels[:, :, 0].astype(np.float64)
    blurs = {s: ndimage.gaussian_filter(rounded, s, mode="mirror") for s in (0.6, 0.8, 1, 1.6, 6)}
    expected = {
        "grey": rounded,
        "smooth": blurs[0.8],
        "low": blurs[1] - blurs[6],
        "middle": blurs[0.6] - blurs[1.6],
    }
    for name, image in expected.items():
        found = getattr(bands, name)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, image, atol=0.6, err_msg=name)


def test_grey_is_luma() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(bands_of(pixels).grey, luma, atol=0.6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_tiny_pictures_have_finite_bands(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    bands = bands_of(pixels)
    for image in (bands.grey, bands.smooth, bands.low, bands.middle):
        assert image.shape == shape
        assert np.isfinite(image).all()


def test_threads_do_not_change_the_bands() -> None:
    pixels = photograph(tissue((300, 200), seed=2), noise=3)
    before = cv2.getNumThreads()
    found = []
    for count in (1, 2):
        cv2.setNumThreads(count)
        found.append(bands_of(pixels))
    cv2.setNumThreads(before)
    for name in ("grey", "smooth", "low", "middle", "noise"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))
