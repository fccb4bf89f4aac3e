"""Local affine matches refined on a GPU, one block per point.

What `kernels.correlate.refine` makes of them, but for rounding: sums are taken in another order,
and the equations are solved for a step instead of for the derivatives. It has run on the host's
stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Buffer, Device, Stream, pointer
from kernels.cuda.zernike import check_size

MOST_RADIUS = 10
"""Of a patch: it lies in the memory of a block."""

MATCH_BYTES = 140
"""Of the device's memory for each match: 64 given, 72 made, and 4 for where points begin."""

_THREADS = 64  # REFINERS in correlate.cu


def starts_of(matches: NDArray[np.float64]) -> NDArray[np.int32]:
    """Where the matches of each point begin that stand one after the other.

    Args:
        matches: float64 (n, 8).

    Returns:
        int32 (points + 1,): the first match of every point, and n; [0] if there are none.
    """
    differs = (matches[1:, :2] != matches[:-1, :2]).any(axis=1)
    ends = (np.zeros(min(len(matches), 1), np.int64), np.flatnonzero(differs) + 1, [len(matches)])
    return np.concatenate(ends).astype(np.int32)


def refine(
    device: Device,
    stream: Stream,
    image: Buffer,
    shape: tuple[int, int],
    matches: Buffer,
    count: int,
    starts: Buffer,
    points: int,
    refined: Buffer,
    correlation: Buffer,
    contrast: Buffer,
    *,
    radius: int,
    steps: int,
    hopeless: float,
    promising: float,
) -> None:
    """Move matches to where their patches agree best. Returns before; it is part of the stream.

    Args:
        image: float32 `shape`.
        shape: (H, W).
        matches: float64 (n, 8), as in `kernels.correlate.refine`, whose numbers these are.
        count: of the matches, n.
        starts: int32 (points + 1,), see `starts_of`.
        refined: float64 (n, 8), filled.
        correlation, contrast: float32 (n,), filled.

    Raises:
        ValueError: a radius that is out of range, or a buffer that is too small.
    """
    if not 0 <= radius <= MOST_RADIUS:
        raise ValueError(f"on a GPU, the radius of a patch is 0 to {MOST_RADIUS}. Got: {radius}")
    for name, buffer, size in (
        ("image", image, 4 * shape[0] * shape[1]),
        ("matches", matches, 64 * count),
        ("starts", starts, 4 * (points + 1)),
        ("refined", refined, 64 * count),
        ("correlation", correlation, 4 * count),
        ("contrast", contrast, 4 * count),
    ):
        check_size(name, buffer, size)
    if not points:
        return
    given = (pointer(image), np.int32(shape[0]), np.int32(shape[1]), pointer(matches))
    numbers = (np.int32(radius), np.int32(steps), np.float64(hopeless), np.float64(promising))
    made = (pointer(refined), pointer(correlation), pointer(contrast))
    arguments = (*given, pointer(starts), *numbers, *made)
    device.launch("correlate", "refine", (points, 1), _THREADS, arguments, stream)
