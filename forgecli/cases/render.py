"""From decoded samples of any type to the 8-bit RGB that detectors look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.header import Alpha

_BLOCK = 1 << 20


def to_rgb8(
    samples: NDArray[Any], alpha: Alpha = Alpha.NONE
) -> tuple[NDArray[np.uint8], list[str]]:
    """Bring samples to 8-bit RGB.

    8-bit samples stay as they are; bool becomes 0 and 255. All other types are scaled linearly so
    that the least colour sample of the picture becomes 0 and the greatest 255, which keeps what
    little contrast a 12-bit camera leaves in 16 bits. NaN becomes 0, infinities the ends. Grey is
    repeated. Alpha is composited on white, unless it is 0 everywhere.

    Args:
        samples: (H, W) or (H, W, 1 | 3 | 4).
        alpha: what the fourth channel means; where it is `NONE`, that channel is left out.

    Returns:
        uint8 (H, W, 3), C-contiguous, and warnings for a user.
    """
    warnings: list[str] = []
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[:, :, 0]
    opacity = None
    if samples.ndim == 3 and samples.shape[2] == 4:
        if samples.dtype == np.uint8:
            return _rgba8_to_rgb8(samples, alpha, warnings), warnings
        opacity = samples[:, :, 3]
        samples = samples[:, :, :3]
    colours = _to_uint8(samples, warnings)
    if opacity is not None and alpha is not Alpha.NONE:
        rgba = np.dstack([colours, _opacity_to_uint8(opacity)])
        # Scaling has undone the multiplication as far as it can be.
        return _rgba8_to_rgb8(rgba, Alpha.STRAIGHT, warnings), warnings
    if colours.ndim == 2:
        import cv2

        return np.asarray(cv2.cvtColor(colours, cv2.COLOR_GRAY2RGB)), warnings
    return np.ascontiguousarray(colours), warnings


def _rgba8_to_rgb8(
    pixels: NDArray[np.uint8], alpha: Alpha, warnings: list[str]
) -> NDArray[np.uint8]:
    """Composite, without the arithmetic where the picture is opaque, as most are."""
    import cv2

    if alpha is not Alpha.NONE:
        pixels = np.ascontiguousarray(pixels)
        words = pixels.view("<u4")
        if np.bitwise_and.reduce(words, axis=None) >> 24 != 255:
            if np.bitwise_or.reduce(words, axis=None) >> 24 == 0:
                warnings.append("The picture is fully transparent; its alpha is ignored.")
            else:
                from kernels.composite import over_white

                return over_white(pixels, premultiplied=alpha is Alpha.PREMULTIPLIED)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB))


def _opacity_to_uint8(opacity: NDArray[Any]) -> NDArray[np.uint8]:
    top = 1.0 if opacity.dtype.kind in "fb" else float(np.iinfo(opacity.dtype).max)
    fraction = np.nan_to_num(opacity.astype(np.float32) / np.float32(top), nan=1.0)
    return np.asarray(np.rint(np.clip(fraction, 0, 1) * 255), np.uint8)


def _to_uint8(samples: NDArray[Any], warnings: list[str]) -> NDArray[np.uint8]:
    if samples.dtype == np.uint8:
        return samples
    if samples.dtype.kind == "b":
        return samples.astype(np.uint8) * np.uint8(255)
    low, high, whole = _finite_range(samples)
    if not whole:
        warnings.append("The picture holds NaN or infinity, taken as its least or greatest value.")
    if samples.dtype.kind in "iu" and samples.itemsize <= 2:
        return _table_lookup(samples, int(low), int(high))
    out = np.empty(samples.shape, np.uint8)
    rows = max(_BLOCK // max(samples[0].size, 1), 1)
    for top in range(0, len(samples), rows):  # in blocks, since they are copied to float64
        block = samples[top : top + rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (block - low) / (high - low) * 255 if high > low else np.zeros_like(block)
        scaled = np.nan_to_num(scaled, nan=0, posinf=255, neginf=0)
        out[top : top + rows] = np.rint(np.clip(scaled, 0, 255))
    return out


def _finite_range(samples: NDArray[Any]) -> tuple[float, float, bool]:
    """Least and greatest finite sample, and whether all are finite."""
    low, high = samples.min(), samples.max()
    if samples.dtype.kind != "f" or (np.isfinite(low) and np.isfinite(high)):
        return float(low), float(high), True
    finite = np.isfinite(samples)
    if not finite.any():
        return 0.0, 0.0, False
    low = np.min(samples, where=finite, initial=np.inf)
    high = np.max(samples, where=finite, initial=-np.inf)
    return float(low), float(high), False


def _table_lookup(samples: NDArray[Any], low: int, high: int) -> NDArray[np.uint8]:
    """Scale integers of up to 16 bits; exact, halves rounded up."""
    values = np.arange(high - low + 1, dtype=np.int64)
    span = max(high - low, 1)
    table = ((values * 510 + span) // (2 * span)).astype(np.uint8)
    return np.asarray(table[samples if low == 0 else samples.astype(np.int32) - low])
