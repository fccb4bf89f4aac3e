"""One launch for all pictures of a batch, whatever their sizes: the table that describes them.

A row of the table is one picture, and the second number of a block (``blockIdx.y``) its row. The
same struct for the sources is in ``batch.cuh``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ImageTable = np.dtype(
    [
        ("pixel_offset", np.int64),
        ("height", np.int32),
        ("width", np.int32),
        ("view_height", np.int32),
        ("view_width", np.int32),
        ("word_offset", np.int64),
        ("rank", np.int64),
        ("limit", np.float32),
        ("min_area", np.int32),
    ]
)
"""A picture of a batch, 48 bytes:

- ``pixel_offset``: the byte of the packed buffer where its pixels, uint8 (H, W, 3), begin
- ``height``, ``width``: of the picture
- ``view_height``, ``view_width``: of the part at the top left of the network's frame that holds it
- ``word_offset``: the uint32 of the packed buffer where its bit words begin
- ``rank``: of the pixel whose value is the score, counted from the lowest as 0
- ``limit``: a pixel is set where its logit reaches this
- ``min_area``: components of fewer pixels are left out
"""

Table = NDArray[np.void]
"""`ImageTable` (n,), C-contiguous."""

MOST = 65_535
"""Pictures of a batch, at most: the second side of a grid."""


def words_per_column(height: int) -> int:
    """uint32 words that hold a bit for each row of a column."""
    return -(-height // 32)


def word_count(height: int, width: int) -> int:
    """uint32 words of a picture: columns one after the other, each downwards, a bit per pixel.

    Bit r of word ``column * words_per_column(height) + w`` belongs to row 32 w + r. Bits past the
    last row are 0.
    """
    return words_per_column(height) * width


def place(table: Table) -> tuple[int, int]:
    """Set the offsets of a table whose sizes are set: pictures one after the other.

    Pixels begin at multiples of 16 bytes, words at multiples of 4.

    Returns:
        bytes of the packed pixels, and uint32 words of the packed masks.
    """
    pixels = words = 0
    for row in table:
        height, width = int(row["height"]), int(row["width"])
        row["pixel_offset"], row["word_offset"] = pixels, words
        pixels += -(-height * width * 3 // 16) * 16
        words += -(-word_count(height, width) // 4) * 4
    return pixels, words


def table_of(shapes: Sequence[tuple[int, int]], views: Sequence[tuple[int, int]]) -> Table:
    """A table of pictures of these sizes (H, W) and views (h, w), with offsets as `place` has them.

    Rank, limit and area are 0.
    """
    table = np.zeros(len(shapes), ImageTable)
    for row, shape, view in zip(table, shapes, views, strict=True):
        row["height"], row["width"] = shape
        row["view_height"], row["view_width"] = view
    place(table)
    return table
