"""Normalised correlation in a box around every pixel of many windows, on a GPU.

What `kernels.local_correlation.local_correlation` finds of each window, but for rounding: sums are
float32, about the box's own pixel, where the CPU's are float64. The second image is either given,
or what a map says stands there (`forgecli.match.agreement.warp_into`), in the same launch. It has
run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.batch import MOST
from kernels.cuda.device import Buffer, Device, Scalar, Stream, pointer
from kernels.cuda.zernike import check_size

WINDOW = np.dtype(
    [
        ("affine", np.float64, (2, 3)),
        ("offset", np.int64),
        ("left", np.int32),
        ("top", np.int32),
        ("width", np.int32),
        ("height", np.int32),
    ]
)
"""A window, 72 bytes:

- ``affine``: from (x, y) counted from its corner to (x, y) of the image
- ``offset``: of its first pixel among those of all windows
- ``left``, ``top``: of its corner in the image
- ``width``, ``height``: its own
"""

MOST_PIXELS = 2**31 - 1
"""Of a window: the kernels count them in int32."""

MOST_SIDE = 15
"""Of a box: a tile and all that its boxes reach lie in the memory of a block."""

PIXEL_BYTES = 8
"""Of the device's memory for each pixel of a window: one value given or warped, one made. Where
both images are given, 12."""

_ACROSS, _DOWN = 32, 8  # of a tile, in local_correlation.cu
_THREADS = _ACROSS * _DOWN


def table_of(boxes: NDArray[np.int64], affines: NDArray[np.float64]) -> NDArray[np.void]:
    """A table of windows, one after the other.

    Args:
        boxes: int64 (n, 4): left, top, right and bottom, the last two outside.
        affines: float64 (n, 2, 3), from (x, y) of the image to (x, y) of the image.

    Raises:
        ValueError: a corner or a side that is no int32.
    """
    table = np.zeros(len(boxes), WINDOW)
    left, top, right, bottom = boxes.reshape(-1, 4).T
    for own in (left, top, right - left, bottom - top):
        if own.size and np.abs(own).max() >= 2**31:
            raise ValueError(f"a window's corner and sides are int32. Got: {own.tolist()}")
    table["left"], table["top"] = left, top
    table["width"], table["height"] = right - left, bottom - top
    areas = (right - left) * (bottom - top)
    table["offset"] = np.cumsum(areas) - areas
    table["affine"] = affines
    table["affine"][:, :, 2] += affines[:, :, 0] * left[:, None] + affines[:, :, 1] * top[:, None]
    return table


def pixels_of(table: NDArray[np.void]) -> int:
    """Pixels up to the end of the last window of a table."""
    if not len(table):
        return 0
    areas = table["width"].astype(np.int64) * table["height"]
    return int((table["offset"] + areas).max())


def correlate_views(
    device: Device,
    stream: Stream,
    image: Buffer,
    shape: tuple[int, int],
    table: NDArray[np.void],
    windows: Buffer,
    side: int,
    levels: Buffer,
    seen: Buffer,
    out: Buffer,
) -> None:
    """Correlate windows of an image with what their maps say stands there.

    Returns before it is done; it is part of the stream.

    Args:
        image: float32 `shape`, finite.
        shape: (H, W).
        table: `WINDOW` (n,), on the host, of windows that lie inside the image.
        windows: the same on the device.
        side: of the box.
        levels: float32 (n,), for the kernels' own use.
        seen: float32 (`pixels_of` the table,), filled with what the maps say, bilinear; NaN more
            than half a pixel outside of the image.
        out: likewise, filled with the correlations, -1 where the box is flat or not known.

    Raises:
        ValueError: a box that is out of range, a window outside of the image, empty or of more than
            `MOST_PIXELS`, more than 65,535 windows, or a buffer that is too small.
    """
    if _checked(table, windows, levels, side, seen, out) == 0:
        return
    check_size("image", image, 4 * shape[0] * shape[1])
    low = min(table["left"].min(), table["top"].min())
    right, bottom = table["left"] + table["width"], table["top"] + table["height"]
    if low < 0 or right.max() > shape[1] or bottom.max() > shape[0]:
        raise ValueError(f"a window leaves the image of {shape}")
    given = (pointer(image), np.int32(shape[0]), np.int32(shape[1]), pointer(windows))
    grid = (len(table), 1)
    device.launch("local_correlation", "view_levels", grid, _THREADS, (*given, pointer(levels)),
                  stream)  # fmt: skip
    made = (pointer(levels), np.int32(side), pointer(seen), pointer(out))
    _launch(device, stream, "correlate_views", table, (*given, *made))


def correlate_arrays(
    device: Device,
    stream: Stream,
    first: Buffer,
    second: Buffer,
    table: NDArray[np.void],
    windows: Buffer,
    side: int,
    levels: Buffer,
    out: Buffer,
) -> None:
    """Correlate pairs of arrays of any sizes. Returns before; it is part of the stream.

    Args:
        first, second: float32, the windows one after the other; where the second is not finite it
            is not known.
        table: `WINDOW` (n,), on the host; maps and corners do not count.
        windows: the same on the device.
        side, levels, out: as of `correlate_views`.

    Raises:
        ValueError: a box that is out of range, a window that is empty or of more than
            `MOST_PIXELS`, more than 65,535 windows, or a buffer that is too small.
    """
    if _checked(table, windows, levels, side, first, second, out) == 0:
        return
    arguments = (pointer(first), pointer(windows), pointer(levels))
    grid = (len(table), 1)
    device.launch("local_correlation", "array_levels", grid, _THREADS, arguments, stream)
    given = (pointer(first), pointer(second), pointer(windows), pointer(levels))
    _launch(device, stream, "correlate_arrays", table, (*given, np.int32(side), pointer(out)))


def _launch(
    device: Device,
    stream: Stream,
    kernel: str,
    table: NDArray[np.void],
    arguments: tuple[Scalar, ...],
) -> None:
    across, down = -(-table["width"] // _ACROSS), -(-table["height"] // _DOWN)
    grid = (int((across * down).max()), len(table))
    device.launch("local_correlation", kernel, grid, _THREADS, arguments, stream)


def _checked(
    table: NDArray[np.void], windows: Buffer, levels: Buffer, side: int, *pixels: Buffer
) -> int:
    """The number of windows."""
    if table.dtype != WINDOW or table.ndim != 1 or len(table) > MOST:
        raise ValueError(f"not a table of windows. Got: {table.dtype} {table.shape}")
    if not 1 <= side <= MOST_SIDE:
        raise ValueError(f"on a GPU, a box is 1 to {MOST_SIDE} pixels wide. Got: {side}")
    if len(table) and min(table["width"].min(), table["height"].min()) < 1:
        raise ValueError("a window has no pixels")
    areas = table["width"].astype(np.int64) * table["height"]
    if len(table) and areas.max() > MOST_PIXELS:
        raise ValueError(f"a window has {MOST_PIXELS} pixels at most. Got: {areas.max()}")
    check_size("the table", windows, table.nbytes)
    check_size("levels", levels, 4 * len(table))
    for buffer in pixels:
        check_size("pixels of windows", buffer, 4 * pixels_of(table))
    return len(table)
