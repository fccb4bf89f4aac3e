"""Small seeded pictures, and the encoders at hand."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 37, 45


def scene(channels: int, dtype: str = "u1", seed: int = 0) -> NDArray[Any]:
    """Smooth shapes with some noise, using all of an integer's range, (H, W, C); floats are 0-1."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(HEIGHT, WIDTH, channels)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).reshape(noise.shape) + 0.02 * noise
    unit = (smooth - smooth.min()) / np.ptp(smooth)
    if np.dtype(dtype).kind == "f":
        return unit.astype(dtype)
    info = np.iinfo(dtype)
    return (info.min + unit.astype(np.float64) * (float(info.max) - info.min) * 0.999).astype(dtype)


def exif(orientation: int) -> bytes:
    """An EXIF block that holds nothing but the orientation."""
    entry = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0" * 4


def encode(suffix: str, image: NDArray[Any], *options: int) -> bytes:
    """`cv2.imencode` of an RGB or grey image."""
    stored = image[:, :, ::-1] if image.ndim == 3 else image
    done, data = cv2.imencode(suffix, np.ascontiguousarray(stored), options)
    assert done
    return data.tobytes()


def npy(array: NDArray[Any]) -> bytes:
    """The array as an NPY file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
