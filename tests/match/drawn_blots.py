"""Blots with bands at known places, drawn from noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from forgecli.detection import Affine
from forgecli.match.bands import Bands, FloatImage, bands_of
from tests.match.pictures import Pixels, photograph


@dataclass(frozen=True)
class DrawnBlot:
    """A blot.

    Attributes:
        grey: float32 (H, W).
        centres: float64 (rows, columns, 2), x and y of its bands.
    """

    grey: FloatImage
    centres: np.ndarray


def blot(
    seed: int,
    *,
    rows: int = 2,
    columns: int = 6,
    pitch: tuple[int, int] = (60, 52),
    size: tuple[float, float] = (18.0, 5.0),
    ground: float = 205.0,
    depth: float = 110.0,
) -> DrawnBlot:
    """Rows of dark bands of nearly one form, each with its own outline, strength and grain.

    Args:
        pitch: pixels between lanes and between rows.
        size: half the width and half the height of a band.
    """
    random = np.random.default_rng(seed)
    height, width = pitch[1] * rows + 20, pitch[0] * columns + 20
    dark = np.zeros((height, width), np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centres = np.zeros((rows, columns, 2))
    for row in range(rows):
        for column in range(columns):
            middle_x = 10 + pitch[0] * (column + 0.5) + random.uniform(-2, 2)
            middle_y = 10 + pitch[1] * (row + 0.5) + random.uniform(-2, 2)
            centres[row, column] = middle_x, middle_y
            wide = size[0] * random.uniform(0.94, 1.06)
            tall = size[1] * random.uniform(0.9, 1.1)
            along = (x - middle_x) / wide
            bend = random.uniform(-1.5, 1.5) * along**2 + random.uniform(-1, 1) * along
            bend += random.uniform(0.4, 1.0) * np.sin(4 * along + random.uniform(0, 6))
            tall = tall * (1 + 0.2 * np.sin(3 * along + random.uniform(0, 6)))
            across = (y - middle_y - bend) / tall
            dark += random.uniform(0.6, 1.0) * np.exp(-(np.abs(along) ** 5) - np.abs(across) ** 2.5)
    grain = cv2.GaussianBlur(random.normal(size=dark.shape).astype(np.float32), (0, 0), 1.3)
    uneven = cv2.GaussianBlur(random.normal(size=dark.shape).astype(np.float32), (0, 0), 3.0)
    dark *= 1 + 0.06 * grain / grain.std() + 0.12 * uneven / uneven.std()
    grey = ground - depth * dark + 1.5 * grain / grain.std()
    return DrawnBlot(np.asarray(grey, np.float32), centres)


def copied(
    grey: FloatImage,
    affine: Affine,
    box: tuple[int, int, int, int],
    *,
    gain: float = 1.0,
    offset: float = 0.0,
) -> FloatImage:
    """Paste what stands in a box (left, top, right, bottom) where a map takes it, softly."""
    left, top, right, bottom = box
    size = (grey.shape[1], grey.shape[0])
    inside = np.zeros(grey.shape, np.float32)
    inside[top:bottom, left:right] = 1
    moved = cv2.warpAffine(grey, affine, size, flags=cv2.INTER_CUBIC)
    moved = gain * (moved - 205) + 205 + offset
    weight = cv2.warpAffine(cv2.GaussianBlur(inside, (0, 0), 0.8), affine, size)
    return np.asarray(weight * moved + (1 - weight) * grey, np.float32)


def views_of(grey: FloatImage, *, noise: float = 1.0, seed: int = 0) -> Bands:
    """What the detector sees of a grey image once it is a file."""
    return bands_of(pixels_of(grey, noise=noise, seed=seed))


def pixels_of(grey: FloatImage, *, noise: float = 1.0, seed: int = 0) -> Pixels:
    """The file of a grey image."""
    return photograph(grey, noise=noise, seed=seed)
