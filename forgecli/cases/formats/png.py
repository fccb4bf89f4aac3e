"""PNG (ISO/IEC 15948; W3C third edition 2025): header and pixels.

Decoded here rather than by a library: libdeflate inflates two to four times faster than zlib, the
row filters are undone 64 rows at a time (`kernels.png_filter`), and every damage that checksums
can show is an error, where libraries hand out a picture that is grey from some row on.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.exif import exif_warnings
from forgecli.cases.formats.header import Alpha, Damaged, Format, Header
from forgecli.cases.formats.inflate import inflate
from forgecli.cases.formats.samples import look_up, unpack_bits

SIGNATURE = b"\x89PNG\r\n\x1a\n"

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGBA: (8, 16),
}


def read_header(file: BinaryIO) -> Header:
    """Read the chunks before the pixels. Raises `Damaged`."""
    file.seek(0)
    start = file.read(33)
    if len(start) < 33:
        raise Damaged("The file ends inside the PNG header.")
    if start[8:16] != b"\0\0\0\x0dIHDR":
        raise Damaged("The PNG file does not begin with its header chunk.")
    if zlib.crc32(start[12:29]) != int.from_bytes(start[29:33], "big"):
        raise Damaged("The checksum of the PNG header is wrong.")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(
        ">IIBBBBB", start[16:29]
    )
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise Damaged(f"The PNG header gives a size of {width} x {height}.")
    if depth not in DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise Damaged("The PNG header holds a kind of pixel that does not exist.")

    warnings: list[str] = []
    transparent = False
    while True:
        chunk = file.read(8)
        if len(chunk) < 8:
            raise Damaged("The file ends before its pixels.")
        length, kind = int.from_bytes(chunk[:4], "big"), chunk[4:]
        if kind in (b"IDAT", b"IEND"):
            break
        if kind == b"tRNS":
            transparent = True
        if kind == b"acTL":
            warnings.append("The PNG is animated; only its still picture is read.")
        if kind == b"eXIf" and length <= 65536:
            warnings += exif_warnings(file.read(length))
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)
    alpha = (transparent and colour != GREY) or colour in (GREY_ALPHA, RGBA)
    return Header(
        Format.PNG,
        width,
        height,
        4 if alpha else 1 if colour == GREY else 3,
        max(depth, 8),
        Alpha.STRAIGHT if alpha else Alpha.NONE,
        tuple(warnings),
    )


@dataclass(slots=True)
class _Chunks:
    """What the decoder needs of a file's chunks."""

    depth: int
    colour: int
    interlaced: bool
    palette: bytes = b""
    transparent: bytes = b""
    compressed: bytes = b""


def _read_chunks(data: bytes) -> _Chunks:
    """Take the chunks apart. Raises `Damaged`; unknown and optional chunks are not looked into."""
    import deflate

    chunks = _Chunks(depth=data[24], colour=data[25], interlaced=data[28] == 1)
    view = memoryview(data)
    parts: list[memoryview] = []
    at = 33
    while at + 8 <= len(data):
        length, kind = int.from_bytes(view[at : at + 4], "big"), bytes(view[at + 4 : at + 8])
        body = view[at + 8 : at + 8 + length]
        checksum = view[at + 8 + length : at + 12 + length]
        at += 12 + length
        if kind == b"IEND":
            break
        if kind in (b"PLTE", b"tRNS", b"IDAT"):
            if len(checksum) < 4:
                raise Damaged("The file ends inside its pixels.")
            if deflate.crc32(body, deflate.crc32(kind)) != int.from_bytes(checksum, "big"):
                raise Damaged(f"The checksum of a PNG chunk ({kind.decode()}) is wrong.")
            if kind == b"PLTE":
                chunks.palette = bytes(body)
            elif kind == b"IDAT":
                parts.append(body)
            elif not parts:  # behind the pixels it would come too late
                chunks.transparent = bytes(body)
    chunks.compressed = b"".join(parts)
    return chunks


_PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""Adam7: first row and column, and the steps between rows and columns, of each pass."""


def _unpack(
    filtered: NDArray[np.uint8], height: int, width: int, depth: int, samples: int
) -> NDArray[Any]:
    """Undo the filters of one pass: (height, width, samples), uint8 or uint16."""
    from kernels.png_filter import unfilter

    rows = filtered.reshape(height, -1)
    if rows[:, 0].max() > 4:
        raise Damaged("A PNG row has a filter that does not exist.")
    plain = unfilter(rows[:, 1:], rows[:, 0], max(depth * samples // 8, 1))
    if depth == 16:
        plain16 = plain.view(">u2").astype(np.uint16)
        return plain16.reshape(height, width, samples)
    if depth == 8:
        return plain.reshape(height, width, samples)
    return unpack_bits(plain, width, depth)[:, :, None]


def _samples(chunks: _Chunks, header: Header) -> NDArray[Any]:
    """The samples as they are stored: (H, W, samples), uint8 or uint16."""
    depth, samples = chunks.depth, SAMPLES[chunks.colour]
    height, width = header.height, header.width
    passes = [(y, x, dy, dx) for y, x, dy, dx in _PASSES if y < height and x < width]
    if not chunks.interlaced:
        passes = [(0, 0, 1, 1)]
    shapes = [(-((y - height) // dy), -((x - width) // dx)) for y, x, dy, dx in passes]
    sizes = [h * (1 + (w * depth * samples + 7) // 8) for h, w in shapes]
    inflated = np.frombuffer(inflate(chunks.compressed, sum(sizes)), np.uint8)
    if not chunks.interlaced:
        return _unpack(inflated, height, width, depth, samples)
    out = np.empty((height, width, samples), np.uint16 if depth == 16 else np.uint8)
    at = 0
    for (y, x, dy, dx), shape, size in zip(passes, shapes, sizes, strict=True):
        out[y::dy, x::dx] = _unpack(inflated[at : at + size], *shape, depth, samples)
        at += size
    return out


def decode(data: bytes, header: Header) -> NDArray[Any]:
    """Decode the still picture.

    Returns:
        uint8 or uint16, (H, W) or (H, W, 3 | 4) RGB(A). Grey of 1, 2 and 4 bits is spread to 8,
        palettes are expanded, grey with alpha becomes RGBA. Colour profiles, gamma and the single
        transparent value of a grey picture are left alone, as cv2 does.

    Raises:
        Damaged: a wrong checksum, an end before the last pixel, or anything else that is wrong
            with what the pixels depend on. Pixels are never made up.
    """
    import cv2

    chunks = _read_chunks(data)
    samples = _samples(chunks, header)
    if chunks.colour == GREY:
        grey = samples[:, :, 0]
        return grey * np.uint8(255 // ((1 << chunks.depth) - 1)) if chunks.depth < 8 else grey
    if chunks.colour == PALETTE:
        return _expand(samples[:, :, 0], chunks)
    if chunks.colour == GREY_ALPHA:
        grey, alpha = cv2.split(samples)
        return np.asarray(cv2.merge([grey, grey, grey, alpha]))
    if chunks.colour == RGB and chunks.transparent:
        if len(chunks.transparent) < 6:
            raise Damaged("The transparent colour of the PNG is cut short.")
        colour = np.frombuffer(chunks.transparent, ">u2", 3).astype(samples.dtype)
        alpha = np.where((samples == colour).all(axis=2), 0, np.iinfo(samples.dtype).max)
        return np.dstack([samples, alpha.astype(samples.dtype)])
    return samples


def _expand(indices: NDArray[np.uint8], chunks: _Chunks) -> NDArray[np.uint8]:
    """Look up a palette: (H, W, 3), or (H, W, 4) where the palette has alpha."""
    import cv2

    count = len(chunks.palette) // 3
    if not 1 <= count <= 256:
        raise Damaged("The PNG has no palette, or one that is too long.")
    if indices.max() >= count:
        raise Damaged("A PNG pixel has a colour that the palette lacks.")
    table = np.full((256, 4), 255, np.uint8)
    table[:count, :3] = np.frombuffer(chunks.palette, np.uint8, count * 3).reshape(-1, 3)
    alpha = np.frombuffer(chunks.transparent[:256], np.uint8)
    table[: len(alpha), 3] = alpha
    pixels = look_up(table, indices)
    return pixels if chunks.transparent else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB))
