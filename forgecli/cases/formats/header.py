"""What a picture's header tells before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """The formats that are read. Nothing else is handed to a decoder."""

    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"
    BMP = "BMP"
    WEBP = "WebP"
    NPY = "NPY"


SUFFIXES: dict[str, Format] = {
    ".png": Format.PNG,
    ".apng": Format.PNG,
    ".jpg": Format.JPEG,
    ".jpeg": Format.JPEG,
    ".jpe": Format.JPEG,
    ".jfif": Format.JPEG,
    ".tif": Format.TIFF,
    ".tiff": Format.TIFF,
    ".bmp": Format.BMP,
    ".dib": Format.BMP,
    ".webp": Format.WEBP,
    ".npy": Format.NPY,
}
"""Suffixes, lower case, of the files that are taken from a folder."""


class Alpha(StrEnum):
    """What the channel after the colours means."""

    NONE = "none"
    STRAIGHT = "straight"
    PREMULTIPLIED = "premultiplied"


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture without decoding it.

    Attributes:
        format: by content, not by suffix.
        width, height: pixels.
        channels: of the decoded samples, colours and alpha together; a palette counts as its
            colours.
        bits: of one decoded sample.
        alpha: whether the last channel is an alpha channel, and of which kind.
        warnings: what is odd about the file, sentences for a user.
    """

    format: Format
    width: int
    height: int
    channels: int
    bits: int
    alpha: Alpha = Alpha.NONE
    warnings: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def decoded_bytes(self) -> int:
        """Bytes that the decoded samples take."""
        return self.pixels * self.channels * ((self.bits + 7) // 8)


class Damaged(Exception):
    """A file breaks the rules of its format. The text is a reason for a user, without the name."""
