"""Small data sets whose every figure is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SHAPE = (40, 60)


def noise(seed: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """A coloured picture that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def mask(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """One instance per box (top, left, height, width): uint8 (N, H, W)."""
    planes = np.zeros((len(boxes), *shape), np.uint8)
    for plane, (top, left, height, width) in zip(planes, boxes, strict=True):
        plane[top : top + height, left : left + width] = 1
    return planes


class Maker:
    """Writes files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, name: str, pixels: NDArray[np.uint8] | int = 0) -> Path:
        """A picture, or the noise of a seed."""
        path = self._place(name)
        shown = noise(pixels) if isinstance(pixels, int) else pixels
        assert cv2.imwrite(str(path), shown)
        return path

    def mask(self, name: str, array: NDArray[np.generic]) -> Path:
        """A mask as it is given."""
        path = self._place(name)
        np.save(path, array, allow_pickle=False)
        return path

    def data(self, name: str, content: bytes) -> Path:
        """Any file."""
        path = self._place(name)
        path.write_bytes(content)
        return path

    def _place(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def clean(folder: Path) -> Maker:
    """Three authentic images, two forged ones, one of them with a twin; nothing is wrong."""
    made = Maker(folder)
    for number in (1, 2, 3):
        made.image(f"train_images/authentic/{number}.png", number)
    forged = noise(2)
    forged[:10, :10] = forged[20:30, 20:30]
    made.image("train_images/forged/2.png", forged)
    made.image("train_images/forged/4.png", 4)
    made.mask("train_masks/2.npy", mask((0, 0, 10, 10), (20, 20, 10, 14)))  # 240 of 2,400: 10 %
    made.mask("train_masks/4.npy", mask((0, 0, 2, 12)))  # 24 of 2,400: 1 %
    return made
