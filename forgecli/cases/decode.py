"""Pixels of a case: checked against limits, decoded, brought to 8-bit RGB."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray

from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.formats import bmp, jpeg, npy, png, tiff, webp
from forgecli.cases.formats.header import Damaged
from forgecli.cases.header import Format, Header, open_regular, parse_header
from forgecli.cases.render import to_rgb8
from forgecli.detection import Case, Picture

MAX_PIXELS = 200_000_000
MAX_BYTES = 4 << 30

_DECODERS = {
    Format.PNG: png.decode,
    Format.JPEG: jpeg.decode,
    Format.TIFF: tiff.decode,
    Format.BMP: bmp.decode,
    Format.WEBP: webp.decode,
    Format.NPY: npy.decode,
}


def read_picture(
    case: Case, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> tuple[Picture, list[str]]:
    """Read the picture of a case, safe for files that nobody vouches for.

    The size is taken from the header before anything is allocated or decoded. 8-bit samples stay
    as they are; 16-bit, float and other types are scaled linearly from the picture's own least
    and greatest sample to 0 and 255; grey is repeated, palettes are expanded, alpha is composited
    on white (see `render.to_rgb8`). Of several pages or frames the first is read. The orientation
    that EXIF or TIFF ask for is not applied, so that masks fit the stored pixels.

    Args:
        max_pixels: the most pixels that are decoded.
        max_bytes: the most bytes that the file and the decoded samples may each take.

    Returns:
        the picture, and warnings: what was odd about the file, sentences for a user.

    Raises:
        Unreadable: missing, of no known format, truncated or damaged. Pixels are never made up.
        TooLarge: over one of the limits.
    """
    path = case.image
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise TooLarge(f"The file has {size:,} bytes; the limit is {max_bytes:,}.", file=path)
        header = parse_header(file, path)
        if header.pixels > max_pixels:
            raise TooLarge(
                f"The picture has {header.width} x {header.height} = {header.pixels:,} pixels; "
                f"the limit is {max_pixels:,}.",
                file=path,
                mend=f"Raise the limit with --max-pixels {header.pixels}.",
            )
        if header.decoded_bytes > max_bytes:
            raise TooLarge(
                f"The decoded picture takes {header.decoded_bytes:,} bytes; "
                f"the limit is {max_bytes:,}.",
                file=path,
            )
        try:
            file.seek(0)
            data = file.read()
        except OSError as error:
            raise Unreadable(f"The file cannot be read: {error.strerror}.", file=path) from error
    try:
        pixels, warnings = to_rgb8(decode_native(data, header), header.alpha)
    except Unreadable as failure:
        raise Unreadable(failure.what, file=path) from failure
    except MemoryError:
        raise TooLarge("There is not enough memory to decode the picture.", file=path) from None
    return Picture(case.case_id, pixels), [*header.warnings, *warnings]


def decode_native(data: bytes, header: Header) -> NDArray[Any]:
    """Decode a whole file to its own type.

    Args:
        data: the file.
        header: its header, as `parse_header` gives it.

    Returns:
        (H, W) or (H, W, 3 | 4), RGB or RGBA, native byte order; `header.alpha` says what a fourth
        channel means. For 8-bit and 16-bit files they are the samples that cv2's IMREAD_UNCHANGED
        gives in BGR order; the exceptions are those that `tiff.decode` lists.

    Raises:
        Unreadable: the file is truncated or damaged.
    """
    try:
        samples = _DECODERS[header.format](data, header)
    except Damaged as damage:
        raise Unreadable(str(damage)) from damage
    if samples.shape[:2] != (header.height, header.width):
        raise Unreadable("The decoded picture is not of the size that its header gives.")
    return samples
