from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from forgecli.match import proposals
from forgecli.match.bands import Bands, bands_of
from forgecli.match.keypoints import Keypoints, find_keypoints
from forgecli.match.proposals import Matches, propose, refine_proposals
from forgecli.match.settings import MatchSettings
from kernels import nearest
from tests.match.pictures import Forgery, cells, clone, mask_of_disc, photograph, similarity

SETTINGS = MatchSettings(upscale_below=512)
KINDS: dict[str, dict[str, float]] = {
    "moved": {},
    "turned": {"turn": 35.0},
    "upside down": {"turn": 180.0},
    "mirrored": {"mirrored": True},
    "mirrored and turned": {"mirrored": True, "turn": 70.0},
    "enlarged": {"scale": 1.25},
    "shrunk": {"scale": 0.8},
}


def forgery_of(kind: str) -> Forgery:
    grey = cells((220, 260), seed=3, count=45)
    affine = similarity((70, 70), (185, 150), **KINDS[kind])  # type: ignore[arg-type]
    return clone(grey, mask_of_disc(grey.shape, (70, 70), 32), affine)


@cache
def seen(kind: str) -> tuple[Bands, Keypoints]:
    bands = bands_of(photograph(forgery_of(kind).grey))
    return bands, find_keypoints(bands.grey, np.ones(bands.shape, bool), SETTINGS)


def true_ones(matches: Matches, forgery: Forgery, within: float) -> NDArray[np.bool_]:
    """Matches from the source to the copy that are no further than so many pixels off."""
    x, y = np.rint(matches[:, :2]).astype(int).T
    gone_to = matches[:, :2] @ forgery.affine[:, :2].T + forgery.affine[:, 2]
    near = np.hypot(*(gone_to - matches[:, 2:4]).T) < within
    return np.asarray(forgery.source[y, x] & near)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_proposed_and_refined(kind: str) -> None:
    forgery = forgery_of(kind)
    bands, keypoints = seen(kind)
    proposed = propose(keypoints, SETTINGS)
    right = true_ones(proposed, forgery, 3.0)
    assert right.sum() >= 10
    off = proposed[right, 4:] - forgery.affine[:, :2].ravel()
    assert np.median(np.abs(off)) < 0.1

    refined, correlation = refine_proposals(bands, proposed, SETTINGS)
    assert len(refined) == len(correlation)
    least = min(SETTINGS.min_patch_correlation, SETTINGS.min_fine_correlation)
    assert (correlation > least).all()
    right = true_ones(refined, forgery, 1.0)
    assert right.sum() >= 5
    assert correlation[right].mean() > 0.9
    off = refined[right, 4:] - forgery.affine[:, :2].ravel()
    assert np.median(np.abs(off)) < 0.05


@pytest.mark.parametrize("kind", ["moved", "mirrored"])
def test_proposals_keep_their_bounds(kind: str) -> None:
    bands, keypoints = seen(kind)
    proposed = propose(keypoints, SETTINGS)
    for matches in (proposed, refine_proposals(bands, proposed, SETTINGS)[0]):
        assert np.isfinite(matches).all()
        moved = np.hypot(*(matches[:, 2:4] - matches[:, :2]).T)
        assert (moved >= SETTINGS.min_distance).all()
        linear = matches[:, 4:].reshape(-1, 2, 2)
        stretch = np.linalg.svd(linear, compute_uv=False)
        scale = np.sqrt(stretch[:, 0] * stretch[:, 1])
        assert (scale > SETTINGS.wide_min_scale).all()
        assert (scale < SETTINGS.wide_max_scale).all()
        assert (stretch[:, 0] / stretch[:, 1] < SETTINGS.max_anisotropy + 1e-6).all()


STRONGLY_SCALED = {"half": 0.5, "twice": 2.0}


