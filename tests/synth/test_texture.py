from __future__ import annotations

import cv2
import numpy as np
import pytest

from forgecli.synth.texture import (
    has_texture,
    is_drawn,
    is_text,
    noise_level,
    strongest_channel,
)
from tests.synth.pictures import blot, chart, nuclei, tissue

WHOLE = np.ones((64, 64), bool)


@pytest.mark.parametrize("sigma", [1.0, 4.0, 12.0])
def test_noise_is_measured_within_a_fifth(sigma: float) -> None:
    rng = np.random.default_rng(1)
    slope = np.linspace(40, 160, 256)[None, :].repeat(256, axis=0)
    noisy = (slope + rng.normal(0, sigma, (256, 256))).astype(np.float32)
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.2)


def test_structure_is_not_taken_for_noise() -> None:
    assert noise_level(strongest_channel(nuclei())) < 3.0  # drawn with a noise of 1.5


def test_an_image_without_noise_has_none() -> None:
    assert noise_level(np.full((64, 64), 7, np.float32)) == 0
    assert noise_level(np.full((5, 9), 7, np.float32)) == 0


@pytest.mark.parametrize("sigma", [0.0, 2.0, 8.0])
def test_flat_ground_is_no_texture(sigma: float) -> None:
    ground = np.full((64, 64), 90.0) + np.random.default_rng(2).normal(0, sigma, (64, 64))
    assert not has_texture(ground.astype(np.float32), WHOLE, sigma)


def test_uneven_illumination_is_no_texture() -> None:
    slope = np.linspace(60, 140, 64)[None, :] + np.linspace(0, 30, 64)[:, None]
    noisy = slope + np.random.default_rng(3).normal(0, 1, (64, 64))
    assert not has_texture(noisy.astype(np.float32), WHOLE, 1.0)


def test_blobs_are_texture() -> None:
    rng = np.random.default_rng(4)
    blobs = (
        cv2.GaussianBlur(rng.normal(0, 60, (64, 64)), (0, 0), 2) + 90 + rng.normal(0, 2, (64, 64))
    )
    assert has_texture(blobs.astype(np.float32), WHOLE, 2.0)


def test_only_the_inside_of_a_region_counts() -> None:
    picture = np.full((64, 64), 20, np.float32)
    picture[:, 32:] = cv2.GaussianBlur(
        np.random.default_rng(5).normal(0, 90, (64, 32)), (0, 0), 1.5
    )
    left = WHOLE.copy()
    left[:, 28:] = False
    assert not has_texture(picture, left, 0.0)
    assert has_texture(picture, ~left, 0.0)
    assert not has_texture(picture, np.zeros((64, 64), bool), 0.0)


def test_charts_are_told_from_micrographs() -> None:
    assert is_drawn(chart())
    assert is_drawn(np.zeros((80, 80, 3), np.uint8))
    for picture in (nuclei(), tissue(), blot()):
        assert not is_drawn(picture)
        assert not is_text(picture)


def test_letters_are_told_from_bands() -> None:
    picture = np.full((40, 200, 3), 255, np.uint8)
    cv2.putText(picture, "GAPDH 37", (5, 30), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    assert is_text(picture)


def test_the_strongest_channel_is_the_one_with_the_stain() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[::2, :, 2] = 90
    assert strongest_channel(picture).max() == 90
