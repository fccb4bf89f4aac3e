"""Pictures with copies at known places, drawn from noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage

Pixels = NDArray[np.uint8]


def tissue(shape: tuple[int, int], seed: int, contrast: float = 30.0) -> FloatImage:
    """Texture of several sizes, as of tissue, around 128; float32 (H, W)."""
    random = np.random.default_rng(seed)
    total = np.zeros(shape, np.float32)
    for sigma in (1.2, 2.5, 6.0):
        layer = cv2.GaussianBlur(random.normal(size=shape).astype(np.float32), (0, 0), sigma)
        total += layer / layer.std()
    return (128 + total * np.float32(contrast / 1.7)).astype(np.float32)


def cells(shape: tuple[int, int], seed: int, count: int) -> FloatImage:
    """Soft bright spots of many forms on a dark noisy ground, no two alike; float32 (H, W)."""
    random = np.random.default_rng(seed)
    image = np.full(shape, 30, np.float32)
    for _ in range(count):
        spot = np.zeros(shape, np.float32)
        centre = random.uniform((0, 0), (shape[1], shape[0]))
        for _ in range(4):
            x, y = np.rint(centre + random.normal(0, 6, 2)).astype(int)
            axes = random.integers(4, 11, 2)
            cv2.ellipse(
                spot, (int(x), int(y)), (int(axes[0]), int(axes[1])),
                float(random.uniform(0, 180)), 0, 360, float(random.uniform(40, 110)), -1,
            )  # fmt: skip
        image = np.maximum(image, 30 + cv2.GaussianBlur(spot, (0, 0), 2.0))
    grain = cv2.GaussianBlur(random.normal(0, 8, shape).astype(np.float32), (0, 0), 0.7)
    return (image + grain).astype(np.float32)


def photograph(
    grey: FloatImage, *, noise: float = 0.0, quality: int | None = None, seed: int = 0
) -> Pixels:
    """What a file would hold of a grey image: noise added, rounded, JPEG; uint8 (H, W, 3)."""
    grain = np.random.default_rng(seed).normal(0, noise, grey.shape) if noise else 0.0
    rounded = np.clip(np.rint(grey + grain), 0, 255).astype(np.uint8)
    if quality is not None:
        _, coded = cv2.imencode(".jpg", rounded, [cv2.IMWRITE_JPEG_QUALITY, quality])
        rounded = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(np.uint8)
    return np.repeat(rounded[:, :, None], 3, axis=2)


def similarity(
    source: tuple[float, float],
    target: tuple[float, float],
    *,
    turn: float = 0.0,
    scale: float = 1.0,
    mirrored: bool = False,
) -> Affine:
    """The map that takes `source` to `target` and turns (degrees), scales and mirrors about it."""
    angle = np.deg2rad(turn)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    return np.column_stack((linear, np.array(target) - linear @ np.array(source)))


def mask_of_disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> Mask:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(x - centre[0], y - centre[1]) <= radius


@dataclass(frozen=True)
class Forgery:
    """A picture with one copy.

    Attributes:
        grey: float32 (H, W).
        affine: maps the source onto the copy.
        source, copy: the two regions, bool (H, W).
    """

    grey: FloatImage
    affine: Affine
    source: Mask
    copy: Mask


def clone(grey: FloatImage, source: Mask, affine: Affine) -> Forgery:
    """Paste what stands under a mask elsewhere, resampled by cubic interpolation."""
    size = (grey.shape[1], grey.shape[0])
    moved = cv2.warpAffine(grey, affine, size, flags=cv2.INTER_CUBIC)
    landed = cv2.warpAffine(source.astype(np.float32), affine, size, flags=cv2.INTER_LINEAR) > 0.5
    return Forgery(np.where(landed, moved, grey).astype(np.float32), affine, source, landed)


def overlap(first: Mask, second: Mask) -> float:
    """Intersection over union."""
    return float(np.count_nonzero(first & second) / max(np.count_nonzero(first | second), 1))


def furthest(first: Affine, second: Affine, region: Mask) -> float:
    """How far two maps differ on a region, in pixels."""
    y, x = np.nonzero(region)
    points = np.column_stack((x, y, np.ones(x.size)))
    return float(np.hypot(*(points @ (first - second).T).T).max())
