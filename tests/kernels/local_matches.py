"""Smooth random images and local affine matches in them, for Hypothesis and for plain tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]
Matches = NDArray[np.float64]


def texture(shape: tuple[int, int], seed: int, sigma: float = 1.5, contrast: float = 20.0) -> Image:
    """Smooth noise of the given standard deviation, float32 (H, W), C-contiguous."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, sigma)
    spread = float(smooth.std()) if smooth.size else 0.0
    scale = contrast / spread if spread > 0 else 0.0
    return np.ascontiguousarray(smooth * scale, dtype=np.float32)


def linear(turn: float, scale: float, mirrored: bool) -> NDArray[np.float64]:
    """A similarity's 2x2 matrix; `turn` in degrees."""
    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * rotation @ np.diag([1.0, -1.0 if mirrored else 1.0])


def sample(image: Image, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear samples at points inside the image, float64."""
    return ndimage.map_coordinates(image.astype(np.float64), [y, x], order=1, mode="nearest")


def match_of(
    first: tuple[float, float], second: tuple[float, float], matrix: NDArray[np.float64]
) -> Matches:
    """One match, float64 (1, 8)."""
    return np.array([[*first, *second, *matrix.ravel()]], np.float64)


@st.composite
def images_and_matches(draw: st.DrawFn, longest: int = 70) -> tuple[Image, Matches]:
    """An image, which may be flat or without a pixel, and matches inside and outside of it."""
    # Most images are large enough for a patch.
    sides = st.one_of(st.integers(0, longest), st.integers(longest // 2, longest))
    height, width = draw(sides), draw(sides)
    contrast = draw(st.sampled_from([20.0, 20.0, 20.0, 0.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = texture((height, width), draw(st.integers(0, 1000)), contrast=contrast)
    image += np.float32(draw(st.sampled_from([0.0, 100.0])))
    count = draw(st.sampled_from([20, 5, 1, 0]))
    points = random.uniform(-10, 10 + np.array([width, height] * 2), (count, 4))
    if draw(st.booleans()):
        points = np.rint(points)
    maps = [
        linear(random.uniform(0, 360), random.uniform(0.6, 1.7), bool(random.integers(2))).ravel()
        for _ in range(count)
    ]
    return image, np.column_stack((points, np.array(maps).reshape(-1, 4)))
