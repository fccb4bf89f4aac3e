"""How well regions agree with their copies, in place and beside it, on a GPU.

What `kernels.moved.correlations` finds, but for the order in which float64 sums are taken; one
block per region and move. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.batch import MOST
from kernels.cuda.device import Buffer, Device, Stream, pointer
from kernels.cuda.zernike import check_size

REGION = np.dtype([("affine", np.float64, (2, 3)), ("offset", np.int64), ("count", np.int64)])
"""A region, 64 bytes: its map, as in `kernels.moved.correlations`, and its pixels among those of
all regions."""

PIXEL_BYTES = 8
"""Of the device's memory for each pixel of a region: int32 row, int32 column."""

_THREADS = 256  # SUMMERS in moved.cu


def correlations(
    device: Device,
    stream: Stream,
    image: Buffer,
    shape: tuple[int, int],
    table: NDArray[np.void],
    regions: Buffer,
    pixels: Buffer,
    moves: Buffer,
    count: int,
    out: Buffer,
) -> None:
    """Correlations of regions in several places. Returns before; it is part of the stream.

    Args:
        image: float32 `shape`.
        shape: (H, W).
        table: `REGION` (r,), on the host.
        regions: the same on the device.
        pixels: int32 (n, 2), rows and columns, all inside the image.
        moves: float64 (count, 2), x and y.
        count: of the moves.
        out: float64 (r, count), filled.

    Raises:
        ValueError: not a table of regions, more than 65,535 of them, pixels that there are not, or
            a buffer that is too small.
    """
    if table.dtype != REGION or table.ndim != 1 or len(table) > MOST:
        raise ValueError(f"not a table of regions. Got: {table.dtype} {table.shape}")
    for name, buffer, size in (
        ("image", image, 4 * shape[0] * shape[1]),
        ("regions", regions, table.nbytes),
        ("moves", moves, 16 * count),
        ("out", out, 8 * len(table) * count),
    ):
        check_size(name, buffer, size)
    if not len(table) or not count:
        return
    ends = table["offset"] + table["count"]
    if min(table["offset"].min(), table["count"].min()) < 0 or ends.max() * 8 > pixels.size:
        raise ValueError("a region has pixels that there are not")
    given = (pointer(image), np.int32(shape[0]), np.int32(shape[1]), pointer(regions))
    arguments = (*given, pointer(pixels), pointer(moves), pointer(out))
    device.launch("moved", "correlations", (count, len(table)), _THREADS, arguments, stream)
