"""Fields of view drawn from nothing: what a microscope or a blot imager might have seen.

Everything is float32 (H, W) or (H, W, 3), 0 to 255, without noise; `expose` adds the noise of the
camera last, so that no two things that were drawn ever agree by chance.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def grain(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Field:
    """Smooth random texture with a standard deviation of 1."""
    field = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), sigma)
    return np.asarray(field / field.std(), np.float32)


def body(
    rng: np.random.Generator,
    shape: tuple[int, int],
    place: tuple[float, float],
    radii: tuple[float, float],
    angle: float,
    rough: float = 0.06,
) -> Field:
    """A cell-like shape: 1 deep inside, 0.5 on its outline, 0 outside, with a soft rim of 2 px."""
    x, y = place
    reach = int(1.6 * max(radii)) + 8  # nothing is left of it farther away
    box = (
        slice(max(0, int(y) - reach), min(shape[0], max(0, int(y) + reach))),
        slice(max(0, int(x) - reach), min(shape[1], max(0, int(x) + reach))),
    )
    rows, columns = (index.astype(np.float32) for index in np.mgrid[box])
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = -(columns - x) * np.sin(angle) + (rows - y) * np.cos(angle)
    around = np.arctan2(across / radii[1], along / radii[0])
    radius = np.ones_like(around)
    for wave in range(2, 6):
        radius += rough * rng.normal() / wave * np.cos(wave * around + rng.uniform(0, 2 * np.pi))
    depth = radius - np.hypot(along / radii[0], across / radii[1])
    whole = np.zeros(shape, np.float32)
    whole[box] = 1 / (1 + np.exp(np.clip(-depth * min(radii) / 0.8, -30, 30)))
    return whole


def scatter(
    rng: np.random.Generator, shape: tuple[int, int], count: int, apart: float, margin: float = 0
) -> list[tuple[float, float]]:
    """Places (x, y) that keep a distance from each other."""
    places: list[tuple[float, float]] = []
    for _ in range(60 * count):
        x = float(rng.uniform(margin, shape[1] - margin))
        y = float(rng.uniform(margin, shape[0] - margin))
        if all((x - u) ** 2 + (y - v) ** 2 > apart**2 for u, v in places):
            places.append((x, y))
            if len(places) == count:
                break
    return places


def nuclei(
    rng: np.random.Generator, shape: tuple[int, int], count: int = 26, size: float = 19
) -> tuple[Field, list[NDArray[np.bool_]]]:
    """Stained nuclei with chromatin and nucleoli in a dark field, and the mask of each."""
    level = 12 + 3 * grain(rng, shape, 40)
    texture = 1 + 0.16 * grain(rng, shape, 1.6) + 0.14 * grain(rng, shape, 4.5)
    masks = []
    for x, y in scatter(rng, shape, count, 2.7 * size, 0.3 * size):
        radii = (size * float(rng.uniform(1.0, 1.35)), size * float(rng.uniform(0.75, 0.95)))
        cell = body(rng, shape, (x, y), radii, float(rng.uniform(0, np.pi)))
        chromatin = texture.copy()
        for _ in range(int(rng.integers(1, 4))):
            away = rng.normal(0, 0.35 * size, 2)
            spot = body(rng, shape, (x + away[0], y + away[1]), (3.4, 2.8), 0.0)
            chromatin -= 0.45 * spot
        bright = float(rng.uniform(70, 165))
        level += cell * bright * np.clip(chromatin, 0.2, 2)
        masks.append(cell > 0.12)
    haze = cv2.GaussianBlur(level, (0, 0), 22)
    return np.asarray(cv2.GaussianBlur(level, (0, 0), 0.9) + 0.12 * haze, np.float32), masks


def phase_contrast(rng: np.random.Generator, shape: tuple[int, int], count: int = 40) -> Field:
    """Spindle-shaped living cells: dark bodies with granules, bright halos, on grey."""
    thick = np.zeros(shape, np.float32)
    for x, y in scatter(rng, shape, count, 34):
        radii = (float(rng.uniform(24, 46)), float(rng.uniform(7, 12)))
        angle = float(rng.normal(0.5, 0.6))
        cell = body(rng, shape, (x, y), radii, angle, 0.14)
        core = body(rng, shape, (x, y), (9, 6.5), angle)
        thick = np.maximum(thick, cell * (0.75 + 0.5 * core))
    granules = grain(rng, shape, 1.1) * 9 + grain(rng, shape, 2.2) * 7
    halo = cv2.GaussianBlur(thick, (0, 0), 6) - thick
    edge = cv2.GaussianBlur(thick, (0, 0), 1.5) - cv2.GaussianBlur(thick, (0, 0), 3)
    level = 132 + 95 * halo - 120 * edge + granules * np.clip(thick, 0.12, 1)
    return np.asarray(level + 5 * grain(rng, shape, 60), np.float32)


def tissue(rng: np.random.Generator, shape: tuple[int, int], count: int = 190) -> Field:
    """A stained section: pink fibres, purple nuclei, pale gaps; (H, W, 3)."""
    fibres = grain(rng, shape, 2.0) * 0.5 + grain(rng, shape, 7) * 0.8
    pink = np.array([222, 160, 196], np.float32) + fibres[:, :, None] * [9.0, 17.0, 9.0]
    gaps = np.clip(grain(rng, shape, 16) - 1.2, 0, 1)[:, :, None]
    level = pink * (1 - gaps) + np.array([246, 242, 246]) * gaps
    chromatin = 15 * grain(rng, shape, 1.4)[:, :, None]
    for x, y in scatter(rng, shape, count, 17):
        radii = (float(rng.uniform(6, 9.5)), float(rng.uniform(4.5, 7)))
        cell = body(rng, shape, (x, y), radii, float(rng.uniform(0, np.pi)))[:, :, None]
        purple = np.array([104, 66, 148], np.float32) * float(rng.uniform(0.85, 1.25))
        stain = purple + chromatin
        level = level * (1 - 0.9 * cell) + stain * 0.9 * cell
    return np.asarray(cv2.GaussianBlur(level.astype(np.float32), (0, 0), 0.8), np.float32)


def band_rows(
    rng: np.random.Generator, shape: tuple[int, int], depths: NDArray[np.float64]
) -> tuple[Field, list[tuple[int, int, int, int]]]:
    """One strip of a blot, and the box (x, y, width, height) around each band.

    Args:
        depths: darkness of the band of each lane, 0 to 1.
    """
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    pitch = width / len(depths)
    level = 214 + 7 * grain(rng, shape, 28) + 2.0 * grain(rng, shape, 1.6)
    boxes = []
    for lane, depth in enumerate(depths):
        x, y = (lane + 0.5) * pitch + rng.normal(0, 1.2), height / 2 + rng.normal(0, 1.5)
        half = pitch * float(rng.uniform(0.33, 0.38))
        tall = float(rng.uniform(5.0, 7.0)) * (0.8 + 0.4 * depth)
        tilt, bend = float(rng.normal(0, 0.9)), float(rng.uniform(-1.5, 2.5))
        across = (columns - x) / half
        down = (rows - y - tilt * across - bend * across**2) / tall
        uneven = 1 + 0.13 * grain(rng, shape, 5) + 0.1 * grain(rng, shape, 2)
        level -= 185 * depth * uneven * np.exp(-(np.abs(across) ** 5)) * np.exp(-(down**2))
        level -= 14 * depth * np.exp(-(across**4)) * np.exp(-((down / 4) ** 2))
        wide, high = round(2.5 * half), round(4.6 * tall)
        boxes.append((round(x) - wide // 2, round(y) - high // 2, wide, high))
    return np.asarray(np.clip(level, 12, 250), np.float32), boxes


def expose(rng: np.random.Generator, level: Field, gain: float = 0.05) -> NDArray[np.uint8]:
    """What a camera makes of it: photon noise, read-out noise, 8 bits.

    Args:
        gain: grey levels squared of noise per grey level.
    """
    noise = rng.normal(0, 1, level.shape) * np.sqrt(gain * np.clip(level, 0, None) + 0.6)
    return np.clip(np.rint(level + noise), 0, 255).astype(np.uint8)
