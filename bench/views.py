"""A folder's pictures as the peers of `bench.predict` read and see them: by PIL and OpenCV."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgecli.segment.checkpoint import Card

Image.MAX_IMAGE_PIXELS = None
MULTIPLE = 32
_SUFFIXES = (".png", ".jpg", ".tif")


def refuse_tiles(card: Card) -> None:
    """End the program if a network does not see pictures as a whole, as all but forge show them:
    they would do other work than forge, and find something else."""
    if card.preprocess.view != "resize":
        sys.exit(
            f"the network's view is {card.preprocess.view!r}: what forge is compared with shows it "
            "the picture as a whole and puts no tiles together; name a network of the view 'resize'"
        )


def files_of(folder: Path) -> list[Path]:
    """The pictures, by name."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)


def pillow_rgb(file: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) by PIL; deeper samples are stretched between their ends."""
    with Image.open(file) as opened:
        if opened.mode.startswith("I"):
            deep = np.asarray(opened).astype(np.float64)
            low, high = deep.min(), deep.max()
            grey = np.floor((deep - low) / max(high - low, 1) * 255 + 0.5).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.asarray(opened.convert("RGB"))


def shown(pixels: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The picture as the network sees it, padded, and the (h, w) that is not padding."""
    height, width = pixels.shape[:2]
    scale = min(size / height, size / width, 4.0)
    h, w = min(max(1, round(height * scale)), size), min(max(1, round(width * scale)), size)
    how = cv2.INTER_AREA if h * w < height * width else cv2.INTER_LINEAR
    small = cv2.resize(pixels, (w, h), interpolation=how)
    more = cv2.copyMakeBorder(small, 0, -h % MULTIPLE, 0, -w % MULTIPLE, cv2.BORDER_REPLICATE)
    return np.asarray(more, np.uint8), (h, w)
