"""Undo the row filters of PNG, 64 rows at a time.

Each byte of a row is stored as its difference to a prediction from the bytes to the left, above,
and above to the left (ISO/IEC 15948, section 9), so a row cannot be restored all at once, and the
usual decoders go pixel by pixel. But a row may follow the one above it at a distance of one pixel.
So 64 rows go at once, each one pixel behind the one above it: at every step they form a slanted
line of independent pixels, which the compiler turns into vector instructions.

Four of the five filters are one formula: Paeth's predictor of (left, 0, 0) is left, of
(0, above, 0) is above and of (0, 0, 0) is 0, so masks on its arguments choose between sub, up,
none and Paeth. The predictor itself needs no distances: it is found by comparing 3c - (a + b) with
the smaller and the larger of a and b (as Fabian Giesen noticed; stb_image does the same).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from kernels.jit import kernel

NONE, SUB, UP, AVERAGE, PAETH = range(5)

ROWS = 64
TILE = 64  # steps between copying in and out: few enough for their lines to stay in the L1 cache

_WORDS = {1: "uint8", 2: "uint16", 3: "uint32", 4: "uint32", 6: "uint64", 8: "uint64"}
"""Pixels of so many bytes are copied as one machine word, which may reach into the next pixel."""

_u = np.uint64  # unsigned indices, since numba looks at the sign of others
_i = np.int16
_b = np.uint8


def unfilter(
    rows: NDArray[np.uint8], filters: NDArray[np.uint8], bytes_per_pixel: int
) -> NDArray[np.uint8]:
    """Restore filtered rows.

    Args:
        rows: uint8 (H, n), n a multiple of `bytes_per_pixel`. Rows may lie apart in memory.
        filters: uint8 (H,), the filter of each row, 0 to 4.
        bytes_per_pixel: 1, 2, 3, 4, 6 or 8.

    Returns:
        uint8 (H, n), C-contiguous, new.

    Raises:
        ValueError: a filter that does not exist, or arrays of other shapes or types.
    """
    if bytes_per_pixel not in _WORDS:
        raise ValueError(f"bytes_per_pixel must be one of {list(_WORDS)}. Got: {bytes_per_pixel}")
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] % bytes_per_pixel:
        raise ValueError(f"rows must be uint8, whole pixels. Got: {rows.dtype} {rows.shape}")
    if filters.dtype != np.uint8 or filters.shape != rows.shape[:1]:
        raise ValueError(f"filters must be uint8 (H,). Got: {filters.dtype} {filters.shape}")
    if filters.size and filters.max() > PAETH:
        raise ValueError(f"filters must be 0 to 4. Got: {filters.max()}")
    out = np.empty(rows.shape, np.uint8)
    if not out.size:
        return out
    if rows.strides[1] != 1:
        rows = np.ascontiguousarray(rows)

    word = np.dtype(_WORDS[bytes_per_pixel])
    steps = rows.shape[1] // bytes_per_pixel + ROWS
    # One line a step: a pixel of the row above, then one of each of the 64 rows, further left from
    # row to row. The two lines of zeros at the start stand for what lies left of the rows.
    lines = np.zeros((2 + steps, (1 + ROWS) * word.itemsize), np.uint8)
    _kernel_for(bytes_per_pixel)(
        rows,
        _as_words(rows, word, bytes_per_pixel),
        np.ascontiguousarray(filters),
        out,
        _as_words(out, word, bytes_per_pixel),
        lines.reshape(-1),
        lines[:, : word.itemsize].view(word),
        lines[2:, word.itemsize :].view(word),
    )
    return out


def _as_words(rows: NDArray[np.uint8], word: np.dtype[Any], bytes_per_pixel: int) -> NDArray[Any]:
    """View all pixels but the last of each row as words; the last one's would reach too far."""
    height, n = rows.shape
    if n == bytes_per_pixel:
        return np.empty((height, 0), word)
    first = rows[:, : word.itemsize].view(word)
    shape = (height, n // bytes_per_pixel - 1)
    return as_strided(first, shape, (rows.strides[0], bytes_per_pixel))


@cache
def _kernel_for(bytes_per_pixel: int) -> Callable[..., None]:
    """The kernel for pixels of so many bytes, compiled when the first such picture comes."""
    word = _WORDS[bytes_per_pixel]
    size = np.dtype(word).itemsize
    width = ROWS * size
    line = size + width
    words = f"Array({word}, 2, 'A', aligned=False)"
    words_read = f"Array({word}, 2, 'A', True, aligned=False)"

    @kernel(
        f"void(Array(uint8, 2, 'A', True), {words_read}, Array(uint8, 1, 'C', True), "
        f"uint8[:, ::1], {words}, uint8[::1], Array({word}, 2, 'A'), Array({word}, 2, 'A'))"
    )
    def unfilter_rows(
        rows: Any,
        row_words: Any,
        filters: Any,
        out: Any,
        out_words: Any,
        lines: Any,
        above: Any,
        lanes: Any,
    ) -> None:
        height, n = rows.shape
        last = n // bytes_per_pixel - 1
        masks = np.empty(3 * width, np.uint8)
        for top in range(0, height, ROWS):
            count = min(ROWS, height - top)
            masks[:] = 0
            simple = True
            for r in range(count):
                kind = filters[top + r]
                simple &= kind in (NONE, UP)
                for k in range(r * size, r * size + size):
                    masks[k] = 255 if kind in (SUB, PAETH) else 0
                    masks[k + width] = 255 if kind in (UP, PAETH) else 0
                    masks[k + 2 * width] = 255 if kind == AVERAGE else 0
            if simple:
                for y in range(top, top + count):
                    if filters[y] == NONE or y == 0:
                        for x in range(n):
                            out[y, x] = rows[y, x]
                    else:
                        for x in range(n):
                            out[y, x] = rows[y, x] + out[y - 1, x]
                continue
            if top > 0:
                for x in range(last):
                    above[x + 1, 0] = out_words[top - 1, x]
                for c in range(bytes_per_pixel):
                    lines[(last + 1) * line + c] = out[top - 1, n - bytes_per_pixel + c]
            for r in range(count):
                for c in range(bytes_per_pixel):
                    lines[(last + r + 2) * line + (r + 1) * size + c] = rows[
                        top + r, n - bytes_per_pixel + c
                    ]
            for first in range(0, last + ROWS, TILE):
                end = min(first + TILE, last + ROWS)
                for r in range(count):
                    for x in range(max(0, first - r), min(last, end - r)):
                        lanes[_u(x + r), _u(r)] = row_words[_u(top + r), _u(x)]
                for step in range(first, end):
                    here = _u(step + 2) * _u(line)
                    before = here - _u(line)
                    earlier = before - _u(line)
                    for k in range(width):
                        left_too = masks[_u(k)]
                        above_too = masks[_u(k + width)]
                        mean_too = masks[_u(k + 2 * width)]
                        left = lines[before + _u(k + size)]
                        over = lines[before + _u(k)]
                        # (left + over) // 2 within eight bits
                        mean = _b(left & over) + _b(_b(left ^ over) >> _b(1))
                        a = _i(left & left_too)
                        b = _i(over & above_too)
                        corner = _i(lines[earlier + _u(k)] & (left_too & above_too))
                        turn = _i(_i(3) * corner - _i(a + b))
                        low = min(a, b)
                        high = max(a, b)
                        inside = low if high <= turn else corner
                        paeth = high if turn <= low else inside
                        lines[here + _u(k + size)] += _b(paeth) | (_b(mean) & mean_too)
                for r in range(count):
                    for x in range(max(0, first - r), min(last, end - r)):
                        out_words[_u(top + r), _u(x)] = lanes[_u(x + r), _u(r)]
            for r in range(count):
                for c in range(bytes_per_pixel):
                    out[top + r, n - bytes_per_pixel + c] = lines[
                        (last + r + 2) * line + (r + 1) * size + c
                    ]

    return unfilter_rows
