"""BMP (Windows bitmap, headers of 12 to 124 bytes): header and pixels."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.header import Alpha, Damaged, Format, Header
from forgecli.cases.formats.opencv import decode_with_cv2

SIGNATURE = b"BM"

HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
PLAIN, RLE8, RLE4, BIT_FIELDS, ALPHA_BIT_FIELDS = 0, 1, 2, 3, 6
_KINDS = {
    (bits, compression)
    for compression, depths in {
        PLAIN: (1, 4, 8, 16, 24, 32),
        RLE8: (8,),
        RLE4: (4,),
        BIT_FIELDS: (16, 32),
        ALPHA_BIT_FIELDS: (16, 32),
    }.items()
    for bits in depths
}


def read_header(file: BinaryIO) -> Header:
    """Read the two headers, and the palette where there is one. Raises `Damaged`."""
    file.seek(14)
    info = file.read(124)
    size = int.from_bytes(info[:4], "little")
    if size not in HEADER_SIZES:
        raise Damaged(f"The BMP header announces {size} bytes of itself.")
    if len(info) < size:
        raise Damaged("The file ends inside the BMP header.")
    if size == 12:
        width, height, planes, bits = struct.unpack_from("<HHHH", info, 4)
        compression, used = PLAIN, 0
    else:
        width, height, planes, bits, compression = struct.unpack_from("<iiHHI", info, 4)
        used = int.from_bytes(info[32:36], "little")
    if width <= 0 or height == 0 or height == -(2**31):
        raise Damaged(f"The BMP header gives a size of {width} x {abs(height)}.")
    if (bits, compression) not in _KINDS or planes != 1:
        raise Damaged(f"BMP of {bits} bits a pixel, compression {compression}, is not read here.")

    channels, alpha = 3, Alpha.NONE
    if bits <= 8:
        entry = 3 if size == 12 else 4
        file.seek(14 + size)
        palette = file.read(entry * min(used or 1 << bits, 1 << bits))
        if palette[0::entry] == palette[1::entry] == palette[2::entry]:
            channels = 1
    elif bits == 32 and compression != PLAIN:
        channels = 4
        if size >= 56 and struct.unpack_from("<I", info, 52)[0]:
            alpha = Alpha.STRAIGHT
    return Header(Format.BMP, width, abs(height), channels, 8, alpha)


def decode(data: bytes, header: Header) -> NDArray[Any]:
    """Decode the picture: uint8, (H, W) or (H, W, 3 | 4) RGB(A).

    The fourth byte of a plain 32-bit pixel is left out, since it means nothing.

    Raises:
        Damaged: the file ends before the last pixel, or is of no known kind.
    """
    bits = int.from_bytes(data[28:30], "little")
    plain = data[30:34] == b"\0\0\0\0" and int.from_bytes(data[14:18], "little") > 12
    if bits not in (24, 32) or not plain:
        return decode_with_cv2(data)
    import cv2

    start = int.from_bytes(data[10:14], "little")
    row = (header.width * bits // 8 + 3) // 4 * 4
    if len(data) < start + row * header.height:
        raise Damaged("The file ends inside its pixels.")
    rows = np.frombuffer(data, np.uint8, row * header.height, start).reshape(header.height, row)
    stored = rows[:, : header.width * bits // 8].reshape(header.height, header.width, bits // 8)
    pixels = cv2.cvtColor(stored, cv2.COLOR_BGR2RGB if bits == 24 else cv2.COLOR_BGRA2RGB)
    upside_down = int.from_bytes(data[22:26], "little", signed=True) > 0
    return np.asarray(cv2.flip(pixels, 0) if upside_down else pixels)
