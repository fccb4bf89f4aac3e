"""Small pictures drawn from nothing, for the tests of synth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def nuclei(
    seed: int = 0, height: int = 240, width: int = 320, count: int = 14
) -> NDArray[np.uint8]:
    """Bright textured disks on a dark ground, with noise. They do not touch."""
    rng = np.random.default_rng(seed)
    level = np.full((height, width), 18.0)
    taken = np.zeros((height, width), np.uint8)
    for _ in range(40 * count):
        radius = int(rng.integers(9, 14))
        x, y = int(rng.integers(20, width - 20)), int(rng.integers(20, height - 20))
        disk = np.zeros((height, width), np.uint8)
        cv2.circle(disk, (x, y), radius, 1, -1)
        if (taken & cv2.dilate(disk, np.ones((9, 9), np.uint8))).any():
            continue
        taken |= disk
        texture = cv2.GaussianBlur(rng.normal(0, 60, (height, width)), (0, 0), 2.0)
        level = np.where(disk > 0, 120 + 2 * texture, level)
        count -= 1
        if count == 0:
            break
    level = cv2.GaussianBlur(level, (0, 0), 1.0) + rng.normal(0, 1.5, level.shape)
    return grey_picture(level)


def tissue(seed: int = 0, height: int = 260, width: int = 300) -> NDArray[np.uint8]:
    """Coloured texture everywhere: nothing repeats and nothing is flat."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)), (0, 0), sigma) * sigma * gain
        for sigma, gain in ((1.0, 20), (3.0, 45), (9.0, 60))
    ]
    level = np.array([190.0, 120.0, 170.0]) + sum(layers)
    return np.clip(level, 0, 255).astype(np.uint8)


def blot(seed: int = 0, height: int = 120, width: int = 420, rows: int = 2) -> NDArray[np.uint8]:
    """Rows of six dark soft bands on a light ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    level = np.full((height, width), 225.0) + 6 * np.sin(x / 90)
    for row in range(rows):
        for lane in range(6):
            middle_x = 45 + lane * 65 + rng.normal(0, 1)
            middle_y = (row + 0.5) * height / rows + rng.normal(0, 1)
            shape = np.exp(-(((x - middle_x) / 20) ** 4) - ((y - middle_y) / 5) ** 2)
            level -= rng.uniform(90, 170) * shape
    return grey_picture(level + rng.normal(0, 1.2, level.shape))


def chart(seed: int = 0, height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    """Axes and a line on white."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 255, np.uint8)
    cv2.rectangle(picture, (30, 20), (width - 20, height - 30), (0, 0, 0), 1)
    ups = rng.integers(40, height - 50, 12)
    points = np.stack([np.linspace(40, width - 30, 12).astype(int), ups], axis=1)
    cv2.polylines(picture, [points.astype(np.int32)], False, (200, 30, 30), 2)
    return picture


def grey_picture(level: NDArray[np.float64]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) of one channel."""
    return np.repeat(np.clip(np.rint(level), 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
