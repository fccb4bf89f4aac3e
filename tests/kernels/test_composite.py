"""Pictures on a white page, against the formula in floating point."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.composite import over_white


def test_every_colour_and_alpha() -> None:
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    rgba = np.dstack([colour, 255 - colour, colour // 2, alpha]).astype(np.uint8)
    exact = rgba[:, :, :3] * (alpha / 255)[:, :, None] + 255 - alpha[:, :, None]
    out = over_white(rgba)
    assert np.abs(out - exact).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(out[255], rgba[255, :, :3])
    assert (out[0] == 255).all()


def test_premultiplied() -> None:
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    rgba = np.dstack([colour, colour, colour, alpha]).astype(np.uint8)
    expected = np.minimum(colour + 255 - alpha, 255)
    for channel in range(3):
        out = over_white(rgba, premultiplied=True)
        np.testing.assert_array_equal(out[:, :, channel], expected)


def test_shapes_and_memory_orders() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (7, 9, 4), dtype=np.uint8)
    expected = over_white(rgba)
    frozen = rgba.copy()
    frozen.flags.writeable = False
    for view in (frozen, np.asfortranarray(rgba), rgba[::-1].copy()[::-1]):
        np.testing.assert_array_equal(over_white(view), expected)
    for shape in ((0, 5), (5, 0)):
        assert over_white(np.zeros((*shape, 4), np.uint8)).shape == (*shape, 3)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3, 3), np.uint8), np.zeros((2, 4), np.uint8), np.zeros((2, 3, 4))]
)
def test_bad_arguments(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        over_white(array)
