"""Print against what is photographed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from forgecli.match.bands import FloatImage
from forgecli.match.printed import print_of
from tests.match.pictures import cells, mask_of_disc, photograph


def word(ground: float, ink: float, soft: float = 0.4) -> FloatImage:
    layer = np.zeros((60, 120), np.uint8)
    cv2.putText(layer, "siRNA", (12, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 3, cv2.LINE_AA)
    share = cv2.GaussianBlur(layer.astype(np.float32) / 255, (0, 0), soft)
    grain = np.random.default_rng(0).normal(0, 1.5, layer.shape)
    return np.asarray(ground + (ink - ground) * share + grain, np.float32)


BOX = np.zeros((60, 120), bool)
BOX[14:46, 10:110] = True


@pytest.mark.parametrize(("ground", "ink"), [(200.0, 30.0), (40.0, 150.0), (90.0, 240.0)])
def test_a_word_stands_at_two_levels_whatever_its_colour(ground: float, ink: float) -> None:
    found = print_of(word(ground, ink), BOX)
    assert found.plateau > 0.6
    assert found.crisp > 0.6
    assert found.quiet > 0.2


def test_a_photograph_does_not() -> None:
    image = photograph(cells((120, 160), 4, 30), noise=2).mean(axis=2).astype(np.float32)
    inside = mask_of_disc((120, 160), (80, 60), 40)
    found, soft = print_of(image, inside), print_of(word(200, 30, soft=4.0), BOX)
    assert found.plateau < 0.6
    assert found.crisp < 0.6
    assert soft.crisp < 0.45


def test_the_shares_are_those_of_the_pixels() -> None:
    """Two levels 100 apart, a step between them, and a tenth of the pixels in between."""
    image = np.full((20, 20), 50, np.float32)
    image[:, 8:10] = 100
    image[:, 10:] = 150
    inside = np.ones((20, 20), bool)
    found = print_of(image, inside)
    assert found.plateau == pytest.approx(0.9)
    assert found.crisp == pytest.approx(0.5)
    assert found.quiet == pytest.approx(16 / 20)


def test_a_flat_region_is_one_level_and_quiet() -> None:
    found = print_of(np.full((9, 9), 77, np.float32), np.ones((9, 9), bool))
    assert found == (1.0, 0.0, 1.0)
