"""JPEG (ITU-T T.81): header and pixels.

Decoded by libjpeg-turbo through simplejpeg in its strict mode, in which damage is an error. cv2
uses the same library with the same settings, so the pixels are the same.
"""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.exif import exif_warnings
from forgecli.cases.formats.header import Damaged, Format, Header
from forgecli.cases.formats.opencv import decode_with_cv2

SIGNATURE = b"\xff\xd8\xff"

START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})
END_OF_IMAGE, START_OF_SCAN, EXIF_MARKER = 0xD9, 0xDA, 0xE1
MOST_STRAY_BYTES = 65536


def read_header(file: BinaryIO) -> Header:
    """Read the markers up to the frame's. Raises `Damaged`."""
    warnings: list[str] = []
    _, frame = _find_frame(file, warnings)
    bits, height, width, channels = struct.unpack(">BHHB", frame)
    if not width or not height:
        raise Damaged(f"The JPEG header gives a size of {width} x {height}.")
    if channels not in (1, 3, 4):
        raise Damaged(f"The JPEG header gives {channels} channels.")
    if bits != 8:
        raise Damaged(f"JPEG of {bits} bits a sample is not read here.")
    if channels == 4:
        warnings.append("The colours are CMYK, made for print; their RGB values are approximate.")
    return Header(
        Format.JPEG, width, height, 1 if channels == 1 else 3, bits, warnings=tuple(warnings)
    )


def _find_frame(file: BinaryIO, warnings: list[str]) -> tuple[int, bytes]:
    """Go to the frame header: its marker and its first 6 bytes. Raises `Damaged`."""
    file.seek(2)
    stray = 0
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff" and stray < MOST_STRAY_BYTES:  # decoders skip them as well
            byte, stray = file.read(1), stray + 1
        while byte == b"\xff":  # any number of these may stand before a marker
            byte = file.read(1)
        if not byte or stray == MOST_STRAY_BYTES:
            raise Damaged("The file ends inside the JPEG header.")
        marker = byte[0]
        if marker in WITHOUT_LENGTH:
            continue
        if marker in (END_OF_IMAGE, START_OF_SCAN):
            raise Damaged("The JPEG file has no frame header before its pixels.")
        length = int.from_bytes(file.read(2), "big") - 2
        if length < 0:
            raise Damaged("A JPEG segment has an impossible length.")
        if marker in START_OF_FRAME:
            frame = file.read(6)
            if len(frame) < 6:
                raise Damaged("The file ends inside the JPEG header.")
            return marker, frame
        if marker == EXIF_MARKER:
            segment = file.read(length)
            if segment.startswith(b"Exif\0\0"):
                warnings += exif_warnings(segment)
        else:
            file.seek(length, 1)


def decode(data: bytes, header: Header) -> NDArray[Any]:
    """Decode the picture: uint8, (H, W) or (H, W, 3) RGB.

    CMYK becomes RGB as cv2 does it, without regard to profiles.

    Raises:
        Damaged: the data end before the last pixel, or are not as they should be. Flipped bits
            that leave a valid code are not noticed, since JPEG has no checksum.
    """
    import simplejpeg

    space = "GRAY" if header.channels == 1 else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(data, space)
    except ValueError as error:
        reason = str(error)
        if "Premature end" in reason and _is_one_scan(data):
            # Perhaps only the end marker is missing. If pixels are, this fails just as well.
            try:
                pixels = simplejpeg.decode_jpeg(data + b"\xff\xd9", space)
            except ValueError:
                raise Damaged("The file ends inside its pixels.") from None
        elif "Premature end" in reason:
            raise Damaged("The file ends inside its pixels.") from None
        elif any(text in reason for text in _HARMLESS):
            pixels = decode_with_cv2(data)
        else:
            raise Damaged(f"The JPEG data are damaged ({reason}).") from None
    return np.asarray(pixels[:, :, 0] if pixels.ndim == 3 and space == "GRAY" else pixels)


_HARMLESS = (
    "Could not determine subsampling",
    "unknown JFIF revision",
    "Unknown Adobe color transform",
    "Invalid SOS parameters",
    "Inconsistent progression sequence",
    "Unsupported color conversion",
)
"""What libjpeg-turbo says of files that are odd but whole."""


def _is_one_scan(data: bytes) -> bool:
    """Whether the picture is sequential with all components in one scan, as most are.

    Only then does a missing pixel show: a progressive file cut between scans looks like a whole
    one of lower quality.
    """
    file = io.BytesIO(data)
    marker, frame = _find_frame(file, [])
    channels = frame[5]
    scan = bytes([0xFF, START_OF_SCAN, 0, 6 + 2 * channels, channels])
    return marker in (0xC0, 0xC1) and data.find(scan, file.tell()) > 0
