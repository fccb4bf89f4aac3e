"""From samples of any type to 8-bit RGB, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forgecli.cases.formats.header import Alpha
from forgecli.cases.render import to_rgb8
from tests.corpus.scenes import scene


def test_8_bit_samples_stay() -> None:
    rgb, warnings = to_rgb8(scene(3))
    np.testing.assert_array_equal(rgb, scene(3))
    assert warnings == []
    grey = scene(1)
    for form in (grey, grey[:, :, 0]):
        rgb, _ = to_rgb8(form)
        np.testing.assert_array_equal(rgb, np.repeat(grey, 3, axis=2))


def test_bool_becomes_black_and_white() -> None:
    mask = scene(1)[:, :, 0] > 128
    np.testing.assert_array_equal(to_rgb8(mask)[0][:, :, 1], mask * 255)


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        st.sampled_from(["i1", "i2", "u2", "i4", "u4", "u8", "f2", "f4", "f8"]),
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3)),
    )
)
def test_other_types_are_scaled_from_their_own_range(samples: np.ndarray) -> None:
    rgb, warnings = to_rgb8(samples)
    wide = samples.astype(np.longdouble)
    finite = np.isfinite(wide)
    assert bool(warnings) == (not finite.all())
    low = wide[finite].min() if finite.any() else 0
    high = wide[finite].max() if finite.any() else 0
    span = high - low
    if span == 0:
        assert not rgb[finite].any()
    elif span < 1e300:
        exact = (wide[finite] - low) / span * 255
        assert np.abs(rgb[finite] - exact).max() <= 0.5 + 1e-6
    assert (rgb[np.isnan(wide)] == 0).all()
    if span > 0:
        assert (rgb[wide == np.inf] == 255).all()
    assert (rgb[wide == -np.inf] == 0).all()


def test_large_pictures_are_scaled_as_small_ones() -> None:
    """They are scaled in blocks of rows."""
    samples = np.random.default_rng(0).normal(size=(2100, 700)).astype(np.float32)
    rgb, _ = to_rgb8(samples)
    low, high = samples.min(), samples.max()
    exact = (samples.astype(np.float64) - low) / (float(high) - low) * 255
    assert np.abs(rgb[:, :, 0] - exact).max() <= 0.5 + 1e-6


def test_12_bits_in_16_keep_their_contrast() -> None:
    samples = (scene(1, "u2") >> 4)[:, :, 0]
    rgb, _ = to_rgb8(samples)
    assert rgb.min() == 0
    assert rgb.max() == 255


def composite(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[:, :, 3:].astype(np.float64) / 255
    return np.floor(rgba[:, :, :3] * alpha + 255 * (1 - alpha) + 0.5)


def test_alpha_is_composited_on_white() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    rgb, warnings = to_rgb8(rgba, Alpha.STRAIGHT)
    assert warnings == []
    assert np.abs(rgb - composite(rgba)).max() == 0


def test_premultiplied_alpha() -> None:
    rgba = np.array([[[10, 100, 0, 100], [200, 255, 9, 100], [7, 8, 9, 255]]], np.uint8)
    rgb, _ = to_rgb8(rgba, Alpha.PREMULTIPLIED)
    np.testing.assert_array_equal(rgb, [[[165, 255, 155], [255, 255, 164], [7, 8, 9]]])


def test_opaque_and_meaningless_alpha_change_nothing() -> None:
    rgba = scene(4)
    np.testing.assert_array_equal(to_rgb8(rgba, Alpha.NONE)[0], rgba[:, :, :3])
    rgba[:, :, 3] = 255
    np.testing.assert_array_equal(to_rgb8(rgba, Alpha.STRAIGHT)[0], rgba[:, :, :3])


def test_alpha_that_hides_everything_is_ignored() -> None:
    rgba = scene(4)
    rgba[:, :, 3] = 0
    rgb, warnings = to_rgb8(rgba, Alpha.STRAIGHT)
    np.testing.assert_array_equal(rgb, rgba[:, :, :3])
    assert "transparent" in warnings[0]


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_deep_alpha(dtype: str) -> None:
    """Colours are scaled from their own range, alpha from its type's."""
    deep = scene(4, dtype)
    deep[0, 0, :3] = 0
    deep[0, 1, :3] = 1 if dtype == "f4" else 65535
    top = 1 if dtype == "f4" else 65535
    rgba = np.rint(deep / np.float64(top) * 255).astype(np.uint8)
    rgb, _ = to_rgb8(deep, Alpha.STRAIGHT)
    assert np.abs(rgb - composite(rgba)).max() <= 1
    plain, _ = to_rgb8(deep, Alpha.NONE)
    assert np.abs(plain.astype(int) - rgba[:, :, :3]).max() <= 1


def test_read_only_input_is_left_alone() -> None:
    for samples in (scene(4), scene(3, "u2"), scene(1)):
        before = samples.copy()
        samples.flags.writeable = False
        to_rgb8(samples, Alpha.STRAIGHT if samples.shape[2] == 4 else Alpha.NONE)
        np.testing.assert_array_equal(samples, before)
