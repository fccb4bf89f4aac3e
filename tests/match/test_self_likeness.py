"""A region beside itself, against the plain sums, and of pictures whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from forgecli.match import self_likeness as module
from forgecli.match.bands import FloatImage
from tests.match.pictures import mask_of_disc


def noise(shape: tuple[int, int], sigma: float, seed: int = 0) -> FloatImage:
    random = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(random, (0, 0), sigma), np.float32)


def self_likeness(image: FloatImage, inside: np.ndarray) -> tuple[float, float]:
    """Of one band."""
    return module.self_likeness([image], inside)[0]


def test_bands_are_measured_apart() -> None:
    inside = mask_of_disc((50, 44), (22, 25), 14)
    bands = [noise((50, 44), 1.0), np.zeros((50, 44), np.float32), noise((50, 44), 2.0, 1)]
    alone = [self_likeness(band, inside) for band in bands]
    assert module.self_likeness(bands, inside) == [pytest.approx(one, abs=1e-6) for one in alone]


def plainly(image: FloatImage, inside: np.ndarray) -> tuple[float, float]:
    """The same by sums over every move."""
    height, width = image.shape
    values = np.where(inside, image - image[inside].mean(), 0).astype(float)
    count = np.count_nonzero(inside)
    wide = np.pad(values, ((height, height), (width, width)))
    mask = np.pad(inside, ((height, height), (width, width)))
    alike = np.zeros((2 * height - 1, 2 * width - 1))
    for dy in range(1 - height, height):
        for dx in range(1 - width, width):
            part = np.s_[height + dy : 2 * height + dy, width + dx : 2 * width + dx]
            under = mask[part] & inside
            if np.count_nonzero(under) < 0.3 * count:
                continue
            p, q = values[under], wide[part][under]
            alike[dy + height - 1, dx + width - 1] = p @ q / np.sqrt((p @ p) * (q @ q))
    peaks = []
    for dy in range(1 - height, height):
        for dx in range(1 - width, width):
            y, x = dy + height - 1, dx + width - 1
            near = alike[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            if np.hypot(dy, dx) >= 4 and alike[y, x] >= near.max():
                peaks.append(alike[y, x])
    best = 0.0
    turned, turned_mask = values[::-1, ::-1], inside[::-1, ::-1]
    wide = np.pad(turned, ((height, height), (width, width)))
    mask = np.pad(turned_mask, ((height, height), (width, width)))
    for dy in range(1 - height, height):
        for dx in range(1 - width, width):
            part = np.s_[height + dy : 2 * height + dy, width + dx : 2 * width + dx]
            under = mask[part] & inside
            if np.count_nonzero(under) >= 0.6 * count:
                p, q = values[under], wide[part][under]
                best = max(best, p @ q / np.sqrt((p @ p) * (q @ q)))
    return max(0.0, *peaks), best


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_the_plain_sums_say(seed: int) -> None:
    shape = (22 + seed, 30 - seed)
    inside = mask_of_disc(shape, (14, 11), 9)
    inside[9:13, 11:14] = False
    image = noise(shape, 1.0 + 0.5 * seed, seed)
    assert self_likeness(image, inside) == pytest.approx(plainly(image, inside), abs=1e-4)


@pytest.mark.parametrize("side", [60, 150])
def test_a_hatch_repeats_and_texture_does_not(side: int) -> None:
    y, x = np.mgrid[:side, :side]
    hatch = np.sin((x + y) * 2 * np.pi / 9).astype(np.float32)
    hatch += 0.3 * noise((side, side), 0.5)
    inside = mask_of_disc((side, side), (side // 2, side // 2), side // 2 - 4)
    assert self_likeness(hatch, inside)[0] > 0.8
    assert self_likeness(noise((side, side), 2.0), inside)[0] < 0.5


def test_a_round_object_is_its_own_mirror_image_and_a_hook_is_not() -> None:
    y, x = np.mgrid[:60, :60].astype(np.float32)
    round_one = np.exp(-((x - 27) ** 2 + (y - 31) ** 2) / 60).astype(np.float32)
    inside = mask_of_disc((60, 60), (30, 30), 20)
    assert self_likeness(round_one, inside)[1] > 0.95
    hook = np.zeros((60, 60), np.float32)
    cv2.polylines(hook, [np.array([[22, 18], [22, 42], [40, 42]])], False, 1.0, 5)
    soft = np.asarray(cv2.GaussianBlur(hook, (0, 0), 1.0), np.float32)
    assert self_likeness(soft, inside)[1] < 0.8


def test_what_holds_nothing_is_like_nothing() -> None:
    inside = mask_of_disc((40, 40), (20, 20), 12)
    assert self_likeness(np.full((40, 40), 7.3, np.float32), inside) == (0.0, 0.0)
    one = np.zeros((40, 40), bool)
    one[3, 4] = True
    assert self_likeness(noise((40, 40), 1.0), one) == (0.0, 0.0)
    ring = mask_of_disc((300, 300), (150, 150), 140) & ~mask_of_disc((300, 300), (150, 150), 120)
    assert self_likeness(noise((300, 300), 1.0), ring) == (0.0, 0.0)


def test_gain_and_offset_change_nothing() -> None:
    inside = mask_of_disc((50, 50), (25, 25), 16)
    image = noise((50, 50), 2.0)
    expected = self_likeness(image, inside)
    assert self_likeness(40 * image - 9, inside) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 60), (2, 40), (60, 1), (3, 3)])
def test_thin_regions_are_measured_too(shape: tuple[int, int]) -> None:
    inside = np.ones(shape, bool)
    for value in self_likeness(noise(shape, 1.0), inside):
        assert 0.0 <= value <= 1.0
