"""Bilinear resizing of a map of logits, to the last bit the same on every machine.

What a threshold makes of a map depends on every bit of it. Here each value comes from one written
order of float32 operations, each rounded on its own, which ``cuda/bilinear.cuh`` repeats on a GPU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel, readonly

Map = NDArray[np.float32]

_MAP = readonly("float32", 2)
_PLACES = readonly("uint32", 1)
_WEIGHTS = readonly("float32", 1)


def enlarge(logits: Map, shape: tuple[int, int]) -> Map:
    """A map at another size: bilinear, pixel centres at halves, edges repeated.

    Corners of the two grids fall on each other, as with `cv2.resize` and ``INTER_LINEAR``. It
    shrinks too, and then takes the four values around each place and no others, as OpenCV does.

    Column x of W is made of columns i and j of w with the weight p, row y of rows k and l with q::

        at = (x + 0.5) * (w / W) - 0.5                      float64
        i  = min(max(floor(at), 0), w - 1)                  integer
        j  = min(i + 1, w - 1)
        p  = float32(at - floor(at)) if 0 <= at and i < j else 0

        upper = s[k, i] + p * (s[k, j] - s[k, i])           float32, every operation rounded
        lower = s[l, i] + p * (s[l, j] - s[l, i])
        value = upper + q * (lower - upper)

    So equal neighbours stay what they are, and a map of the same size is itself. Where values
    differ by more than float32 holds (3.4e38), the result is infinite.

    Args:
        logits: float32 (h, w), any strides, 1 x 1 or more.
        shape: (H, W), each 1 or more.

    Returns:
        float32 (H, W), C-contiguous, never `logits` itself.

    Raises:
        ValueError: not such a map, or a side under 1.
    """
    if logits.ndim != 2 or logits.dtype != np.float32 or not logits.size:
        raise ValueError(f"a map is float32 (h, w). Got: {logits.dtype} {logits.shape}")
    if min(shape) < 1:
        raise ValueError(f"a map of {shape} has no pixels")
    large = np.empty(shape, np.float32)
    rows, row_weights = places(logits.shape[0], shape[0])
    columns, column_weights = places(logits.shape[1], shape[1])
    _enlarge(np.ascontiguousarray(logits), rows, row_weights, columns, column_weights, large)
    return large


def places(short: int, long: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Where each pixel of a side lies on another side, whatever is the longer.

    Args:
        short: pixels of the side that is read.
        long: of the side that is made.

    Returns:
        uint32 (long,): the first of the two pixels it lies between; the other is the next, or the
        same at the end. float32 (long,): the weight of the other, from 0 to under 1, or 1 where
        rounding makes it that.
    """
    at = (np.arange(long) + 0.5) * (short / long) - 0.5
    before = np.floor(at)
    first = np.clip(before, 0, short - 1).astype(np.uint32)
    inside = (at >= 0) & (first < short - 1)
    return first, np.where(inside, at - before, 0.0).astype(np.float32)


@kernel()
def _widen(
    source: Map,
    columns: NDArray[np.uint32],
    weights: NDArray[np.float32],
    steps: NDArray[np.float32],
    line: NDArray[np.float32],
) -> None:
    """One row at the new width.

    Args:
        steps: float32 (w,), scratch: how much higher the next value is; 0 at the end.
    """
    last = source.size - 1
    for i in range(last):
        steps[i] = source[i + 1] - source[i]
    steps[last] = 0
    for x in range(columns.size):
        first = columns[x]
        line[x] = source[first] + weights[x] * steps[first]


@kernel()
def _between(upper: Map, lower: Map, weight: np.float32, line: Map) -> None:
    """A row between two others."""
    for x in range(line.size):
        line[x] = upper[x] + weight * (lower[x] - upper[x])


@kernel(f"void({_MAP}, {_PLACES}, {_WEIGHTS}, {_PLACES}, {_WEIGHTS}, float32[:, ::1])")
def _enlarge(
    logits: Map,
    rows: NDArray[np.uint32],
    row_weights: NDArray[np.float32],
    columns: NDArray[np.uint32],
    column_weights: NDArray[np.float32],
    large: Map,
) -> None:
    height, width = logits.shape
    # The two source rows of the moment, an even and an odd one, at the new width.
    wide = np.empty((2, columns.size), np.float32)
    held = np.full(2, -1)
    steps = np.empty(width, np.float32)
    for y in range(rows.size):
        first = np.int64(rows[y])
        second = min(first + 1, height - 1)
        for row in (first, second):
            if held[row & 1] != row:
                _widen(logits[row], columns, column_weights, steps, wide[row & 1])
                held[row & 1] = row
        _between(wide[first & 1], wide[second & 1], row_weights[y], large[y])
