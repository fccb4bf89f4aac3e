"""TIFF 6.0 and BigTIFF: header and pixels of the first page.

Grey, RGB, palette and CMYK; raw, LZW, deflate, PackBits and JPEG; strips and tiles. Decoded here,
since libtiff by way of cv2 hands out black pixels where a block is damaged or cannot be read. What
is rare in figures (fax codes, Lab, Zstandard) is refused with its reason.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.exif import ORIENTATION_TAG, orientation_warning
from forgecli.cases.formats.header import Alpha, Damaged, Format, Header
from forgecli.cases.formats.samples import look_up
from forgecli.cases.formats.tiff_jpeg import JPEG, YCBCR
from forgecli.cases.formats.tiff_strips import COMPRESSIONS, read_grid, read_samples
from forgecli.cases.formats.tiff_tags import Directory, read_directory

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION = 256, 257, 258, 259, 262, 270
SAMPLES, PLANAR, COLOUR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT = 277, 284, 320, 338, 339

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4}
"""How many of the samples are colours, for the kinds that are read."""
MOST_SAMPLES = 64

MORE_PAGES = "The TIFF has more than one page; only the first is read."


def read_header(file: BinaryIO) -> Header:
    """Read the tags of the first page. Raises `Damaged`."""
    return _header_of(read_directory(file))


def _header_of(page: Directory) -> Header:
    width, height = page.number(WIDTH, 0), page.number(HEIGHT, 0)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise Damaged(f"The TIFF header gives a size of {width} x {height}.")
    samples, bits = page.number(SAMPLES, 1), page.numbers(BITS, (1,))
    if not 1 <= samples <= MOST_SAMPLES or not bits or not 1 <= bits[0] <= 64:
        raise Damaged(f"The TIFF header gives {samples} samples of {bits[:4]} bits a pixel.")
    if len(set(bits[:samples])) > 1:
        raise Damaged("The TIFF's channels differ in their number of bits.")

    warnings = []
    if page.following or _is_stack(page):
        warnings.append(MORE_PAGES)
    turned = orientation_warning(page.number(ORIENTATION_TAG, 1))
    if turned:
        warnings.append(turned)
    photometric = page.number(PHOTOMETRIC, BLACK_IS_ZERO)
    if photometric == CMYK:
        warnings.append("The colours are CMYK, made for print; their RGB values are approximate.")
    colours = COLOURS.get(photometric, samples)
    if samples < colours:
        raise Damaged(f"The TIFF header gives {samples} samples a pixel, too few for its colours.")
    alpha = Alpha.NONE
    if samples > colours:
        extra = page.numbers(EXTRA_SAMPLES)
        if photometric == RGB and extra[:1] in ((1,), (2,)):
            alpha = Alpha.PREMULTIPLIED if extra[0] == 1 else Alpha.STRAIGHT
        left_out = samples - colours - (alpha is not Alpha.NONE)
        if left_out:
            warnings.append(
                f"{left_out} of the TIFF's {samples} channels are not colours, and are left out."
            )
    channels = 1 if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) else 3
    if alpha is not Alpha.NONE:
        channels = 4
    depth = 8 if photometric == PALETTE else (bits[0] + 7) // 8 * 8
    return Header(Format.TIFF, width, height, channels, depth, alpha, tuple(warnings))


def _is_stack(page: Directory) -> bool:
    """Whether ImageJ keeps more planes behind the first without giving them pages."""
    text = page.tags.get(DESCRIPTION, b"")
    if not isinstance(text, bytes) or not text.startswith(b"ImageJ="):
        return False
    return any(
        line.startswith(b"images=") and line[7:].strip(b" \0") not in (b"", b"1")
        for line in text.splitlines()
    )


def decode(data: bytes, header: Header) -> NDArray[Any]:
    """Decode the first page.

    Returns:
        (H, W), or (H, W, 3 | 4) RGB(A), in the file's own type: integers of 8 to 64 bits (10, 12
        and 14 in the low bits of 16), float of 16 to 64. Grey of fewer bits is spread to 8,
        palettes are expanded to 8 bits, and grey where 0 is white is turned over. Unlike cv2, the
        orientation is ignored, 8-bit colours are not multiplied with alpha, channels that are
        neither colours nor alpha are left out, and 16-bit grey is turned over like 8-bit grey.

    Raises:
        Damaged: a block of pixels is missing, ends early or is damaged, or of no known kind.
    """
    return _decode_page(data, read_directory(io.BytesIO(data)), header)


def decode_pages(data: bytes) -> Iterator[NDArray[Any]]:
    """Decode page after page, each as `decode` does. Endless where the pages form a ring.

    Raises:
        Damaged: as `decode`.
    """
    file = io.BytesIO(data)
    at = 0
    while True:
        page = read_directory(file, at)
        yield _decode_page(data, page, _header_of(page))
        at = page.following
        if not at:
            return


def _check_kind(page: Directory) -> str:
    """The samples' kind, as NumPy's letter for it. Raises `Damaged` for kinds not read here."""
    photometric, compression = page.number(PHOTOMETRIC, BLACK_IS_ZERO), page.number(COMPRESSION, 1)
    bits, sample_format = page.number(BITS, 1), page.number(SAMPLE_FORMAT, 1)
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(sample_format)
    if kind is None:
        raise Damaged("TIFF samples of complex numbers are not read here.")
    if compression not in COMPRESSIONS:
        raise Damaged(f"TIFF compression {compression} is not read here; save the file as PNG.")
    known = photometric in COLOURS
    if compression == JPEG:
        known = photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR) and bits == 8
    if not known:
        raise Damaged(f"TIFF colours of kind {photometric} are not read here; save it as PNG.")
    if bits not in _depths(photometric, kind):
        raise Damaged(f"TIFF samples of {bits} bits are not read here; save the file as PNG.")
    return kind


def _depths(photometric: int, kind: str) -> tuple[int, ...]:
    """The numbers of bits of a sample that are read."""
    if photometric == CMYK:
        return (8,) if kind == "u" else ()
    if photometric == PALETTE:
        return (1, 2, 4, 8) if kind == "u" else ()
    if kind == "f":
        return (16, 32, 64)
    packed = (1, 2, 4) if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and kind == "u" else ()
    return (*packed, 8, *((10, 12, 14) if kind == "u" else ()), 16, 32, 64)


def _decode_page(data: bytes, page: Directory, header: Header) -> NDArray[Any]:
    kind = _check_kind(page)
    photometric = page.number(PHOTOMETRIC, BLACK_IS_ZERO)
    bits, samples = page.number(BITS, 1), page.number(SAMPLES, 1)
    dtype = np.dtype(f"{page.order}{kind}{-(-bits // 8)}")
    planes = samples if page.number(PLANAR, 1) == 2 else 1
    grid = read_grid(page, header.height, header.width, samples // planes, planes, dtype)
    pixels = read_samples(data, page, grid)
    if photometric == PALETTE:
        return _expand(pixels[:, :, 0], page)
    if photometric == CMYK:
        return _from_cmyk(pixels)
    if photometric in (RGB, YCBCR):
        return np.ascontiguousarray(pixels[:, :, : header.channels])
    grey = np.ascontiguousarray(pixels[:, :, 0])
    if bits < 8:
        grey *= np.uint8(255 // ((1 << bits) - 1))
    if photometric == WHITE_IS_ZERO and kind == "u":
        np.subtract((1 << max(bits, 8)) - 1, grey, out=grey)
    return grey


def _expand(indices: NDArray[np.uint8], page: Directory) -> NDArray[np.uint8]:
    """Look up the colour map, 16 bits a colour, of which the high 8 count."""
    colours = np.array(page.numbers(COLOUR_MAP), np.uint16)
    if colours.size < 3 or colours.size % 3 or indices.max() >= colours.size // 3:
        raise Damaged("The TIFF's colour map is missing or too short.")
    shift = 8 if colours.max() > 255 else 0  # some writers store 8 bits, as libtiff knows
    table = np.zeros((256, 4), np.uint8)
    count = min(colours.size // 3, 256)
    table[:count, :3] = (colours.reshape(3, -1)[:, :count] >> shift).T
    return np.ascontiguousarray(look_up(table, indices)[:, :, :3])


def _from_cmyk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of CMYK without a profile, as libtiff computes it."""
    key = 255 - pixels[:, :, 3:4].astype(np.uint16)
    return (key * (255 - pixels[:, :, :3]) // 255).astype(np.uint8)
