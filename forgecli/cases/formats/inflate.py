"""Inflate zlib streams of known size, as PNG and TIFF hold them."""

from __future__ import annotations

import zlib

from forgecli.cases.formats.header import Damaged

MOST_EXPANSION = 1032
"""Deflate's highest ratio: 258 bytes from two bits."""


def inflate(compressed: bytes | memoryview, size: int) -> bytearray | bytes:
    """The first `size` bytes of a zlib stream. Raises `Damaged` where there are fewer."""
    import deflate

    if size > MOST_EXPANSION * len(compressed) + 64:  # before anything is allocated
        raise Damaged("The file holds fewer pixels than its header says.")
    try:
        fast: bytearray = deflate.zlib_decompress(compressed, size)
    except deflate.DeflateError:
        return _inflate_slowly(compressed, size)
    return fast if len(fast) == size else _inflate_slowly(compressed, size)


def _inflate_slowly(compressed: bytes | memoryview, size: int) -> bytes:
    """Tell too little and damaged, which are errors, from too much, which is harmless."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(compressed, size)
    except zlib.error:
        raise Damaged("The compressed pixels are damaged.") from None
    if len(inflated) < size:
        raise Damaged("The file holds fewer pixels than its header says.")
    return inflated
