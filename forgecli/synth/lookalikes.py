"""Drawn from nothing: things of one make that look alike without being copies."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.canvas import Pixels

Grey = NDArray[np.float32]


def draw_lookalikes(rng: np.random.Generator) -> Pixels:
    """Beads, a lattice or the bands of a loading control: uint8 (H, W, 3).

    Every item has the same shape up to a little, and noise of its own. That is what sets it apart
    from a copy.
    """
    side = int(rng.integers(320, 900))
    height, width = side, round(side * float(rng.uniform(0.8, 1.5)))
    way = int(rng.integers(3))
    if way == 0:
        level = _beads(rng, height, width)
    elif way == 1:
        level = _lattice(rng, height, width)
    else:
        height = int(rng.integers(100, 220))
        level = _bands(rng, height, max(360, width))
    photons = float(np.exp(rng.uniform(np.log(15), np.log(150))))
    noisy = rng.poisson(np.clip(level, 0, None) * photons) / photons
    blurred = cv2.GaussianBlur(noisy.astype(np.float32), (0, 0), float(rng.uniform(0.4, 0.9)))
    top = float(rng.uniform(180, 250))
    grey = np.clip(blurred * top + rng.normal(0, 1.0, level.shape), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _beads(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Fluorescent beads: disks of nearly one size."""
    radius = float(rng.uniform(5, 16))
    level = np.full((height, width), float(rng.uniform(0.02, 0.1)), np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(int(rng.integers(25, 90))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        own = radius * float(rng.normal(1, 0.03))
        reach = int(own * 2.5) + 2
        box = (
            slice(max(0, int(y) - reach), int(y) + reach + 1),
            slice(max(0, int(x) - reach), int(x) + reach + 1),
        )
        far = np.hypot(rows[box] - y, columns[box] - x)
        bright = float(rng.uniform(0.6, 0.9))
        level[box] = np.maximum(level[box], bright / (1 + np.exp((far - own) / 1.2)))
    return level


def _lattice(rng: np.random.Generator, height: int, width: int) -> Grey:
    """A regular lattice, as of a grid, a mesh or atom columns."""
    pitch = float(rng.uniform(9, 32))
    turn = float(rng.uniform(0, np.pi))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = []
    for angle in (turn, turn + float(rng.choice([np.pi / 3, np.pi / 2]))):
        along = columns * np.cos(angle) + rows * np.sin(angle)
        waves.append(np.cos(2 * np.pi * along / pitch))
    level = 0.45 + 0.15 * waves[0] + 0.15 * waves[1]
    coarse = rng.normal(0, 0.06, (5, 5)).astype(np.float32)
    drift = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(level + drift, np.float32)


def _bands(rng: np.random.Generator, height: int, width: int) -> Grey:
    """One row of equal bands on a light ground."""
    lanes = int(rng.integers(4, 13))
    pitch = width / (lanes + 0.5)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    level = np.full((height, width), float(rng.uniform(0.75, 0.9)), np.float32)
    tall = float(rng.uniform(5, 14))
    bend = float(rng.uniform(-0.12, 0.12))
    for lane in range(lanes):
        x = (lane + 0.75) * pitch + float(rng.normal(0, 1))
        y = height / 2 + float(rng.normal(0, 1.5))
        half = pitch * 0.36 * float(rng.normal(1, 0.03))
        across = (columns - x) / half
        down = (rows - y + bend * tall * across**2) / tall
        depth = float(rng.uniform(0.5, 0.65))
        level -= depth * np.exp(-(across**4)) * np.exp(-(down**2))
    return np.clip(level, 0.02, 1)
