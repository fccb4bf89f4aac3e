from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.match.bands import bands_of
from forgecli.match.dense import dense_matches
from forgecli.match.proposals import Matches, refine_proposals
from forgecli.match.settings import MatchSettings
from tests.match.pictures import (
    Forgery,
    cells,
    clone,
    mask_of_disc,
    photograph,
    similarity,
    tissue,
)

SETTINGS = MatchSettings()
COARSE = replace(SETTINGS, dense_every_pixel=0)
KINDS: dict[str, dict[str, float]] = {
    "moved": {},
    "turned": {"turn": 35.0},
    "upside down": {"turn": 180.0},
    "mirrored": {"mirrored": True},
    "mirrored and turned": {"mirrored": True, "turn": 70.0},
    "enlarged": {"scale": 1.1},
    "shrunk": {"scale": 0.9},
}


def forgery_of(kind: str, radius: int = 24) -> Forgery:
    grey = cells((220, 260), seed=3, count=45)
    affine = similarity((70, 70), (185, 150), **KINDS[kind])  # type: ignore[arg-type]
    return clone(grey, mask_of_disc(grey.shape, (70, 70), radius), affine)


def everywhere(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.ones(pixels.shape[:2], bool)


def true_ones(matches: Matches, forgery: Forgery, within: float) -> NDArray[np.bool_]:
    """Matches from the source to the copy, the upper first, no further than so many pixels off."""
    x, y = np.rint(matches[:, :2]).astype(int).T
    gone_to = matches[:, :2] @ forgery.affine[:, :2].T + forgery.affine[:, 2]
    near = np.hypot(*(gone_to - matches[:, 2:4]).T) < within
    return np.asarray(forgery.source[y, x] & near)


@pytest.mark.parametrize("settings", [SETTINGS, COARSE], ids=["every pixel", "every second"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_found_with_its_map(kind: str, settings: MatchSettings) -> None:
    forgery = forgery_of(kind)
    pixels = photograph(forgery.grey)
    matches = dense_matches(bands_of(pixels), everywhere(pixels), settings)
    right = true_ones(matches, forgery, 2.5)
    assert right.sum() >= 5
    # They are the best supported: what is tried first.
    assert right[:5].mean() >= 0.6
    off = np.abs(matches[right, 4:] - forgery.affine[:, :2].ravel())
    assert np.median(off) < 0.08
    refined, _ = refine_proposals(bands_of(pixels), matches, settings)
    assert true_ones(refined, forgery, 0.5).sum() >= 5


def test_a_small_smooth_copy_in_a_jpeg_is_found() -> None:
    texture = tissue((400, 420), seed=5, contrast=25.0)
    grey = np.asarray(cv2.GaussianBlur(texture, (0, 0), 2.0), np.float32)
    source = np.zeros(grey.shape, bool)
    source[100:132, 110:142] = True
    forgery = clone(grey, source, similarity((126, 116), (300, 290), turn=90.0))
    pixels = photograph(forgery.grey, noise=1.0, quality=85)
    matches = dense_matches(bands_of(pixels), everywhere(pixels), SETTINGS)
    assert true_ones(matches, forgery, 2.5).any()


def test_an_authentic_picture_gives_few() -> None:
    pixels = photograph(tissue((300, 300), seed=8), noise=1.0)
    assert len(dense_matches(bands_of(pixels), everywhere(pixels), SETTINGS)) < 20


def test_matches_stay_on_usable_pixels_and_apart() -> None:
    forgery = forgery_of("moved")
    pixels = photograph(forgery.grey)
    usable = everywhere(pixels)
    usable[:, 130:] = False
    matches = dense_matches(bands_of(pixels), usable, SETTINGS)
    assert not true_ones(matches, forgery, 3.0).any()
    tiled = np.tile(pixels[:80, :80], (3, 3, 1))
    many = dense_matches(bands_of(tiled), everywhere(tiled), replace(SETTINGS, dense_matches=50))
    assert len(many) == 50
    assert (np.hypot(*(many[:, :2] - many[:, 2:4]).T) >= SETTINGS.min_distance - 1.5).all()
    assert (many[:, 1] <= many[:, 3]).all()


@pytest.mark.parametrize("shape", [(1, 1), (16, 400), (17, 17), (40, 30)])
@pytest.mark.parametrize("level", [0, 255])
def test_strange_pictures_have_no_copies(shape: tuple[int, int], level: int) -> None:
    pixels = np.full((*shape, 3), level, np.uint8)
    assert dense_matches(bands_of(pixels), everywhere(pixels), SETTINGS).shape == (0, 8)
    noisy = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert len(dense_matches(bands_of(noisy), everywhere(noisy), SETTINGS)) < 5


def test_the_same_each_time() -> None:
    pixels = photograph(forgery_of("turned").grey)
    first = dense_matches(bands_of(pixels), everywhere(pixels), SETTINGS)
    second = dense_matches(bands_of(pixels), everywhere(pixels), SETTINGS)
    np.testing.assert_array_equal(first, second)
