"""The tags of a TIFF file's first page, classic and BigTIFF, also as found in EXIF blocks.

After "TIFF Revision 6.0", Adobe 1992, section 2, and the BigTIFF extension (libtiff).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from forgecli.cases.formats.header import Damaged

Value = tuple[int, ...] | tuple[float, ...] | bytes

MOST_ENTRIES = 4096
"""Entries of one page; real files have some 20, a corrupt one may announce 2**64."""

_STRUCT = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_STRUCT |= {16: "Q", 17: "q", 18: "Q"}
_BYTES = {2: 1, 5: 8, 7: 1, 10: 8} | {code: struct.calcsize(s) for code, s in _STRUCT.items()}


@dataclass(frozen=True, slots=True)
class Directory:
    """The tags of one page.

    Attributes:
        order: "<" or ">", as in `struct`.
        tags: tag number to values. Text and undefined bytes stay bytes; rationals are left out.
        following: where the next page's directory begins; 0 after the last.
    """

    order: str
    tags: dict[int, Value]
    following: int

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The tag's whole numbers. Raises `Damaged` where it holds something else."""
        value = self.tags.get(tag, default)
        if isinstance(value, bytes):
            return tuple(value)
        if not all(isinstance(v, int) for v in value):
            raise Damaged(f"TIFF tag {tag} does not hold whole numbers.")
        return tuple(int(v) for v in value)

    def octets(self, tag: int) -> bytes:
        """The tag's bytes, none where it is missing. Raises `Damaged` as `numbers` does."""
        try:
            return bytes(self.numbers(tag))
        except ValueError:
            raise Damaged(f"TIFF tag {tag} does not hold bytes.") from None

    def number(self, tag: int, default: int) -> int:
        """The tag's first whole number."""
        values = self.numbers(tag)
        return values[0] if values else default


def _read(file: BinaryIO, offset: int, count: int, size: int) -> bytes:
    if offset < 0 or count < 0 or offset + count > size:
        raise Damaged("The file ends inside its TIFF tags.")
    file.seek(offset)
    data = file.read(count)
    if len(data) != count:
        raise Damaged("The file ends inside its TIFF tags.")
    return data


def read_directory(file: BinaryIO, at: int = 0) -> Directory:
    """Read the directory at a place of a seekable TIFF stream, by default the first.

    Raises `Damaged`.
    """
    size = file.seek(0, os.SEEK_END)
    start = _read(file, 0, 8, size)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None:
        raise Damaged("The TIFF byte order mark is missing.")
    magic = struct.unpack(order + "H", start[2:4])[0]
    if magic == 42:
        big, offset = False, struct.unpack(order + "I", start[4:])[0]
        count_format, entry_format, pointer = "H", "HHI4s", "I"
    elif magic == 43:
        big, offset = True, struct.unpack(order + "Q", _read(file, 8, 8, size))[0]
        count_format, entry_format, pointer = "Q", "HHQ8s", "Q"
    else:
        raise Damaged("The TIFF version number is unknown.")
    offset = at or offset

    count_size = struct.calcsize(order + count_format)
    count = struct.unpack(order + count_format, _read(file, offset, count_size, size))[0]
    if not 1 <= count <= MOST_ENTRIES:
        raise Damaged(f"The first TIFF page announces {count} tags.")
    entry_size = struct.calcsize(order + entry_format)
    block = _read(file, offset + count_size, count * entry_size, size)

    tags: dict[int, Value] = {}
    for tag, kind, length, inline in struct.iter_unpack(order + entry_format, block):
        if kind not in _BYTES or tag in tags:
            continue
        wanted = length * _BYTES[kind]
        if wanted <= len(inline):
            raw = inline[:wanted]
        else:
            where = struct.unpack(order + pointer, inline)[0]
            raw = _read(file, where, wanted, size)
        if kind in _STRUCT:
            tags[tag] = struct.unpack(f"{order}{length}{_STRUCT[kind]}", raw)
        elif kind in (2, 7):
            tags[tag] = raw

    next_at = offset + count_size + len(block)
    width = 8 if big else 4
    try:
        following = int.from_bytes(_read(file, next_at, width, size), _endian(order))
    except Damaged:
        following = 0  # common in the wild, and harmless for the first page
    return Directory(order, tags, following if following < size else 0)


def _endian(order: str) -> Literal["little", "big"]:
    return "little" if order == "<" else "big"
