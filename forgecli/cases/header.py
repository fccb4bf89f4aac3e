"""The size of a picture from its header, before anything is decoded."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from forgecli.cases.failures import Unreadable
from forgecli.cases.formats import bmp, jpeg, npy, png, tiff, webp
from forgecli.cases.formats.header import SUFFIXES, Damaged, Format, Header

__all__ = ["SUFFIXES", "Format", "Header", "open_regular", "parse_header", "read_size"]

_READERS: dict[Format, Callable[[BinaryIO], Header]] = {
    Format.PNG: png.read_header,
    Format.JPEG: jpeg.read_header,
    Format.TIFF: tiff.read_header,
    Format.BMP: bmp.read_header,
    Format.WEBP: webp.read_header,
    Format.NPY: npy.read_header,
}

CHOICES = "PNG, JPEG, TIFF, BMP, WebP and NPY are read."


def recognise(start: bytes) -> Format | None:
    """The format that a file of these first 16 bytes has; None for one that is not read here."""
    if start.startswith(png.SIGNATURE):
        return Format.PNG
    if start.startswith(jpeg.SIGNATURE):
        return Format.JPEG
    if start.startswith(tiff.SIGNATURES):
        return Format.TIFF
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return Format.WEBP
    if start.startswith(npy.SIGNATURE):
        return Format.NPY
    # Two letters are little: the size of the second header must fit as well, if it is there.
    if start.startswith(bmp.SIGNATURE):
        size = int.from_bytes(start[14:18], "little")
        return Format.BMP if len(start) < 18 or size in bmp.HEADER_SIZES else None
    return None


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises `Unreadable` where it is missing or not a regular file."""
    try:
        # Before opening: a named pipe would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable("This is not a regular file.", file=path)
        return path.open("rb")
    except FileNotFoundError:
        reason = "The file does not exist."
        if path.is_symlink():
            reason = "The file is a link to something that does not exist."
        raise Unreadable(reason, file=path) from None
    except PermissionError:
        raise Unreadable("Permission to read the file is denied.", file=path) from None
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"The file cannot be opened: {text}.", file=path) from None


def parse_header(file: BinaryIO, path: Path) -> Header:
    """The header of an open file; `path` is for messages and for its suffix.

    Raises:
        Unreadable: the content is of no known format, or the header is damaged.
    """
    try:
        file.seek(0)
        start = file.read(18)
        if not start:
            raise Unreadable("The file is empty.", file=path)
        kind = recognise(start)
        if kind is None:
            raise Unreadable(
                "The content is not a picture of a known format.", file=path, mend=CHOICES
            )
        header = _READERS[kind](file)
    except Damaged as damage:
        raise Unreadable(str(damage), file=path) from damage
    except OSError as error:
        raise Unreadable(f"The file cannot be read: {error.strerror}.", file=path) from error
    expected = SUFFIXES.get(path.suffix.lower())
    if expected is not kind:
        said = f"The file is called {path.suffix or 'without a suffix'} but its content is {kind}."
        header = replace(header, warnings=(said, *header.warnings))
    return header


def read_size(path: Path | str) -> Header:
    """Read the header of the picture at `path`, and nothing else.

    Returns:
        format (by content), width and height in pixels, channels and bits of the decoded samples,
        warnings. Nothing is allocated in proportion to the size it announces.

    Raises:
        Unreadable: missing, empty, not a regular file, of no known format, or damaged header.
    """
    path = Path(path)
    with open_regular(path) as file:
        return parse_header(file, path)
