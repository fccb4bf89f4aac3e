"""The one EXIF tag that matters here: the orientation."""

from __future__ import annotations

import io

from forgecli.cases.formats.header import Damaged
from forgecli.cases.formats.tiff_tags import read_directory

ORIENTATION_TAG = 274


def orientation_warning(orientation: int) -> str | None:
    """What to tell a user about an EXIF or TIFF orientation; None for the ordinary 1."""
    if orientation in (0, 1):
        return None
    return (
        f"The file asks viewers to turn the picture (orientation {orientation}); "
        "the pixels are taken as they are stored."
    )


def exif_warnings(block: bytes) -> list[str]:
    """Warnings of an EXIF block: it starts with a TIFF header, `Exif\\0\\0` before it or not."""
    block = block.removeprefix(b"Exif\0\0")
    try:
        orientation = read_directory(io.BytesIO(block)).number(ORIENTATION_TAG, 1)
    except Damaged:
        return []  # says nothing of the pixels
    warning = orientation_warning(orientation)
    return [warning] if warning else []
