"""The header alone: size and kind of a picture without its pixels."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from forgecli.cases.failures import Unreadable
from forgecli.cases.formats.bmp import read_header as read_bmp_header
from forgecli.cases.header import Format, parse_header, read_size
from tests.corpus import png_writer as png
from tests.corpus.bmp_writer import write_bmp
from tests.corpus.files import valid_files
from tests.corpus.png_writer import chunk, write_png
from tests.corpus.scenes import encode, exif, npy, scene


class CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def test_nothing_but_the_header_is_read() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    for suffix, data in {
        ".png": write_png(noise, 8, png.RGB),
        ".jpg": encode(".jpg", noise),
        ".tif": encode(".tif", noise),
        ".bmp": encode(".bmp", noise),
        ".webp": encode(".webp", noise),
        ".npy": npy(noise),
    }.items():
        file = CountingFile(data)
        header = parse_header(file, Path("x" + suffix))
        assert (header.width, header.height, header.channels) == (500, 500, 3)
        assert header.warnings == ()
        assert file.count < 4000, suffix


def test_formats_are_known_by_content() -> None:
    formats = {".png": Format.PNG, ".jpg": Format.JPEG, ".tif": Format.TIFF}
    formats |= {".bmp": Format.BMP, ".webp": Format.WEBP, ".npy": Format.NPY}
    for file in valid_files():
        header = parse_header(io.BytesIO(file.data), Path("x.dat"))
        assert header.format is formats[Path(file.name).suffix]
        assert f"its content is {header.format}" in header.warnings[0]


def test_read_size_takes_text_and_paths(tmp_path: Path) -> None:
    path = tmp_path / "Größe 大.PNG"
    path.write_bytes(write_png(scene(3), 8, png.RGB))
    for named in (path, str(path)):
        header = read_size(named)
        assert (header.format, header.width, header.height) == (Format.PNG, 45, 37)
        assert header.warnings == ()


@pytest.mark.parametrize("orientation", [0, 1, 2, 8])
def test_webp_exif(orientation: int) -> None:
    lossy = encode(".webp", scene(3), cv2.IMWRITE_WEBP_QUALITY, 80)
    assert lossy[12:16] == b"VP8 "
    size = (44).to_bytes(3, "little") + (36).to_bytes(3, "little")
    body = exif(orientation)
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + size + lossy[12:]
    chunks += b"EXIF" + struct.pack("<I", len(body)) + body
    data = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
    header = parse_header(io.BytesIO(data), Path("x.webp"))
    assert (header.width, header.height) == (45, 37)
    assert bool(header.warnings) == (orientation > 1)


def test_animations_warn() -> None:
    control = chunk(b"acTL", struct.pack(">II", 3, 0))
    data = write_png(scene(3), 8, png.RGB, before=control)
    assert "animated" in parse_header(io.BytesIO(data), Path("x.png")).warnings[0]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((0, 5, 8, 2), "size of 0 x 5"),
        ((5, 1 << 31, 8, 2), "size of"),
        ((5, 5, 4, 2), "kind of pixel"),
        ((5, 5, 8, 1), "kind of pixel"),
        ((5, 5, 8, 2, 2), "kind of pixel"),
    ],
)
def test_impossible_png_headers(fields: tuple[int, ...], reason: str) -> None:
    data = b"\x89PNG\r\n\x1a\n" + png.header_chunk(*fields) + chunk(b"IDAT", b"")
    with pytest.raises(Unreadable, match=reason):
        parse_header(io.BytesIO(data), Path("x.png"))


def test_png_without_pixels() -> None:
    data = b"\x89PNG\r\n\x1a\n" + png.header_chunk(5, 5, 8, 2)
    with pytest.raises(Unreadable, match="before its pixels"):
        parse_header(io.BytesIO(data), Path("x.png"))
    wrong = bytearray(data)
    wrong[20] ^= 1
    with pytest.raises(Unreadable, match="checksum"):
        parse_header(io.BytesIO(bytes(wrong)), Path("x.png"))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([1, {}], dtype=object), "never loaded"),
        (np.zeros((4, 5), complex), "not numbers"),
        (np.zeros((4, 5), "S3"), "not numbers"),
        (np.zeros((4, 5), [("a", "u1")]), "not numbers"),
        (np.zeros(5), "not a picture"),
        (np.zeros((7, 5, 6)), "not a picture"),
        (np.zeros((2, 4, 5, 3)), "not a picture"),
        (np.zeros((0, 5)), "size of 5 x 0"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        parse_header(io.BytesIO(npy(array)), Path("x.npy"))


def test_short_arrays() -> None:
    data = npy(np.zeros((400, 500)))
    with pytest.raises(Unreadable, match="shorter than its header"):
        parse_header(io.BytesIO(data[:-1]), Path("x.npy"))
    with pytest.raises(Unreadable, match="header cannot be read"):
        parse_header(io.BytesIO(data[:30]), Path("x.npy"))
    huge = data.replace(b"(400, 500)", b"(9**9, 1) ")
    with pytest.raises(Unreadable):
        parse_header(io.BytesIO(huge), Path("x.npy"))


def test_impossible_bmp_headers() -> None:
    stored = np.zeros((5, 15), np.uint8)
    good = write_bmp(stored, 24)
    assert read_bmp_header(io.BytesIO(good)).width == 5
    for data, reason in {
        write_bmp(stored, 24, width=0): "size of 0 x 5",
        write_bmp(stored, 24, compression=4): "compression 4",
        write_bmp(stored, 7): "7 bits",
        good[:40]: "ends inside the BMP header",
    }.items():
        with pytest.raises(Unreadable, match=reason):
            parse_header(io.BytesIO(data), Path("x.bmp"))


def test_two_letters_do_not_make_a_bmp() -> None:
    with pytest.raises(Unreadable, match="known format"):
        parse_header(io.BytesIO(b"BMW is a maker of cars and motorcycles"), Path("x.txt"))
