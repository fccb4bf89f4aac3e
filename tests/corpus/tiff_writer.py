"""A TIFF writer for tests: strips and tiles, both byte orders, BigTIFF, predictors, codecs."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 8, 32946, 32773
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5

_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}


def compress_lzw(data: bytes) -> bytes:
    """TIFF's LZW (TIFF 6.0, section 13): codes of 9 to 12 bits, high bits first."""
    codes = []  # (code, its width)
    table: dict[bytes, int] = {}
    known = b""
    for value in data:
        longer = known + bytes([value])
        if known and longer not in table:
            codes.append(table[known] if len(known) > 1 else known[0])
            table[longer] = 258 + len(table)
            known = longer[-1:]
            if len(table) == 4094 - 258:
                codes.append(256)
                table = {}
        else:
            known = longer
    if known:
        codes.append(table[known] if len(known) > 1 else known[0])

    # The width grows one code early: when entry 511, 1023 or 2047 is the next to be made.
    text, made = format(256, "09b"), 257
    for code in [*codes, 257]:
        width = max((made + 1).bit_length(), 9)
        text += format(code, f"0{width}b")
        made = 257 if code == 256 else made + 1
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def compress_packbits(data: bytes) -> bytes:
    """PackBits (TIFF 6.0, section 9)."""
    out, i = bytearray(), 0
    while i < len(data):
        run = 1
        while i + run < len(data) and run < 128 and data[i + run] == data[i]:
            run += 1
        if run > 1:
            out += bytes([257 - run, data[i]])
            i += run
            continue
        start = i
        while i < len(data) and i - start < 128 and (i + 1 == len(data) or data[i] != data[i + 1]):
            i += 1
        out += bytes([i - start - 1]) + data[start:i]
    return bytes(out)


_COMPRESS = {
    NONE: lambda data: data,
    LZW: compress_lzw,
    DEFLATE: zlib.compress,
    OLD_DEFLATE: zlib.compress,
    PACKBITS: compress_packbits,
}


