"""Orders of discs along Morton curves, on a GPU: `kernels.morton.curve_orders`.

Projections are drawn as on the CPU, means are equal, the spreads are equal but for the last digits:
they follow from sums of integers, so no run differs from another. A disc that lies on the border of
two cells, nearer than a float32 can tell, may fall into another cell than on the CPU, which adds up
products in another order; it then meets others. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Buffer, Device, Stream, pointer
from kernels.cuda.room import side_by_side
from kernels.cuda.zernike import check_size
from kernels.zernike import LANES

# As in morton.cu and kernels/morton.py.
_DIMENSIONS = 6
_BITS = 5
_SPREAD = 5.0
_STEPS = 6  # an even number: the sorted numbers lie where the first lay
_DIGITS = 32
_PORTION = 1024
_THREADS = 256
_CHUNK = 8 * _THREADS

CURVE_BYTES = 4 * (LANES + 1) * _DIMENSIONS
"""Of an order's projection."""

_SUMS_BYTES = 8 * (LANES + LANES * LANES)
_SCALE_BYTES = 4 * (LANES + _DIMENSIONS)


def curves(orders: int, seed: int) -> NDArray[np.float32]:
    """Projections and where cells begin, float32 (orders, LANES + 1, 6), drawn as on the CPU."""
    random = np.random.default_rng(seed)
    made = np.empty((orders, LANES + 1, _DIMENSIONS), np.float32)
    for curve in made:
        curve[:LANES] = random.normal(size=(LANES, _DIMENSIONS))
        curve[LANES] = random.uniform(-0.5, 0.5, _DIMENSIONS)
    return made


def _starts(count: int, orders: int) -> tuple[list[int], int]:
    """Numbers, keys, both again, counts, sums, scales."""
    numbers, chunks = 4 * count * orders, -(-count // _CHUNK)
    counts = 4 * _DIGITS * chunks * orders
    return side_by_side([numbers] * 4 + [counts, _SUMS_BYTES, _SCALE_BYTES * orders])


def work_size(count: int, orders: int) -> int:
    """Bytes that `curve_orders` needs: 16 per disc and order, and a little."""
    return _starts(count, orders)[1]


def curve_orders(
    device: Device,
    stream: Stream,
    traits: np.uintp,
    count: int,
    curves: Buffer,
    orders: int,
    work: Buffer,
) -> None:
    """Sort discs along so many curves. Returns before they are sorted.

    Args:
        traits: the address of uint8 (count, LANES): invariants, as `kernels.cuda.zernike` has them.
        count: how many discs, at least 1.
        curves: as `curves` gives them.
        work: `work_size` bytes or more, whatever they hold. At its beginning lie afterwards the
            discs' numbers, uint32 (orders, count), in the order of each curve.

    Raises:
        ValueError: a buffer is too small.
    """
    starts, size = _starts(count, orders)
    check_size("work", work, size)
    check_size("curves", curves, CURVE_BYTES * orders)
    numbers, keys, new_numbers, new_keys, counts, sums, scales = (
        pointer(work, start) for start in starts
    )
    many, chunks = np.int32(count), -(-count // _CHUNK)

    def launch(kernel: str, blocks: int, rows: int, *arguments: np.generic) -> None:
        device.launch("morton", kernel, (blocks, rows), _THREADS, arguments, stream)

    device.fill(work, 0, stream, at=starts[5], size=_SUMS_BYTES)
    launch("add_up", -(-count // _PORTION), 1, traits, many, sums)
    cells = np.float32(2**_BITS / _SPREAD)
    launch("measure", orders, 1, sums, many, pointer(curves), cells, scales)
    launch("keys", -(-count // _THREADS), orders, traits, many, pointer(curves), scales, keys,
           numbers)  # fmt: skip
    for step in range(_STEPS):
        shift = np.int32(step * 5)
        launch("count_digits", chunks, orders, keys, many, shift, counts)
        launch("sum_digits", orders, 1, counts, np.int32(chunks))
        launch("move_digits", chunks, orders, keys, numbers, many, shift, counts, new_keys,
               new_numbers)  # fmt: skip
        keys, numbers, new_keys, new_numbers = new_keys, new_numbers, keys, numbers
