"""From pictures to what networks take."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.segment.preprocess import (
    MOST_ENLARGED,
    Preprocess,
    channels_of,
    error_levels,
    padded,
    resized,
    to_input,
    view_shape,
)

SIDES = st.integers(1, 90)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_channels_are_the_colours_from_0_to_1() -> None:
    pixels = picture(5, 7)
    channels = channels_of(pixels)
    assert channels.shape == (3, 5, 7) and channels.dtype == np.float32
    assert channels.flags.c_contiguous
    for channel in range(3):
        np.testing.assert_allclose(channels[channel], pixels[:, :, channel] / 255, atol=1e-6)
    white = channels_of(np.full((1, 1, 3), 255, np.uint8))
    assert white.max() == 1.0 and white.min() == 1.0


def test_error_levels_against_the_definition() -> None:
    pixels = cv2.GaussianBlur(picture(64, 48), (0, 0), 1.5)
    _, coded = cv2.imencode(
        ".jpg",
        pixels[:, :, ::-1],
        [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
         cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420],
    )  # fmt: skip
    again = cv2.imdecode(coded, cv2.IMREAD_COLOR)[:, :, ::-1]
    expected = np.clip(10 * np.abs(pixels.astype(int) - again.astype(int)), 0, 255)
    found = error_levels(pixels)
    assert found.dtype == np.uint8
    # Two JPEG programs differ by a level or two of rounding, which is 10 or 20 here.
    assert np.abs(found.astype(int) - expected).mean() < 8 < 20 < found.mean()
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.8
    channels = channels_of(pixels, ela=True)
    assert channels.shape == (6, 64, 48)
    np.testing.assert_allclose(channels[3:], found.transpose(2, 0, 1) / 255, atol=1e-6)


def test_error_levels_saturate() -> None:
    assert error_levels(picture(64, 64)).max() == 255


def test_a_picture_of_one_colour_has_hardly_any_error() -> None:
    assert error_levels(np.full((40, 40, 3), 128, np.uint8)).max() == 0


@given(SIDES, SIDES, st.sampled_from([32, 48, 64, 512]), st.sampled_from([1, 16, 32]))
@settings(max_examples=150, deadline=None)
def test_the_whole_picture_is_seen(height: int, width: int, size: int, multiple: int) -> None:
    prepared = to_input(picture(height, width), Preprocess(size=size), multiple)
    _, h, w = prepared.array.shape
    seen = prepared.shape
    assert h % multiple == 0 and w % multiple == 0
    assert 1 <= seen[0] <= h < seen[0] + multiple and 1 <= seen[1] <= w < seen[1] + multiple
    enlarged = max(seen) / max(height, width)
    assert max(seen) <= size and enlarged <= MOST_ENLARGED
    assert max(seen) == size or enlarged == MOST_ENLARGED
    # Aspect is kept to half a pixel.
    assert abs(seen[0] - max(1, height * enlarged)) <= 0.5 + 1e-9 or seen[0] == 1
    assert abs(seen[1] - max(1, width * enlarged)) <= 0.5 + 1e-9 or seen[1] == 1


@given(SIDES, SIDES)
@settings(max_examples=40, deadline=None)
def test_a_fixed_size_holds_the_whole_picture(height: int, width: int) -> None:
    prepared = to_input(picture(height, width), Preprocess(size=512), 32, fixed=(64, 96))
    assert prepared.array.shape == (3, 64, 96)
    assert prepared.shape == view_shape((height, width), (64, 96))
    assert prepared.shape[0] <= 64 and prepared.shape[1] <= 96


def test_padding_repeats_the_edge() -> None:
    pixels = picture(3, 5)
    more = padded(pixels, (6, 9))
    expected = np.pad(pixels, ((0, 3), (0, 4), (0, 0)), mode="edge")
    assert np.array_equal(more, expected)
    assert padded(pixels, (3, 5)) is pixels


def test_what_fits_is_not_resampled() -> None:
    pixels = picture(40, 64)
    prepared = to_input(pixels, Preprocess(size=64), 32)
    assert prepared.shape == (40, 64)
    assert np.array_equal(prepared.array[:, :40], channels_of(pixels))


def test_shrinking_averages_areas() -> None:
    pixels = picture(8, 12)
    means = pixels.reshape(4, 2, 6, 2, 3).mean((1, 3))
    assert np.abs(resized(pixels, (4, 6)) - means).max() <= 0.5


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (2, 40_000)])
def test_long_strips(shape: tuple[int, int]) -> None:
    prepared = to_input(np.zeros((*shape, 3), np.uint8), Preprocess(size=64), 32)
    assert prepared.array.shape == ((3, 32, 64) if shape[0] < shape[1] else (3, 64, 32))
