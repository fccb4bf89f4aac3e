"""What is particular to TIFF: damaged tags, lost blocks, rare kinds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from forgecli.cases.decode import decode_native
from forgecli.cases.failures import Unreadable
from forgecli.cases.formats import tiff as reader
from forgecli.cases.formats.header import Alpha
from forgecli.cases.header import Header, parse_header
from tests.corpus.scenes import scene
from tests.corpus.tiff_writer import DEFLATE, LZW, NONE, PACKBITS, PALETTE, RGB, Tiff


def header_of(data: bytes) -> Header:
    return parse_header(io.BytesIO(data), Path("x.tif"))


def decode(data: bytes) -> np.ndarray:
    return decode_native(data, header_of(data))


@pytest.mark.parametrize("codec", [NONE, LZW, DEFLATE, PACKBITS])
def test_a_cut_strip_is_noticed(codec: int) -> None:
    """The tags come first here, so that only pixels are missing."""
    data = Tiff(RGB, codec, rows_per_strip=10, pixels_last=True).write(scene(3))
    np.testing.assert_array_equal(decode(data), scene(3))
    for missing in (1, 10, 100, 1000):
        with pytest.raises(Unreadable, match="ends inside its pixels"):
            decode(data[:-missing])


@pytest.mark.parametrize("codec", [LZW, DEFLATE, PACKBITS])
def test_a_strip_that_ends_early_is_noticed(codec: int) -> None:
    page = Tiff(RGB, codec, pixels_last=True)
    rows = scene(3)[:-1]
    data = page.write(rows)
    height = (rows.shape[0]).to_bytes(4, "little")
    taller = (rows.shape[0] + 1).to_bytes(4, "little")
    tag = b"\x01\x01\x04\x00\x01\x00\x00\x00"
    assert data.count(tag + height) == 1
    with pytest.raises(Unreadable):
        decode(data.replace(tag + height, tag + taller))


def test_a_lost_strip_is_noticed() -> None:
    page = Tiff(RGB, rows_per_strip=10)
    page.extra = {257: (4, (4000,))}
    with pytest.raises(Unreadable, match="lists 4 of 400 blocks"):
        decode(page.write(scene(3)))


def test_sizes_of_strips_may_be_missing() -> None:
    data = Tiff(RGB, rows_per_strip=10).write(scene(3))
    # Tag 279 renamed to one that means nothing.
    entry = b"\x17\x01\x04\x00\x04\x00\x00\x00"
    assert data.count(entry) == 1
    without = data.replace(entry, b"\x17\x81\x04\x00\x04\x00\x00\x00")
    np.testing.assert_array_equal(decode(without), scene(3))


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({256: (4, (0,))}, "size of 0 x"),
        ({277: (3, (200,))}, "200 samples"),
        ({258: (3, (8, 8, 16))}, "differ in their number of bits"),
        ({339: (3, (6, 6, 6))}, "complex"),
        ({262: (3, (3,)), 277: (3, (1,)), 258: (3, (8,))}, "colour map"),
        ({322: (4, (1 << 30,)), 323: (4, (1 << 30,))}, "blocks of"),
        ({262: (3, (5,))}, "too few for its colours"),
        ({259: (3, (65000,))}, "compression 65000 is not read"),
        ({262: (3, (8,))}, "kind 8 are not read"),
        ({347: (3, (1, 2, 300))}, "does not hold bytes"),
        ({258: (3, (4, 4, 4))}, "4 bits are not read"),
        ({256: (11, (1,))}, "whole numbers"),
    ],
)
def test_impossible_tags(extra: dict, reason: str) -> None:
    if 256 in extra and extra[256][0] == 11:
        data = (
            Tiff(RGB)
            .write(scene(3))
            .replace(b"\x00\x01\x04\x00\x01\x00\x00\x00", b"\x00\x01\x0b\x00\x01\x00\x00\x00")
        )
    else:
        data = Tiff(RGB, extra=extra).write(scene(3))
    with pytest.raises(Unreadable, match=reason):
        decode(data)


def test_a_colour_that_the_map_lacks() -> None:
    page = Tiff(PALETTE, extra={320: (3, tuple(range(30)))})
    with pytest.raises(Unreadable, match="colour map"):
        decode(page.write(scene(1)))


def test_a_ring_of_pages_ends() -> None:
    data = bytearray(Tiff().write(scene(1)))
    data[-4:] = data[4:8]
    header = header_of(bytes(data))
    assert any("more than one page" in text for text in header.warnings)
    np.testing.assert_array_equal(decode(bytes(data)), scene(1)[:, :, 0])


def test_tags_beyond_the_end() -> None:
    data = bytearray(Tiff().write(scene(1)))
    data[4:8] = (1 << 31).to_bytes(4, "little")
    with pytest.raises(Unreadable, match="ends inside its TIFF tags"):
        decode(bytes(data))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_picture_is_not_turned(orientation: int) -> None:
    page = Tiff(RGB, extra={274: (3, (orientation,))})
    np.testing.assert_array_equal(decode(page.write(scene(3))), scene(3))


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("subsampled", [True, False])
def test_jpeg_blocks(quality: int, subsampled: bool) -> None:
    """Strips and tiles of JPEG, as YCbCr and as RGB, with the tables apart and in each block."""
    options = {"quality": quality, "colorsubsampling": "420" if subsampled else "444"}
    stream = simplejpeg.encode_jpeg(scene(3), **options)
    page = Tiff(6, rows_per_strip=37)
    data = page.write_blocks(scene(3), [stream], compression=7)
    np.testing.assert_array_equal(decode(data), simplejpeg.decode_jpeg(stream))
    frame = stream.index(b"\xff\xc0")
    tables, rest = stream[:frame] + b"\xff\xd9", stream[:2] + stream[frame:]
    page = Tiff(6, rows_per_strip=37, extra={347: (7, tables)})
    apart = page.write_blocks(scene(3), [rest], compression=7)
    np.testing.assert_array_equal(decode(apart), simplejpeg.decode_jpeg(stream))
    with pytest.raises(Unreadable, match="JPEG data in the TIFF"):
        decode(Tiff(6).write_blocks(scene(3), [stream[:-200]], compression=7))


def test_kinds_of_alpha() -> None:
    for value, alpha in {1: Alpha.PREMULTIPLIED, 2: Alpha.STRAIGHT, 0: Alpha.NONE}.items():
        header = header_of(Tiff(RGB, extra={338: (3, (value,))}).write(scene(4)))
        assert header.alpha is alpha
        assert header.channels == (3 if alpha is Alpha.NONE else 4)


def test_bits_in_the_other_order() -> None:
    page = Tiff(bits=1, extra={266: (3, (2,))})
    values = (scene(1) >> 7)[:, :, 0]
    packed = np.packbits(values, axis=1, bitorder="little")
    expected = np.unpackbits(np.packbits(values, axis=1), axis=1, bitorder="little", count=45)
    assert packed.shape == (37, 6)
    np.testing.assert_array_equal(decode(page.write(values)), expected * 255)


def test_all_pages() -> None:
    pages = list(reader.decode_pages(Tiff(RGB, pages=4).write(scene(3))))
    assert len(pages) == 4
    for page in pages:
        np.testing.assert_array_equal(page, scene(3))
