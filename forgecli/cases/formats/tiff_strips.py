"""Strips and tiles of a TIFF page to one array of samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.formats.header import Damaged
from forgecli.cases.formats.inflate import inflate
from forgecli.cases.formats.samples import unpack_bits
from forgecli.cases.formats.tiff_jpeg import JPEG, JPEG_TABLES, decode_jpeg_block
from forgecli.cases.formats.tiff_tags import Directory

NONE, LZW, ADOBE_DEFLATE, PACKBITS, DEFLATE = 1, 5, 8, 32773, 32946
COMPRESSIONS = (NONE, LZW, JPEG, ADOBE_DEFLATE, PACKBITS, DEFLATE)

PREDICTOR, FILL_ORDER = 317, 266
STRIP_OFFSETS, STRIP_SIZES, ROWS_PER_STRIP = 273, 279, 278
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_SIZES = 322, 323, 324, 325

_REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
_MOST_LZW_EXPANSION = 4096


@dataclass(frozen=True, slots=True)
class Grid:
    """How the samples of a page are cut into blocks, which are strips or tiles.

    Attributes:
        height, width: of the page, in pixels.
        high, wide: of a block. Tiles reach over the page's edges, the last strip does not.
        samples: of a pixel in one block.
        planes: 1, or the number of channels where each has blocks of its own.
        dtype: of the samples, in the file's byte order; uint8 where several share a byte.
        bits: of a sample.
    """

    height: int
    width: int
    high: int
    wide: int
    samples: int
    planes: int
    dtype: np.dtype[Any]
    bits: int
    tiled: bool

    @property
    def row_bytes(self) -> int:
        """Bytes of a block's row."""
        return (self.wide * self.samples * self.bits + 7) // 8

    @property
    def down(self) -> int:
        """Blocks from top to bottom."""
        return -(-self.height // self.high)

    @property
    def across(self) -> int:
        """Blocks from left to right."""
        return -(-self.width // self.wide)


def read_grid(
    page: Directory, height: int, width: int, samples: int, planes: int, dtype: np.dtype[Any]
) -> Grid:
    """The grid that the tags describe. Raises `Damaged`."""
    tiled = TILE_WIDTH in page.tags
    if tiled:
        high, wide = page.number(TILE_HEIGHT, 0), page.number(TILE_WIDTH, 0)
    else:
        high, wide = min(page.number(ROWS_PER_STRIP, height), height), width
    bits = page.number(258, 1)
    # A tile may be larger than the page, but not by enough to exhaust the memory.
    if not (0 < high <= 2 * height + 4096 and 0 < wide <= 2 * width + 4096):
        raise Damaged(f"The TIFF has blocks of {wide} x {high} pixels.")
    return Grid(height, width, high, wide, samples, planes, dtype, bits, tiled)


def read_samples(data: bytes, page: Directory, grid: Grid) -> NDArray[Any]:
    """Decompress all blocks: (H, W, samples * planes), native byte order.

    Raises:
        Damaged: a block is missing, ends early or is damaged. Pixels are never made up.
    """
    blocks = _blocks(data, page, grid)
    compression, predictor = page.number(259, 1), page.number(PREDICTOR, 1)
    if compression == NONE:
        predictor = 1  # as libtiff: the tag belongs to the codecs
    reverse = page.number(FILL_ORDER, 1) == 2
    tables = page.octets(JPEG_TABLES)
    out = np.empty(
        (grid.height, grid.width, grid.samples * grid.planes), grid.dtype.newbyteorder("=")
    )
    for index, block in enumerate(blocks):
        plane, place = divmod(index, grid.down * grid.across)
        top, left = place // grid.across * grid.high, place % grid.across * grid.wide
        # Tiles are always whole, the last strip is as high as what is left.
        high = grid.high if grid.tiled else min(grid.high, grid.height - top)
        if reverse:
            block = memoryview(bytes(block).translate(_REVERSED))
        if compression == JPEG:
            values = decode_jpeg_block(bytes(block), tables, page.number(262, 1), grid.samples)
            if values.shape != (high, grid.wide, grid.samples):
                raise Damaged("A JPEG block of the TIFF is not of the size that its tags give.")
        else:
            rows = _decompress(block, compression, high * grid.row_bytes)
            values = _unpredict(rows.reshape(high, -1), predictor, grid)
        rows_left, columns_left = grid.height - top, grid.width - left
        target = out[top : top + high, left : left + grid.wide]
        channels = slice(plane * grid.samples, (plane + 1) * grid.samples)
        target[:, :, channels] = values[:rows_left, :columns_left]
    return out


def _blocks(data: bytes, page: Directory, grid: Grid) -> list[memoryview]:
    """The bytes of each block, compressed. Raises `Damaged`."""
    offsets = page.numbers(TILE_OFFSETS if grid.tiled else STRIP_OFFSETS)
    sizes = page.numbers(TILE_SIZES if grid.tiled else STRIP_SIZES)
    if not offsets and grid.tiled:  # some writers use the strips' tags for tiles
        offsets, sizes = page.numbers(STRIP_OFFSETS), page.numbers(STRIP_SIZES)
    wanted = grid.down * grid.across * grid.planes
    if len(offsets) < wanted:
        raise Damaged(f"The TIFF lists {len(offsets)} of {wanted} blocks of pixels.")
    if len(sizes) < wanted:
        # Old writers leave the sizes out; decoders find the end themselves.
        following = dict(pairwise(sorted({*offsets, len(data)})))
        sizes = tuple(following.get(offset, offset) - offset for offset in offsets)
    view = memoryview(data)
    blocks = []
    for offset, size in zip(offsets[:wanted], sizes[:wanted], strict=True):
        if not 0 < offset <= offset + size <= len(data) or not size:
            raise Damaged("The file ends inside its pixels.")
        blocks.append(view[offset : offset + size])
    return blocks


def _decompress(block: memoryview, compression: int, size: int) -> NDArray[np.uint8]:
    """The first `size` bytes of a block. Raises `Damaged`."""
    compressed = np.frombuffer(block, np.uint8)
    if compression in (ADOBE_DEFLATE, DEFLATE):
        return np.frombuffer(inflate(block, size), np.uint8)
    if compression == NONE:
        out = compressed[:size]
    elif size > _MOST_LZW_EXPANSION * len(compressed):  # before anything is allocated
        raise Damaged("The file holds fewer pixels than its header says.")
    elif compression == PACKBITS:
        from kernels.packbits import decode_packbits

        out = decode_packbits(compressed, size)
    elif block[0] == 0 and len(block) > 1 and block[1] & 1:  # as libtiff tells them apart
        raise Damaged("LZW as it was before TIFF 6.0 is not read here; save the file as PNG.")
    else:
        from kernels.lzw import decode_lzw

        try:
            out = decode_lzw(compressed, size)
        except ValueError:
            raise Damaged("The compressed pixels are damaged.") from None
    if len(out) < size:
        raise Damaged("The file holds fewer pixels than its header says.")
    return out


def _unpredict(rows: NDArray[np.uint8], predictor: int, grid: Grid) -> NDArray[Any]:
    """Rows of bytes (h, row_bytes) to samples (h, wide, samples). Raises `Damaged`."""
    from kernels.running_sum import running_sums

    shape = (len(rows), grid.wide, grid.samples)
    if grid.bits % 8:
        if predictor != 1:
            raise Damaged("The TIFF predicts samples that do not fill bytes.")
        return unpack_bits(rows, grid.wide * grid.samples, grid.bits).reshape(shape)
    if predictor == 1:
        return rows.view(grid.dtype).reshape(shape)
    if predictor == 2 and grid.dtype.kind != "f":
        values = rows.view(grid.dtype).reshape(shape)
        native = grid.dtype.newbyteorder("=")
        unsigned = np.dtype(f"u{native.itemsize}")
        differences = values.astype(native, copy=False).view(unsigned)
        return running_sums(differences).view(native)
    if predictor == 3 and grid.dtype.kind == "f":
        # Adobe Photoshop TIFF Technical Note 3: the bytes of a row's samples, highest first, each
        # kind by itself, then differences between bytes `samples` apart.
        spread = rows.reshape(len(rows), -1, grid.samples)
        planes = running_sums(spread).reshape(len(rows), grid.dtype.itemsize, -1)
        together = np.ascontiguousarray(planes.transpose(0, 2, 1))
        return together.view(grid.dtype.newbyteorder(">")).reshape(shape)
    raise Damaged(f"TIFF predictor {predictor} is not read here for such samples.")
