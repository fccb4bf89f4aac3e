"""A data set in which what is copied is red, and a network that knows red when it sees it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engines.base import Engine, Images, Logits, Spec
from forgecli.segment.checkpoint import Card, save_checkpoint
from forgecli.segment.models.registry import build
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds

SIDE = 64


class RedEngine(Engine):
    """Logits 12 (red - blue - 0.25)."""

    def __init__(self) -> None:
        self.spec = Spec(multiple=4)

    def _infer(self, images: Images) -> Logits:
        red = images[:, :1] - images[:, 2:] - np.float32(0.25)
        return np.ascontiguousarray(red * np.float32(12))


def write_dataset(folder: Path, count: int) -> None:
    """So many pictures of either class, of common ids.

    A forged one has two squares of strong red, which are its mask. Every fourth authentic one has
    a weaker red square, every fifth forged one squares that nobody can see.
    """
    random = np.random.default_rng(0)
    for name in ("train_images/authentic", "train_images/forged", "train_masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        picture = random.integers(90, 110, (SIDE, SIDE, 3), dtype=np.uint8)
        authentic, forged = picture.copy(), picture.copy()
        mask = np.zeros((1, SIDE, SIDE), np.uint8)
        for left in (4, 40):
            top = int(random.integers(0, SIDE - 16))
            mask[0, top : top + 14, left : left + 14] = 1
        if index % 5:
            forged[mask[0] > 0] = (60, 60, 200)  # cv2: blue, green, red
        if index % 4 == 0:
            authentic[8:16, 8:16] = (60, 60, 140)
        cv2.imwrite(str(folder / f"train_images/authentic/{index}.png"), authentic)
        cv2.imwrite(str(folder / f"train_images/forged/{index}.png"), forged)
        np.save(folder / f"train_masks/{index}.npy", mask)


def write_checkpoint(weights: Path) -> None:
    """A checkpoint with random weights: tests put `RedEngine` in their place."""
    card = Card("simple-cnn", preprocess=Preprocess(size=SIDE), thresholds=Thresholds(pixel=0.3))
    save_checkpoint(weights, build("simple-cnn"), card)
