"""Is there anything to copy? Noise level, and texture above it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
"""float32 (H, W), 0 to 255."""

_SMOOTHING = 1.5
"""Texture is coarser than noise; JPEG, which takes fine noise away, leaves the coarse part."""
_SMOOTHED_NOISE = 1 / (2 * np.sqrt(np.pi) * _SMOOTHING)
"""Standard deviation of white noise of 1 after a Gaussian blur."""


def strongest_channel(pixels: NDArray[np.uint8]) -> Grey:
    """The channel that varies most: a stain or a fluorophore often lives in one only.

    Args:
        pixels: uint8 (H, W, 3).
    """
    _, spread = cv2.meanStdDev(pixels)
    return np.ascontiguousarray(pixels[:, :, int(np.argmax(spread))], dtype=np.float32)


def noise_level(grey: Grey) -> float:
    """Standard deviation of the noise, in grey levels.

    The median absolute second difference of each block of 16 x 16, of which the low quantile over
    all blocks that are not constant is taken, so that texture does not count as noise.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    high = np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)) / 6
    rows, columns = (side // 16 for side in grey.shape)
    if rows == 0 or columns == 0:
        return float(np.median(high)) / 0.6745
    blocks = high[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16)
    medians = np.median(blocks.transpose(0, 2, 1, 3).reshape(-1, 256), axis=1)
    medians = medians[medians > 0]
    return float(np.quantile(medians, 0.2)) / 0.6745 if medians.size else 0.0


_SHARP = 0.36
"""Above this share of sudden changes among all changes, an image was drawn; blots reach 0.34."""


def has_texture(
    grey: Grey, mask: NDArray[np.bool_], noise: float, *, factor: float = 2.5, least: float = 0.9
) -> bool:
    """Whether the content of a region stands out of the noise, its rim aside.

    A copy of pure noise or of nothing cannot be told from what it covers once the image was
    compressed, so it is no copy that anybody could be asked to find.

    Args:
        grey: the pixels around the region.
        mask: bool, of the shape of `grey`.
        noise: from `noise_level` of the whole image.
        factor: how far the smoothed content must vary, in units of equally smoothed noise.
        least: the same in grey levels, for images without noise.
    """
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2) > 0
    if np.count_nonzero(inner) < 12:
        inner = mask
    if not inner.any():
        return False
    rows, columns = np.nonzero(inner)
    level = cv2.GaussianBlur(grey, (0, 0), _SMOOTHING)[rows, columns]
    # Uneven illumination is no texture: the best plane does not count.
    plane = np.stack([rows - rows.mean(), columns - columns.mean(), np.ones(rows.size)], axis=1)
    tilt = np.linalg.lstsq(plane.T @ plane, plane.T @ level, rcond=None)[0]
    rest = level - plane @ tilt
    return bool(rest.std() > max(least, factor * _SMOOTHED_NOISE * noise))


def is_text(pixels: NDArray[np.uint8]) -> bool:
    """Whether the dark things of a blot are letters: their edges are sharp where bands are soft."""
    return _sharp_share(_jumps(pixels)) > _SHARP


def is_drawn(pixels: NDArray[np.uint8]) -> bool:
    """Whether an image is a chart, a diagram, text or a label map, rather than a micrograph.

    Most of it is of one colour within 3 x 3 pixels, and where it is not, it jumps, or it stands on
    white and has bright colours. A blot on a clean ground is as flat, but its bands are soft and
    grey.
    """
    jump = _jumps(pixels)
    flat = float((jump == 0).mean())
    sharp = _sharp_share(jump)
    if flat <= 0.4 or sharp > _SHARP:
        return flat > 0.4
    lowest = _least(pixels)
    chroma = _most(pixels) - lowest
    on_white = float((lowest >= 250).mean()) > 0.35
    # Areas of one bright colour, to the last bit, are not seen by any camera.
    filled = float(((jump == 0) & (chroma > 30) & (lowest > 20)).mean()) > 0.15
    return flat > 0.995 or filled or (on_white and float((chroma > 70).mean()) > 0.005)


def _jumps(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The range of each 3 x 3 neighbourhood, of the channel where it is largest."""
    ones = np.ones((3, 3), np.uint8)
    return _most(np.asarray(cv2.subtract(cv2.dilate(pixels, ones), cv2.erode(pixels, ones))))


def _most(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest channel; NumPy is slow along a short last axis."""
    first, second, third = cv2.split(pixels)
    return np.asarray(cv2.max(cv2.max(first, second), third), np.uint8)


def _least(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    first, second, third = cv2.split(pixels)
    return np.asarray(cv2.min(cv2.min(first, second), third), np.uint8)


def _sharp_share(jump: NDArray[np.uint8]) -> float:
    return int(np.count_nonzero(jump > 90)) / max(1, int(np.count_nonzero(jump > 6)))
