"""Changes keep a crop what it is: outlines follow what they outline, and grey stays grey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from forgecli.train.augment import augment, blur, noise, recompress, rotate, tone, turn
from forgecli.train.crops import Crop
from forgecli.train.data import AugmentSettings
from tests.train.drawn import textured


def marked(seed: int = 0, shape: tuple[int, int] = (40, 56)) -> Crop:
    """A crop whose mask is where it is white."""
    pixels = textured(seed, shape) // 2
    masks = np.zeros((1, *shape), np.uint8)
    masks[0, 6:18, 30:50] = 1
    pixels[masks[0] == 1] = 255
    return Crop(pixels, masks)


@pytest.mark.parametrize("form", range(8))
def test_turns_are_exact_and_masks_follow(form: int) -> None:
    crop = marked()
    turned = turn(crop, form)
    assert ((turned.pixels[..., 0] == 255) == (turned.masks[0] == 1)).all()
    assert sorted(turned.pixels.ravel()) == sorted(crop.pixels.ravel())
    assert turned.pixels.flags.c_contiguous and turned.masks.flags.c_contiguous


def test_the_eight_turns_differ() -> None:
    crop = marked(shape=(40, 40))
    crop.pixels[:3, :5] = 7
    assert len({turn(crop, form).pixels.tobytes() for form in range(8)}) == 8


@pytest.mark.parametrize("degrees", [-10.0, 3.0, 10.0])
def test_masks_follow_a_rotation(degrees: float) -> None:
    turned = rotate(marked(), degrees)
    white, mask = turned.pixels[..., 0] > 190, turned.masks[0] == 1
    assert (white & mask).sum() / (white | mask).sum() > 0.85
    assert rotate(marked(), 0).masks.sum() == 240


def test_an_instance_that_is_turned_out_is_left_out() -> None:
    crop = marked()
    crop.masks[0] = 0
    crop.masks[0, 0, 0] = 1
    assert rotate(crop, 10).masks.shape == (0, 40, 56)


def test_tone_by_hand() -> None:
    pixels = np.array([[[0, 64, 255]]], np.uint8)
    assert (tone(pixels, 0, 1, 1) == pixels).all()
    assert tone(pixels, 0.1, 1, 1).tolist() == [[[26, 90, 255]]]  # 25.5 rounds to 26
    assert tone(pixels, 0, 0.5, 1).tolist() == [[[64, 96, 191]]]
    assert tone(pixels, 0, 1, 2).tolist() == [[[0, 16, 255]]]


def test_noise_has_its_width_and_keeps_grey_grey() -> None:
    flat = np.full((200, 200, 3), 120, np.uint8)
    noisy = noise(flat, 4.0, np.random.default_rng(0))
    assert noisy.std() == pytest.approx(4, abs=0.15)
    assert noisy.mean() == pytest.approx(120, abs=0.1)
    assert (noisy[..., 0] == noisy[..., 2]).all()
    flat[..., 1] = 40
    coloured = noise(flat, 4.0, np.random.default_rng(0)).astype(int)
    assert (coloured[..., 0] - 120 != coloured[..., 1] - 40).mean() > 0.5


def test_blur_and_jpeg_lose_what_they_should() -> None:
    pixels = textured(5)
    assert (blur(pixels, 0.1) == pixels).all()
    assert (
        np.abs(np.diff(blur(pixels, 2.0).astype(int), axis=0)).sum()
        < np.abs(np.diff(pixels.astype(int), axis=0)).sum()
    )
    error = [
        np.abs(recompress(pixels, quality, "420").astype(int) - pixels).mean()
        for quality in (95, 70)
    ]
    assert 0 < error[0] < error[1] < 5
    assert np.ptp(recompress(pixels, 70, "420"), axis=2).max() <= 1, "grey stays grey"


def test_nothing_is_changed_when_nothing_is_asked_for() -> None:
    crop = marked()
    same = augment(crop, AugmentSettings.none(), np.random.default_rng(0))
    assert (same.pixels == crop.pixels).all() and (same.masks == crop.masks).all()


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40))
def test_any_size_with_everything_on(seed: int, height: int, width: int) -> None:
    pixels: NDArray[np.uint8] = textured(1)[:height, :width]
    crop = Crop(np.ascontiguousarray(pixels), np.ones((1, *pixels.shape[:2]), np.uint8))
    every = AugmentSettings(rotate=1, tone=1, blur=1, noise=1, jpeg=1)
    changed = augment(crop, every, np.random.default_rng(seed))
    again = augment(crop, every, np.random.default_rng(seed))
    assert changed.pixels.shape in ((height, width, 3), (width, height, 3))
    assert changed.masks.shape[1:] == changed.pixels.shape[:2]
    assert set(np.unique(changed.masks)) <= {0, 1}
    assert (changed.pixels == again.pixels).all()
    assert (crop.pixels == pixels).all(), "the crop itself is left as it is"
