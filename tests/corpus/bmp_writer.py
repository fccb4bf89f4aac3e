"""A BMP writer for tests."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray


def write_bmp(
    stored: NDArray[np.uint8],
    bits: int,
    *,
    width: int | None = None,
    top_down: bool = False,
    palette: bytes = b"",
    masks: tuple[int, ...] = (),
    header_size: int = 40,
    compression: int | None = None,
) -> bytes:
    """Write rows of stored bytes (H, n), the first row being the top of the picture.

    Args:
        bits: of a pixel; the width follows from it and n unless it is given.
        palette: four bytes a colour, blue first.
        masks: of the colours in 16-bit and 32-bit pixels; four need a header of 108 bytes.
        compression: 0, or 3 where there are masks, unless it is given.
    """
    height, n = stored.shape
    width = n * 8 // bits if width is None else width
    rows = np.pad(stored, ((0, 0), (0, -n % 4)))
    data = (rows if top_down else rows[::-1]).tobytes()
    if compression is None:
        compression = 3 if masks else 0
    info = struct.pack(
        "<IiiHHIIiiII",
        header_size,
        width,
        -height if top_down else height,
        1,
        bits,
        compression,
        len(data),
        2835,
        2835,
        len(palette) // 4,
        0,
    )
    packed = struct.pack(f"<{len(masks)}I", *masks)
    info += packed.ljust(header_size - 40, b"\0") if header_size > 40 else packed
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data
