"""A PNG writer that can do everything the format allows, for tests."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}

ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
ADAM7 += ((1, 0, 2, 1),)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header_chunk(width: int, height: int, depth: int, colour: int, interlace: int = 0) -> bytes:
    """The header chunk, whatever its values."""
    body = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return chunk(b"IHDR", body)


def _pack(samples: NDArray[np.generic], depth: int) -> NDArray[np.uint8]:
    """Samples (H, W, C) to the bytes of rows (H, n)."""
    height = samples.shape[0]
    if depth == 16:
        return samples.astype(">u2").view(np.uint8).reshape(height, -1)
    if depth == 8:
        return samples.astype(np.uint8).reshape(height, -1)
    bits = np.unpackbits(samples.astype(np.uint8).reshape(height, -1, 1), axis=2)[:, :, 8 - depth :]
    return np.packbits(bits.reshape(height, -1), axis=1)


def apply_filters(rows: NDArray[np.uint8], filters: list[int], step: int) -> bytes:
    """Filter rows (H, n), the filters taken in turn, and put each filter's number before its row.

    Straight from the definition (ISO/IEC 15948, 9.2), a byte at a time.
    """
    height, n = rows.shape
    old = np.zeros((height + 1, n + step), np.int64)
    old[1:, step:] = rows
    a, b, c = old[1:, :-step], old[:-1, step:], old[:-1, :-step]
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
    predictions = [np.zeros_like(a), a, b, (a + b) // 2, paeth]
    out = np.empty((height, 1 + n), np.uint8)
    for y in range(height):
        kind = filters[y % len(filters)]
        out[y, 0] = kind
        out[y, 1:] = (rows[y].astype(np.int64) - predictions[kind][y]) & 255
    return out.tobytes()


def write_png(
    samples: NDArray[np.generic],
    depth: int,
    colour: int,
    *,
    filters: list[int] | None = None,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    chunk_size: int = 1 << 30,
) -> bytes:
    """Write samples (H, W, C) or (H, W), values below 2**depth.

    Args:
        filters: of the rows, repeated.
        before: whole chunks to put before the pixels, such as the palette.
        after: whole chunks to put behind them.
        chunk_size: bytes of compressed data in each chunk.
    """
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, count = samples.shape
    assert count == SAMPLES[colour]
    step = max(depth * count // 8, 1)
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    raw = b"".join(
        apply_filters(_pack(part, depth), filters or [0], step) for part in parts if part.size
    )
    data = zlib.compress(raw)
    pixels = b"".join(
        chunk(b"IDAT", data[i : i + chunk_size]) for i in range(0, len(data), chunk_size)
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + header_chunk(width, height, depth, colour, int(interlaced))
        + before
        + pixels
        + after
        + chunk(b"IEND", b"")
    )
