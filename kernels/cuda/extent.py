"""How far the agreement around local matches reaches, on a GPU, one block per match.

What `kernels.extent.extent` finds, but for rounding: the sums of a window are float32, about its
own middle, where the CPU's are float64. A pixel whose correlation is within some 1e-5 of the
threshold may count in one and not in the other. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np

from kernels.cuda.device import Buffer, Device, Stream, pointer
from kernels.cuda.zernike import check_size

MOST_RADIUS = 31
"""Of a neighbourhood: a row of it is the bits of a word."""

MATCH_BYTES = 84
"""Of the device's memory for each match: 64 given and 20 made."""

_THREADS = 256  # FLOODERS in extent.cu


def extent(
    device: Device,
    stream: Stream,
    image: Buffer,
    fine: Buffer,
    shape: tuple[int, int],
    matches: Buffer,
    count: int,
    out: Buffer,
    *,
    radius: int,
    window: int,
    threshold: float,
) -> None:
    """Measure the area around each match. Returns before it is; it is part of the stream.

    Args:
        image, fine: float32 `shape`.
        shape: (H, W).
        matches: float64 (count, 8), as in `kernels.extent.extent`, whose numbers these are.
        out: float32 (count, 5), filled.

    Raises:
        ValueError: a radius or a window that is out of range, or a buffer that is too small.
    """
    if not 0 <= radius <= MOST_RADIUS:
        raise ValueError(f"on a GPU, a neighbourhood's radius is 0 to {MOST_RADIUS}. Got: {radius}")
    if window < 1:
        raise ValueError(f"the window is at least a pixel wide. Got: {window}")
    for name, buffer, size in (
        ("image", image, 4 * shape[0] * shape[1]),
        ("fine", fine, 4 * shape[0] * shape[1]),
        ("matches", matches, 64 * count),
        ("out", out, 20 * count),
    ):
        check_size(name, buffer, size)
    if not count:
        return
    images = (pointer(image), pointer(fine), np.int32(shape[0]), np.int32(shape[1]))
    numbers = (np.int32(radius), np.int32(window // 2), np.float64(threshold))
    arguments = (*images, pointer(matches), *numbers, pointer(out))
    device.launch("extent", "extent", (count, 1), _THREADS, arguments, stream)
