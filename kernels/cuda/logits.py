"""From a batch of logits to bit words and scores at full size, on a GPU.

What `kernels.resize.enlarge`, a comparison and `kernels.rank.value_of_rank` make of each picture
on the host, to the last bit, in three launches for a batch. Nothing waits for anything but its
stream. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np

from kernels.cuda.batch import MOST, ImageTable, Table
from kernels.cuda.device import Buffer, Device, Scalar, Stream, pointer

LEVEL = np.dtype([("score", np.float32), ("not_finite", np.uint32)])
"""What is found of a picture, 8 bytes: the logit of `ImageTable`'s rank among the highest of each
pixel's channels at full size, and 1 if any logit of its view is not a finite number, else 0. Then
the score and the words mean nothing."""

_THREADS = 128  # COLUMNS and ROWS in logits.cu
_BINS = 2048
_SEARCH = 16


def work_size(pictures: int) -> int:
    """Bytes that `finish` needs for so many pictures; the `LEVEL` of each comes first."""
    return _counts_at(pictures) + 4 * _BINS * pictures


def finish(
    device: Device,
    stream: Stream,
    table: Table,
    rows: Buffer,
    logits: Buffer,
    shape: tuple[int, int, int, int],
    words: Buffer,
    work: Buffer,
) -> None:
    """Words and scores of a batch. Returns before they are there; it is part of the stream.

    A pixel's bit is set where the highest of its channels reaches ``limit``. Of the table all but
    ``pixel_offset`` and ``min_area`` counts.

    Args:
        table: (n,), on the host.
        rows: the same on the device.
        logits: float32 `shape`; of each map the first ``view_height`` rows and ``view_width``
            columns count, and of the maps the first n.
        shape: (N, K, h, w), N at least n.
        words: uint32, filled; each picture's begin at its ``word_offset``. Between pictures it
            stays as it is.
        work: `work_size` bytes or more, whatever they hold. At its beginning lie afterwards n
            times `LEVEL`.

    Raises:
        ValueError: a table that is not of this shape: a view larger than the map, a rank that
            there is not, more than `MOST` pictures; or too little room.
    """
    count = len(table)
    _check(table, shape)
    if work.size < work_size(count):
        raise ValueError(f"{count} pictures need {work_size(count)} bytes. Got: {work.size}")
    if not count:
        return
    device.fill(work, 0, stream, size=work_size(count))
    across, down = -(-table["width"] // _THREADS), -(-table["height"] // _THREADS)
    grid = (int((across * down).max()), count)
    read: list[Scalar] = [pointer(rows), pointer(logits), *map(np.int32, shape[1:])]
    parts = (0, _searches_at(count), _counts_at(count))
    made: list[Scalar] = [pointer(words), *(pointer(work, at) for at in parts)]
    for number in range(3):
        arguments = [*read, *made, np.int32(number)]
        device.launch("logits", "finish", grid, _THREADS, arguments, stream)


def _searches_at(pictures: int) -> int:
    return -(-LEVEL.itemsize * pictures // 16) * 16


def _counts_at(pictures: int) -> int:
    return _searches_at(pictures) + _SEARCH * pictures


def _check(table: Table, shape: tuple[int, int, int, int]) -> None:
    if table.dtype != ImageTable or table.ndim != 1 or len(table) > min(shape[0], MOST):
        raise ValueError(f"{table.dtype} {table.shape} is not a table of logits {shape}")
    heights, widths = table["view_height"], table["view_width"]
    sides = (heights, widths, table["height"], table["width"])
    if any((side < 1).any() for side in sides) or shape[1] < 1:
        raise ValueError("a picture, a view or the logits have no pixels")
    if (heights > shape[2]).any() or (widths > shape[3]).any():
        raise ValueError(f"a view is larger than the logits {shape}")
    pixels = table["height"].astype(np.int64) * table["width"]
    if ((table["rank"] < 0) | (table["rank"] >= pixels)).any():
        raise ValueError("a picture has no pixel of such a rank")
