"""Blocks of a TIFF that are JPEG streams (TIFF Technical Note 2, 1995)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.header import Damaged

JPEG = 7
JPEG_TABLES = 347
YCBCR = 6

# "Adobe", version 100, no flags, colour transform 0: the three components are red, green, blue.
_RGB_MARKER = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


def decode_jpeg_block(
    block: bytes, tables: bytes, photometric: int, samples: int
) -> NDArray[np.uint8]:
    """Decode one strip or tile.

    Args:
        block: a JPEG stream, without the tables that the page's blocks share.
        tables: a JPEG stream of nothing but those tables; empty where there are none.
        photometric: TIFF's word for what the samples mean. YCbCr becomes RGB.
        samples: of a pixel, 1 or 3.

    Returns:
        uint8 (h, w, samples).

    Raises:
        Damaged: the stream is damaged, ends early, or holds another number of components.
    """
    import simplejpeg

    if samples not in (1, 3):
        raise Damaged(f"JPEG of {samples} channels in a TIFF is not read here; save it as PNG.")
    if block[:2] != b"\xff\xd8":
        raise Damaged("A block of the TIFF is no JPEG stream.")
    marker = _RGB_MARKER if samples == 3 and photometric != YCBCR else b""
    stream = block[:2] + marker + tables[2:-2] + block[2:]
    try:
        pixels = simplejpeg.decode_jpeg(stream, "GRAY" if samples == 1 else "RGB")
    except ValueError as error:
        raise Damaged(f"The JPEG data in the TIFF are damaged ({error}).") from None
    return np.asarray(pixels)