@dataclass
class Tiff:
    """How to write a page.

    Attributes:
        bits: of a sample, where several share a byte.
        pages: how often the page is written.
        pixels_last: whether the tags come before the pixels.
        extra: more tags: number to (type, values).
    """

    photometric: int = BLACK_IS_ZERO
    compression: int = NONE
    predictor: int = 1
    planar: int = 1
    rows_per_strip: int = 1 << 30
    tile: tuple[int, int] | None = None
    order: Literal["<", ">"] = "<"
    big: bool = False
    bits: int | None = None
    pages: int = 1
    pixels_last: bool = False
    extra: dict[int, tuple[int, tuple[int, ...] | bytes]] = field(default_factory=dict)

    def _block(self, block: NDArray[np.generic]) -> bytes:
        """One strip or tile (h, w, c), predicted, packed and compressed."""
        height = block.shape[0]
        if self.predictor == 2:
            kind = f"u{block.itemsize}"
            whole = block.view(kind).copy()
            whole[:, 1:] -= block.view(kind)[:, :-1]
            block = whole
        raw = block.astype(block.dtype.newbyteorder(self.order)).tobytes()
        if self.predictor == 3:
            rows = block.astype(block.dtype.newbyteorder(">")).reshape(height, -1)
            planes = rows.view(np.uint8).reshape(height, -1, block.itemsize).transpose(0, 2, 1)
            flat = planes.reshape(height, -1).copy()
            step = block.shape[2]
            flat[:, step:] -= flat[:, :-step].copy()
            raw = flat.tobytes()
        if self.bits is not None and self.bits % 8:
            values = block.astype(">u2").reshape(height, -1, 1).view(np.uint8)
            bits = np.unpackbits(values, axis=2)[:, :, 16 - self.bits :].reshape(height, -1)
            raw = np.packbits(bits, axis=1).tobytes()
        return _COMPRESS[self.compression](raw)

    def _blocks(self, samples: NDArray[np.generic]) -> list[bytes]:
        planes = [samples]
        if self.planar == 2:
            planes = [samples[:, :, c : c + 1] for c in range(samples.shape[2])]
        blocks = []
        height, width = samples.shape[:2]
        for plane in planes:
            if self.tile is None:
                step = min(self.rows_per_strip, height)
                parts = [plane[y : y + step] for y in range(0, height, step)]
            else:
                high, wide = self.tile
                padding = ((0, -height % high), (0, -width % wide), (0, 0))
                whole = np.pad(plane, padding, mode="edge")
                parts = [
                    whole[y : y + high, x : x + wide]
                    for y in range(0, height, high)
                    for x in range(0, width, wide)
                ]
            blocks += [self._block(np.ascontiguousarray(part)) for part in parts]
        return blocks

    def write(self, samples: NDArray[np.generic]) -> bytes:
        """Write (H, W) or (H, W, C)."""
        samples = samples.reshape(*samples.shape[:2], -1)
        return self.write_blocks(samples, self._blocks(samples), self.compression)

    def write_blocks(
        self, samples: NDArray[np.generic], blocks: list[bytes], compression: int
    ) -> bytes:
        """Write blocks that are compressed already; `samples` tells the shape and type."""
        height, width, count = samples.shape
        kind = {"u": 1, "i": 2, "f": 3, "b": 1}[samples.dtype.kind]
        bits = self.bits or samples.itemsize * 8
        pointer = 16 if self.big else 4
        tags: dict[int, tuple[int, tuple[int, ...] | bytes]] = {
            256: (4, (width,)),
            257: (4, (height,)),
            258: (3, (bits,) * count),
            259: (3, (compression,)),
            262: (3, (self.photometric,)),
            277: (3, (count,)),
            284: (3, (self.planar,)),
            317: (3, (self.predictor,)),
            339: (3, (kind,) * count),
        }
        if self.tile is None:
            where, sizes = 273, 279
            tags[278] = (4, (min(self.rows_per_strip, height),))
        else:
            where, sizes = 324, 325
            tags[322], tags[323] = (4, (self.tile[1],)), (4, (self.tile[0],))
        tags |= self.extra

        start = (
            struct.pack(self.order + "2sHHHQ", self._mark, 43, 8, 0, 0)
            if self.big
            else struct.pack(self.order + "2sHI", self._mark, 42, 0)
        )
        out = bytearray(start)
        link = 8 if self.big else 4
        tags[sizes] = (pointer, tuple(len(block) for block in blocks))
        if self.pixels_last:
            tags[where] = (pointer, (0,) * len(blocks))
            draft = bytearray(start)
            self._directory(draft, tags, link)
            begins = np.cumsum([len(draft), *tags[sizes][1]])
            tags[where] = (pointer, tuple(int(begin) for begin in begins[:-1]))
            out = bytearray(start)
            self._directory(out, tags, link)
            return bytes(out + b"".join(blocks))
        for _ in range(self.pages):
            offsets = []
            for block in blocks:
                offsets.append(len(out))
                out += block + b"\0" * (len(block) % 2)
            tags[where] = (pointer, tuple(offsets))
            link = self._directory(out, tags, link)
        return bytes(out)

    @property
    def _mark(self) -> bytes:
        return b"II" if self.order == "<" else b"MM"

    def _directory(
        self, out: bytearray, tags: dict[int, tuple[int, tuple[int, ...] | bytes]], link: int
    ) -> int:
        """Append a directory, point to it from `link`; returns where the next one is linked."""
        word, count = ("Q", "Q") if self.big else ("I", "H")
        inline = 8 if self.big else 4
        entries = b""
        for tag, (kind, values) in sorted(tags.items()):
            if isinstance(values, bytes):
                body = values
            else:
                body = struct.pack(f"{self.order}{len(values)}{_CODES[kind]}", *values)
            if len(body) > inline:
                at = struct.pack(self.order + word, len(out))
                out += body + b"\0" * (len(body) % 2)
            else:
                at = body.ljust(inline, b"\0")
            entries += struct.pack(self.order + "HH" + word, tag, kind, len(values)) + at
        here = len(out)
        out[link : link + inline] = struct.pack(self.order + word, here)
        out += struct.pack(self.order + count, len(tags)) + entries
        out += b"\0" * inline
        return len(out) - inline
