from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.match.bands import bands_of
from forgecli.match.dense import dense_matches, discs_of
from forgecli.match.gpu import OnGpu
from forgecli.match.proposals import Matches
from forgecli.match.scaled import reduced, scaled_matches
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from tests.kernels.cuda.host import needs_compiler
from tests.match.devices import Watched
from tests.match.pictures import (
    Forgery,
    cells,
    clone,
    mask_of_disc,
    overlap,
    photograph,
    similarity,
    tissue,
)

SETTINGS = MatchSettings()
KINDS: dict[str, dict[str, float]] = {
    "half": {"scale": 0.5},
    "half and turned": {"scale": 0.5, "turn": 70.0},
    "half and mirrored": {"scale": 0.5, "mirrored": True, "turn": 20.0},
    "less": {"scale": 0.7, "turn": 200.0},
    "more": {"scale": 1.4},
    "twice": {"scale": 2.0, "turn": 35.0},
}


def forgery_of(kind: str) -> Forgery:
    scale = KINDS[kind]["scale"]
    grey = cells((260, 320), seed=3, count=60)
    affine = similarity((90, 90), (220, 150), **KINDS[kind])  # type: ignore[arg-type]
    return clone(grey, mask_of_disc(grey.shape, (90, 90), 44 if scale < 1 else 26), affine)


def found_in(pixels: NDArray[np.uint8], settings: MatchSettings = SETTINGS) -> Matches:
    bands, usable = bands_of(pixels), np.ones(pixels.shape[:2], bool)
    return scaled_matches(bands, usable, discs_of(bands, usable, settings), settings)


def true_ones(matches: Matches, forgery: Forgery) -> NDArray[np.bool_]:
    """Matches that the forgery's map explains, in either direction."""
    explained = np.zeros(len(matches), bool)
    for here, there in ((0, 2), (2, 0)):
        x, y = np.rint(matches[:, here : here + 2]).astype(int).T
        gone_to = matches[:, here : here + 2] @ forgery.affine[:, :2].T + forgery.affine[:, 2]
        near = np.hypot(*(gone_to - matches[:, there : there + 2]).T) < 1.5
        explained |= forgery.source[y, x] & near
    return explained


@pytest.mark.parametrize("kind", KINDS)
def test_a_scaled_copy_is_found_with_its_map_the_smaller_place_first(kind: str) -> None:
    forgery = forgery_of(kind)
    matches = found_in(photograph(forgery.grey))
    right = true_ones(matches, forgery)
    assert right.sum() >= 5
    assert right.mean() > 0.4  # drawn spots look alike at any scale
    linear = matches[right, 4:].reshape(-1, 2, 2)
    scale = KINDS[kind]["scale"]
    stretch = np.sqrt(np.abs(np.linalg.det(linear)))
    assert np.median(stretch) == pytest.approx(max(scale, 1 / scale), rel=0.05)


def test_the_plain_field_misses_what_it_finds() -> None:
    forgery = forgery_of("half and turned")
    bands = bands_of(photograph(forgery.grey))
    plain = dense_matches(bands, np.ones(bands.shape, bool), SETTINGS)
    assert true_ones(plain, forgery).sum() < 2


def test_a_picture_without_copies_gives_few() -> None:
    for grey in (tissue((300, 300), seed=8), cells((300, 300), seed=8, count=60)):
        assert len(found_in(photograph(grey, noise=1.0))) < 20


def test_as_many_ratios_as_asked_for() -> None:
    pixels = photograph(forgery_of("less").grey)
    assert len(found_in(pixels, replace(SETTINGS, scaled_ratios=0))) == 0
    once = len(found_in(pixels, replace(SETTINGS, scaled_ratios=1)))
    assert len(found_in(pixels, replace(SETTINGS, scaled_ratios=2))) > once


def test_only_usable_pixels_are_compared() -> None:
    forgery = forgery_of("half")
    bands = bands_of(photograph(forgery.grey))
    usable = np.ones(bands.shape, bool)
    usable[:, 160:] = False
    matches = scaled_matches(bands, usable, discs_of(bands, usable, SETTINGS), SETTINGS)
    assert not true_ones(matches, forgery).any()


@pytest.mark.parametrize("ratio", [2.0, 2**0.5])
@pytest.mark.parametrize("shape", [(60, 90), (61, 93)])
def test_pixels_of_the_reduced_image_lie_where_it_says(
    ratio: float, shape: tuple[int, int]
) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    image, usable = reduced(3 * x + 2 * y, x > 30, ratio)
    assert image.shape == (int(shape[0] / ratio), int(shape[1] / ratio))
    assert image.dtype == np.float32
    v, u = np.mgrid[: image.shape[0], : image.shape[1]]
    expected = 3 * ((u + 0.5) * ratio - 0.5) + 2 * ((v + 0.5) * ratio - 0.5)
    inner = slice(6, -6)
    np.testing.assert_allclose(image[inner, inner], expected[inner, inner], atol=0.2)
    assert np.abs(usable.sum(axis=1) * ratio - (shape[1] - 31)).max() <= 2


def test_reduced_noise_does_not_fold_into_shapes() -> None:
    fine = np.zeros((120, 120), np.float32)
    fine[::2] = 100.0  # lines that half as many pixels cannot show
    image, _ = reduced(fine, fine >= 0, 2.0)
    assert image[5:-5, 5:-5].std() < 3.0
    shapes = np.asarray(cv2.GaussianBlur(tissue((120, 120), seed=1), (0, 0), 4.0), np.float32)
    half, _ = reduced(shapes, shapes >= 0, 2.0)
    assert half.std() == pytest.approx(shapes.std(), rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (17, 400), (30, 40), (36, 36)])
@pytest.mark.parametrize("level", [0, 255])
def test_strange_pictures_have_none(shape: tuple[int, int], level: int) -> None:
    assert found_in(np.full((*shape, 3), level, np.uint8)).shape == (0, 8)
    noisy = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert len(found_in(noisy)) < 5


def test_the_search_grows_it() -> None:
    forgery = forgery_of("half and mirrored")
    pixels = photograph(forgery.grey)
    best = max(
        overlap(c.first.on(forgery.grey.shape) | c.second.on(forgery.grey.shape),
                forgery.source | forgery.copy)
        for c in search(pixels, SETTINGS).candidates
    )  # fmt: skip
    assert best > 0.6


@needs_compiler
def test_on_a_stand_in_for_a_gpu_it_is_the_same() -> None:
    forgery = forgery_of("half and turned")
    bands = bands_of(photograph(forgery.grey))
    usable = np.ones(bands.shape, bool)
    gpu = OnGpu(Watched())  # type: ignore[arg-type]
    expected = scaled_matches(bands, usable, discs_of(bands, usable, SETTINGS), SETTINGS)
    with gpu.holding(bands.low, bands.smooth, bands.middle):
        discs = discs_of(bands, usable, SETTINGS, gpu)
        found = scaled_matches(bands, usable, discs, SETTINGS, gpu)
    assert abs(len(found) - len(expected)) <= 1
    assert true_ones(found, forgery).sum() >= 5
