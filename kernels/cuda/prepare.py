"""From a batch of pictures to what a network takes, on a GPU.

What `cv2.resize` of bytes (``INTER_AREA`` where a picture shrinks, ``INTER_LINEAR`` where it
grows), an edge that is repeated and a product with 1/255 make on the host. The arithmetic is
OpenCV's own; in our tests no value differs from that of its wheel for x86-64, whose SIMD code for
other processors may round a value to the next byte. Error-level analysis needs a JPEG encoder and
is not made here: networks of 6 channels take another way. It has run on the host's stand-in for a
GPU only.
"""

from __future__ import annotations

import numpy as np

from kernels.cuda.batch import MOST, ImageTable, Table
from kernels.cuda.device import Buffer, Device, Stream, pointer

_THREADS = 256


def prepare(
    device: Device,
    stream: Stream,
    table: Table,
    rows: Buffer,
    pixels: Buffer,
    frame: tuple[int, int],
    images: Buffer,
) -> None:
    """Fill the frames of a batch. Returns before they are; it is part of the stream.

    Of the table ``pixel_offset`` and the four sides count. A view has to be at most as high and as
    wide as its picture, or at least as high and as wide.

    Args:
        table: (n,), on the host.
        rows: the same on the device.
        pixels: the packed uint8 pictures (H, W, 3).
        frame: (h, w) of the network.
        images: float32 (n, 3, h, w), 0 to 1, filled.

    Raises:
        ValueError: a table that does not go with the frame.
    """
    _check(table, frame)
    if not len(table):
        return
    grid = (-(-frame[0] * frame[1] // _THREADS), len(table))
    sides = (np.int32(frame[0]), np.int32(frame[1]))
    arguments = (pointer(rows), pointer(pixels), *sides, pointer(images))
    device.launch("prepare", "prepare", grid, _THREADS, arguments, stream)


def _check(table: Table, frame: tuple[int, int]) -> None:
    if table.dtype != ImageTable or table.ndim != 1 or len(table) > MOST:
        raise ValueError(f"not a table of pictures. Got: {table.dtype} {table.shape}")
    heights, widths = table["view_height"], table["view_width"]
    sides = (heights, widths, table["height"], table["width"])
    if any((side < 1).any() for side in sides):
        raise ValueError("a picture or a view has no pixels")
    if (heights > frame[0]).any() or (widths > frame[1]).any():
        raise ValueError(f"a view is larger than the frame {frame}")
    shrinks = (heights < table["height"]) | (widths < table["width"])
    grows = (heights > table["height"]) | (widths > table["width"])
    if (shrinks & grows).any():
        raise ValueError("a view is higher and less wide than its picture, or the other way")
