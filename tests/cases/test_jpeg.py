"""What is particular to JPEG: missing ends, stray bytes, print colours."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from forgecli.cases.decode import decode_native
from forgecli.cases.failures import Unreadable
from forgecli.cases.header import Header, parse_header
from tests.corpus.scenes import encode, exif, scene


def header_of(data: bytes) -> Header:
    return parse_header(io.BytesIO(data), Path("x.jpg"))


def decode(data: bytes) -> np.ndarray:
    return decode_native(data, header_of(data))


PLAIN = encode(".jpg", scene(3))
PROGRESSIVE = encode(".jpg", scene(3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


def test_only_the_end_marker_is_missing() -> None:
    np.testing.assert_array_equal(decode(PLAIN[:-2]), decode(PLAIN))
    np.testing.assert_array_equal(decode(PLAIN[:-1]), decode(PLAIN))


@pytest.mark.parametrize("missing", [4, 8, 20, 100])
def test_pixels_are_missing(missing: int) -> None:
    for data in (PLAIN, encode(".jpg", scene(3), cv2.IMWRITE_JPEG_RST_INTERVAL, 1)):
        with pytest.raises(Unreadable, match="ends inside its pixels"):
            decode(data[:-missing])


def test_a_progressive_file_without_its_last_scans() -> None:
    """It would decode, to a picture of lower quality, if an end marker were put there."""
    last_scan = PROGRESSIVE.rindex(b"\xff\xda")
    with pytest.raises(Unreadable, match="ends inside its pixels"):
        decode(PROGRESSIVE[:last_scan])
    with pytest.raises(Unreadable, match="ends inside its pixels"):
        decode(PROGRESSIVE[:-2])


def test_stray_bytes_between_segments() -> None:
    assert header_of(PLAIN[:2] + b"\xff\xff\xff" + PLAIN[2:]).width == 45
    second = PLAIN.index(b"\xff\xdb")
    assert header_of(PLAIN[:second] + b"stray" + PLAIN[second:]).width == 45
    with pytest.raises(Unreadable, match="ends inside the JPEG header"):
        header_of(PLAIN[:second] + b"stray" * 100_000 + PLAIN[second:])


def test_a_thumbnail_does_not_count() -> None:
    """An EXIF block may hold a JPEG of its own, with a frame header of another size."""
    thumbnail = encode(".jpg", scene(3)[:8, :8])
    body = b"Exif\0\0" + exif(1) + thumbnail
    data = PLAIN[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + PLAIN[2:]
    header = header_of(data)
    assert (header.width, header.height) == (45, 37)
    np.testing.assert_array_equal(decode(data), decode(PLAIN))


def test_print_colours_become_rgb_as_in_cv2() -> None:
    data = simplejpeg.encode_jpeg(scene(4), colorspace="CMYK", quality=95)
    header = header_of(data)
    assert header.channels == 3
    assert any("CMYK" in text for text in header.warnings)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decode(data), expected[:, :, ::-1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"height": 0}, "size of 45 x 0"),
        ({"bits": 12}, "12 bits"),
        ({"channels": 2}, "2 channels"),
    ],
)
def test_impossible_frames(change: dict[str, int], reason: str) -> None:
    at = PLAIN.index(b"\xff\xc0") + 4
    fields = dict(zip(("bits", "height", "width", "channels"), (8, 37, 45, 3), strict=True))
    assert PLAIN[at : at + 6] == struct.pack(">BHHB", *fields.values())
    data = PLAIN[:at] + struct.pack(">BHHB", *(fields | change).values()) + PLAIN[at + 6 :]
    with pytest.raises(Unreadable, match=reason):
        header_of(data)


def test_a_scan_without_a_frame() -> None:
    with pytest.raises(Unreadable, match="no frame header"):
        header_of(PLAIN[:2] + PLAIN[PLAIN.index(b"\xff\xda") :])
