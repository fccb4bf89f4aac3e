"""Zernike moments of discs on a GPU: `kernels.zernike`, in one launch each.

Codes and energies are equal to the CPU's to the last bit: products and sums are rounded one by one,
in the same order. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Buffer, Device, Scalar, Stream, pointer
from kernels.zernike import LANES, PAIRS, basis, grid_shape

CODE_BYTES = 2 * LANES
"""Of a disc."""

_THREADS = 128  # describe keeps some fifty values in registers


def weights(radius: int, lift: float) -> NDArray[np.float32]:
    """What `describe` sums with: the lower right quadrant of each filter of `basis`.

    Returns:
        float32 (radius + 1, radius + 1, 2 * LANES): y, x, and the lanes of a code. A weight on an
        axis is halved, that in the middle is a quarter, since the sum over the four quadrants meets
        them so often.
    """
    quadrant = basis(radius, lift)[:, :, radius:, radius:].copy()
    quadrant[:, :, 0, :] /= 2.0
    quadrant[:, :, :, 0] /= 2.0
    side = radius + 1
    made = np.zeros((side, side, 2, LANES), np.float32)
    made[..., : len(PAIRS)] = quadrant.transpose(2, 3, 0, 1)
    return made.reshape(side, side, 2 * LANES)


def describe(
    device: Device,
    stream: Stream,
    image: Buffer,
    shape: tuple[int, int],
    weights: Buffer,
    codes: Buffer,
    energy: Buffer,
    *,
    radius: int,
    stride: int,
) -> None:
    """Codes and energies of all discs inside an image. Returns before they are there.

    Args:
        image: float32 `shape`.
        weights: as `weights` gives them, for this radius.
        codes: filled, int8 (h, w, 2 * LANES), where (h, w) is `kernels.zernike.grid_shape`.
        energy: filled, float32 (h, w).
        radius: of the discs.
        stride: pixels between grid points.

    Raises:
        ValueError: a buffer is too small, or a radius or stride under 1.
    """
    if radius < 1 or stride < 1:
        raise ValueError(f"radius and stride are at least 1. Got: {radius} and {stride}")
    height, width = grid_shape(shape, radius, stride)
    points = height * width
    for name, buffer, size in (
        ("image", image, 4 * shape[0] * shape[1]),
        ("weights", weights, 8 * LANES * (radius + 1) ** 2),
        ("codes", codes, CODE_BYTES * points),
        ("energy", energy, 4 * points),
    ):
        check_size(name, buffer, size)
    if not points:
        return
    sides: list[Scalar] = [*map(np.int32, (radius, stride, height, width))]
    arguments: list[Scalar] = [pointer(image), np.int32(shape[1]), pointer(weights)]
    arguments += [*sides, pointer(codes), pointer(energy)]
    grid = (-(-points // _THREADS), 1)
    device.launch("zernike", "describe", grid, _THREADS, arguments, stream)


def invariants(
    device: Device,
    stream: Stream,
    codes: Buffer,
    energy: Buffer,
    points: Buffer,
    count: int,
    made: np.uintp,
) -> None:
    """What neither a turn nor a reflection changes, for some points. Returns before it is there.

    Args:
        codes, energy: of the grid, as `describe` fills them.
        points: int32 (count,), row * w + column on the grid.
        made: where uint8 (count, LANES) is filled, a multiple of 16; see
            `kernels.zernike.invariants`.
    """
    if not count:
        return
    arguments = (pointer(codes), pointer(energy), pointer(points), np.int32(count), made)
    grid = (-(-count // _THREADS), 1)
    device.launch("zernike", "invariants", grid, _THREADS, arguments, stream)


def check_size(name: str, buffer: Buffer, size: int) -> None:
    """Refuse a buffer of fewer bytes.

    Raises:
        ValueError: it is too small.
    """
    if buffer.size < size:
        raise ValueError(f"{name} takes {size} bytes. Got: {buffer.size}")
