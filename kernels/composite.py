"""Put a picture with alpha on a white page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel, readonly


def over_white(pixels: NDArray[np.uint8], *, premultiplied: bool = False) -> NDArray[np.uint8]:
    """Composite on white, rounded to the nearest (Porter and Duff's "over", 1984).

    Args:
        pixels: uint8 (H, W, 4), RGBA.
        premultiplied: whether the colours are multiplied with alpha already.

    Returns:
        uint8 (H, W, 3), C-contiguous, new.

    Raises:
        ValueError: another dtype or shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ValueError(f"pixels must be uint8 (H, W, 4). Got: {pixels.dtype} {pixels.shape}")
    out = np.empty((*pixels.shape[:2], 3), np.uint8)
    _over_white(np.ascontiguousarray(pixels).reshape(-1, 4), out.reshape(-1, 3), premultiplied)
    return out


@kernel(f"void({readonly('uint8', 2)}, uint8[:, ::1], boolean)")
def _over_white(pixels: NDArray[np.uint8], out: NDArray[np.uint8], premultiplied: bool) -> None:
    for i in range(pixels.shape[0]):
        alpha = np.int32(pixels[i, 3])
        page = 255 - alpha
        for k in range(3):
            colour = np.int32(pixels[i, k])
            if premultiplied:
                out[i, k] = colour + page if colour <= alpha else 255
            else:
                out[i, k] = (colour * alpha + 255 * page + 127) // 255
