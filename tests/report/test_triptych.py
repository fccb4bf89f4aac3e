"""Panels at every size, with outlines where the truth is."""

from __future__ import annotations

import numpy as np
import pytest

from forgecli.report.triptych import outlined, panel


@pytest.mark.parametrize(
    ("shape", "size"),
    [((40, 60), (120, 180)), ((1280, 640), (640, 320)), ((640, 10), (640, 10)),
     ((1, 5000), (1, 640)), ((1, 1), (3, 3)), ((300, 320), (600, 640))],
)  # fmt: skip
def test_sizes(shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 90, np.uint8)
    drawn = panel(pixels)
    assert drawn.shape == (*size, 3)
    assert (drawn == 90).all()
    drawn[:] = 0
    assert (pixels == 90).all()
    whole = outlined(pixels, np.ones((1, *shape), np.uint8))
    assert whole.shape == (*size, 3)


def test_nothing_to_outline() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    assert (outlined(pixels, np.zeros((0, 50, 70), np.uint8)) == panel(pixels)).all()
    assert (outlined(pixels, np.zeros((1, 50, 70), np.uint8)) == panel(pixels)).all()


def test_a_speck_still_shows_when_reduced() -> None:
    pixels = np.zeros((2560, 2560, 3), np.uint8)
    truth = np.zeros((1, 2560, 2560), np.uint8)
    truth[0, 1000:1002, 2000:2002] = 255
    drawn = outlined(pixels, truth)
    ys, xs = np.nonzero(drawn.any(axis=2))
    assert abs(ys.mean() - 250) < 2 and abs(xs.mean() - 500) < 2
    assert (drawn[240:260, 490:510].max(axis=(0, 1)) > 100).any()


def test_instances_have_colours_of_their_own() -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    truth = np.zeros((2, 200, 200), np.uint8)
    truth[0, 20:60, 20:60] = 1
    truth[1, 120:160, 120:160] = 1
    drawn = outlined(pixels, truth)
    first, second = drawn[120, 120], drawn[420, 420]
    assert first.any() and second.any() and (first != second).any()
