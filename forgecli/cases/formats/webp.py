"""WebP (RFC 9649): header, and pixels by way of cv2, which uses libwebp as everybody does."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from numpy.typing import NDArray

from forgecli.cases.formats.exif import exif_warnings
from forgecli.cases.formats.header import Alpha, Damaged, Format, Header
from forgecli.cases.formats.opencv import decode_with_cv2

ANIMATED, HAS_EXIF, HAS_ALPHA = 0x02, 0x08, 0x10


def read_header(file: BinaryIO) -> Header:
    """Read the first chunk, and the EXIF chunk where the file says it has one. Raises `Damaged`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(30)
    if len(start) < 30:
        raise Damaged("The file ends inside the WebP header.")
    if int.from_bytes(start[4:8], "little") + 8 > size:
        raise Damaged("The WebP file is shorter than its header says.")
    kind, body = start[12:16], start[20:]
    warnings: list[str] = []
    if kind == b"VP8 ":
        if body[3:6] != b"\x9d\x01\x2a":
            raise Damaged("The WebP frame does not begin as it should.")
        width = int.from_bytes(body[6:8], "little") & 0x3FFF
        height = int.from_bytes(body[8:10], "little") & 0x3FFF
        alpha = False
    elif kind == b"VP8L":
        if body[0] != 0x2F:
            raise Damaged("The WebP frame does not begin as it should.")
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        alpha = bool(bits >> 28 & 1)
    elif kind == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
        alpha = bool(body[0] & HAS_ALPHA)
        if body[0] & ANIMATED:
            warnings.append("The WebP file is animated; only its first frame is read.")
        if body[0] & HAS_EXIF:
            warnings += exif_warnings(_chunk(file, b"EXIF", size))
    else:
        raise Damaged("The WebP file does not begin with a picture.")
    if not width or not height:
        raise Damaged(f"The WebP header gives a size of {width} x {height}.")
    return Header(
        Format.WEBP,
        width,
        height,
        4 if alpha else 3,
        8,
        Alpha.STRAIGHT if alpha else Alpha.NONE,
        tuple(warnings),
    )


def _chunk(file: BinaryIO, wanted: bytes, size: int) -> bytes:
    at = 12
    while at + 8 <= size:
        file.seek(at)
        kind, length = file.read(4), int.from_bytes(file.read(4), "little")
        if kind == wanted:
            return file.read(min(length, 65536))
        at += 8 + length + length % 2
    return b""


def decode(data: bytes, header: Header) -> NDArray[Any]:
    """Decode the picture, or the first frame: uint8 (H, W, 3 | 4) RGB(A). Raises `Damaged`."""
    return decode_with_cv2(data)