@pytest.mark.parametrize("kind", STRONGLY_SCALED)
def test_a_strongly_scaled_copy_is_found_where_several_matches_agree(kind: str) -> None:
    grey = cells((260, 300), seed=3, count=60)
    affine = similarity((70, 70), (200, 165), turn=20.0, scale=STRONGLY_SCALED[kind])
    forgery = clone(grey, mask_of_disc(grey.shape, (70, 70), 40), affine)
    bands = bands_of(photograph(forgery.grey))
    keypoints = find_keypoints(bands.grey, np.ones(bands.shape, bool), SETTINGS)
    proposed = propose(keypoints, SETTINGS)
    refined, _ = refine_proposals(bands, proposed, SETTINGS)
    assert true_ones(refined, forgery, 1.0).sum() >= SETTINGS.wide_support
    # Alone they do not count.
    alone = proposed[np.flatnonzero(true_ones(proposed, forgery, 3.0))[:1]]
    assert len(refine_proposals(bands, alone, SETTINGS)[0]) == 0
    near, _ = refine_proposals(bands, proposed, replace(SETTINGS, wide_support=65))
    assert true_ones(near, forgery, 1.0).sum() < SETTINGS.wide_support  # by chance, of other scale


def test_a_copy_blended_into_its_surroundings_is_known_by_its_texture() -> None:
    random = np.random.default_rng(2)
    grain = cv2.GaussianBlur(random.normal(0, 60, (220, 260)).astype(np.float32), (0, 0), 0.9)
    grey = np.asarray(120 + grain, np.float32)
    forgery = clone(grey, mask_of_disc(grey.shape, (70, 70), 16), similarity((70, 70), (180, 140)))
    shading = cv2.GaussianBlur(random.normal(0, 1, grey.shape).astype(np.float32), (0, 0), 3.0)
    shaded = np.where(forgery.copy, forgery.grey + 30 * shading / shading.std(), forgery.grey)
    bands = bands_of(photograph(shaded.astype(np.float32)))
    points = random.uniform(-6, 6, (40, 2)) + 70
    there = points @ forgery.affine[:, :2].T + forgery.affine[:, 2] + random.normal(0, 0.5, (40, 2))
    proposed = np.column_stack((points, there, np.tile(forgery.affine[:, :2].ravel(), (40, 1))))
    refined, _ = refine_proposals(bands, proposed, SETTINGS)
    by_shape, _ = refine_proposals(bands, proposed, replace(SETTINGS, half_alike=1.0))
    assert true_ones(by_shape, forgery, 1.0).sum() < 25
    assert true_ones(refined, forgery, 1.0).sum() > 32


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 2 * np.pi), st.floats(0, 2 * np.pi), st.floats(0.7, 1.5), st.booleans())
def test_the_map_takes_one_frame_to_the_other(
    first: float, second: float, scale: float, mirrored: bool
) -> None:
    keypoints = Keypoints(
        points=np.array([[10.0, 20.0], [90.0, 70.0]]),
        sizes=np.array([3.0, 3.0 * scale]),
        angles=np.array([first, second]),
        descriptors=np.zeros((2, 128), np.float32),
    )
    (match,) = proposals._maps(keypoints, np.array([0]), np.array([1]), mirrored)
    linear = match[4:].reshape(2, 2)
    np.testing.assert_array_equal(match[:4], [10, 20, 90, 70])
    along = linear @ (np.cos(first), np.sin(first))
    np.testing.assert_allclose(along, scale * np.array([np.cos(second), np.sin(second)]), atol=1e-9)
    assert np.linalg.det(linear) == pytest.approx(scale**2 * (-1 if mirrored else 1))
    np.testing.assert_allclose(linear @ linear.T, scale**2 * np.eye(2), atol=1e-9)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    _, keypoints = seen("turned")
    whole = propose(keypoints, SETTINGS)
    monkeypatch.setattr(nearest, "_BLOCK", 100)
    np.testing.assert_allclose(propose(keypoints, SETTINGS), whole, atol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6])
def test_few_keypoints(count: int) -> None:
    random = np.random.default_rng(0)
    descriptors = random.random((count, 128), np.float32)
    keypoints = Keypoints(
        points=random.uniform(0, 500, (count, 2)),
        sizes=np.full(count, 3.0),
        angles=random.uniform(0, 6, count),
        descriptors=descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True),
    )
    matches = propose(keypoints, SETTINGS)
    assert matches.shape[1] == 8
    bands = bands_of(photograph(cells((60, 60), 1, 3)))
    refined, correlation = refine_proposals(bands, matches, SETTINGS)
    assert refined.shape == (len(correlation), 8)
