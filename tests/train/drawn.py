"""A data set of drawn pictures, so small that tests are quick."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SHAPE = (60, 80)


def textured(seed: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), a smooth random texture."""
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 2)
    grey = np.clip(128 + 250 * field, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def write_case(
    folder: Path,
    stem: str,
    *,
    seed: int,
    boxes: tuple[tuple[int, int, int, int], ...] = ((5, 5, 17, 19), (35, 50, 47, 64)),
    twin: bool = True,
    sources: list[str] | None = None,
) -> None:
    """A forged image whose one instance is these boxes (top, left, bottom, right), and its twin."""
    picture = textured(seed)
    for kind in ("authentic", "forged"):
        (folder / "train_images" / kind).mkdir(parents=True, exist_ok=True)
    (folder / "train_masks").mkdir(exist_ok=True)
    if twin:
        cv2.imwrite(str(folder / "train_images" / "authentic" / f"{stem}.png"), picture)
    mask = np.zeros((1, *SHAPE), np.uint8)
    top, left, bottom, right = boxes[0]
    for t, l, b, r in boxes:  # noqa: E741
        picture[t:b, l:r] = picture[top:bottom, left:right][: b - t, : r - l]
        mask[0, t:b, l:r] = 1
    cv2.imwrite(str(folder / "train_images" / "forged" / f"{stem}.png"), picture)
    np.save(folder / "train_masks" / f"{stem}.npy", mask)
    if sources is not None:
        (folder / "cards").mkdir(exist_ok=True)
        (folder / "cards" / f"{stem}.json").write_text(json.dumps({"sources": sources}))


def write_set(folder: Path, count: int) -> Path:
    """A data set of `count` forged images and their twins."""
    for number in range(count):
        write_case(folder, f"{number}", seed=number)
    return folder
