from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from forgecli.synth.paste import membrane, paste, soft_edge


def disk(side: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side // 2
    return np.hypot(x, y) <= radius


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 25),
    st.integers(1, 25),
    st.floats(0, 1),
    st.floats(0.1, 6),
)
def test_a_soft_edge_is_above_one_half_exactly_inside(
    seed: int, height: int, width: int, density: float, half_width: float
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < density
    alpha = soft_edge(mask, half_width)
    assert np.array_equal(alpha > 0.5, mask)
    assert alpha.min() >= 0 and alpha.max() <= 1


def test_a_soft_edge_is_as_wide_as_asked() -> None:
    mask = disk(61, 20)
    alpha = soft_edge(mask, 3.0)
    signed = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    assert (alpha[signed > 4] == 1).all()
    assert (alpha[signed < -4] == 0).all()
    assert ((alpha > 0) & (alpha < 1)).sum() > 0.8 * 2 * np.pi * 20 * 5


def test_a_thin_region_keeps_a_core() -> None:
    mask = np.zeros((20, 40), bool)
    mask[9:12] = True
    assert soft_edge(mask, 6.0).max() > 0.95


@pytest.mark.parametrize("mode", ["hard", "feather", "poisson"])
def test_nothing_changes_far_from_the_patch(mode: str) -> None:
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (50, 60, 3), np.uint8)
    patch = rng.uniform(0, 255, (50, 60, 3)).astype(np.float32)
    mask = np.zeros((50, 60), bool)
    mask[15:35, 20:40] = True
    out = paste(ground, patch, mask, mode, 2.0)
    far = ndimage.distance_transform_edt(~mask) > 3
    assert np.array_equal(out[far], ground[far])
    assert not np.array_equal(out[mask], ground[mask])


def test_a_hard_paste_is_the_patch_itself() -> None:
    rng = np.random.default_rng(1)
    ground = rng.integers(0, 256, (9, 9, 3), np.uint8)
    other = rng.integers(0, 256, (9, 9, 3), np.uint8)
    mask = disk(9, 3)
    out = paste(ground, other.astype(np.float32), mask, "hard", 1.0)
    assert np.array_equal(out, np.where(mask[:, :, None], other, ground))


@pytest.mark.parametrize("radius", [8, 60])  # the larger one is solved on a coarser grid
def test_a_membrane_continues_a_plane(radius: int) -> None:
    side = 2 * radius + 21
    y, x = np.mgrid[:side, :side].astype(np.float32)
    plane = np.stack([0.3 * x - 0.2 * y + 5, np.full_like(x, 7), -0.1 * x], axis=2)
    mask = disk(side, radius)
    hidden = np.where(mask[:, :, None], np.float32(99), plane)  # the inside is not to be used
    found = membrane(hidden if radius < 20 else plane, mask)
    assert np.abs(found[mask] - plane[mask]).max() < 0.6


def test_a_membrane_is_harmonic() -> None:
    rng = np.random.default_rng(2)
    mask = disk(31, 9)
    difference = rng.normal(0, 20, (31, 31, 3)).astype(np.float32)
    field = membrane(difference, mask)
    whole = np.where(mask[:, :, None], field, difference)
    for channel in range(3):
        laplace = ndimage.laplace(whole[:, :, channel].astype(np.float64))
        assert np.abs(laplace[mask]).max() < 1e-3


def test_poisson_blending_hides_a_difference_in_level() -> None:
    rng = np.random.default_rng(3)
    texture = ndimage.gaussian_filter(rng.normal(0, 40, (60, 60)), 1.5)
    ground = np.full((60, 60, 3), 150, np.uint8)
    patch = np.repeat((60 + texture)[:, :, None], 3, axis=2).astype(np.float32)
    mask = disk(60, 15)
    out = paste(ground, patch, mask, "poisson", 1.0).astype(float)
    assert abs(out[mask].mean() - 150) < 12
    inner = disk(60, 12)
    assert np.corrcoef(out[inner][:, 0], texture[inner])[0, 1] > 0.8
