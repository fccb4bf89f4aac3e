"""Where a field agrees with itself, on a GPU: `kernels.coherence`, in one launch each.

Equal to the CPU's to the last bit. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import math

import numpy as np

from kernels.cuda.device import Buffer, Device, Scalar, Stream, pointer
from kernels.cuda.field import FIELD_BYTES
from kernels.cuda.zernike import check_size
from kernels.field import SCALE

_THREADS = 128


def least(worth: float) -> np.int32:
    """The least score that counts: above that of points without a match."""
    return np.int32(max(1, int(worth * SCALE)))


def agreeing(
    device: Device,
    stream: Stream,
    field: Buffer,
    shape: tuple[int, int],
    angles: Buffer,
    count: Buffer,
    *,
    reach: int,
    tolerance: float,
    worth: float,
) -> None:
    """How many points around each one lie where its own map says. Returns before it is there.

    Args:
        field: of (h, w) = `shape`, as `kernels.cuda.patchmatch` fills it.
        angles: `kernels.cuda.field.angle_tables`.
        count: filled, int32 (h, w).
        reach, tolerance, worth: as in `kernels.coherence.agreeing`.

    Raises:
        ValueError: a buffer is too small.
    """
    points = shape[0] * shape[1]
    check_size("a field", field, FIELD_BYTES * points)
    check_size("count", count, 4 * points)
    if not points:
        return
    given: list[Scalar] = [pointer(field), *map(np.int32, (*shape, reach))]
    given += [np.float64(tolerance), least(worth), pointer(angles), pointer(count)]
    grid = (-(-points // _THREADS), 1)
    device.launch("coherence", "agreeing", grid, _THREADS, given, stream)


def local_maps(
    device: Device,
    stream: Stream,
    field: Buffer,
    shape: tuple[int, int],
    points: Buffer,
    chosen: int,
    angles: Buffer,
    maps: Buffer,
    error: Buffer,
    *,
    reach: int,
    tolerance: float,
    worth: float,
    pull: float,
) -> None:
    """Affine maps fitted to the neighbours that agree. Returns before they are there.

    Args:
        field, shape, angles: as in `agreeing`.
        points: int64 (chosen,), row * w + column, each with a match.
        maps: filled, float64 (chosen, 8), as `kernels.coherence.local_maps` gives them.
        error: filled, float64 (chosen,), likewise.
        reach, tolerance, worth, pull: as there.

    Raises:
        ValueError: a buffer is too small.
    """
    check_size("a field", field, FIELD_BYTES * shape[0] * shape[1])
    check_size("points", points, 8 * chosen)
    check_size("maps", maps, 64 * chosen)
    check_size("error", error, 8 * chosen)
    if not chosen:
        return
    given: list[Scalar] = [pointer(field), *map(np.int32, shape), pointer(points)]
    given += [np.int32(chosen), np.int32(reach), np.float64(tolerance), least(worth)]
    given += [np.float64(pull), pointer(angles), np.float64(math.inf)]
    given += [pointer(maps), pointer(error)]
    grid = (-(-chosen // _THREADS), 1)
    device.launch("coherence", "local_maps", grid, _THREADS, given, stream)
