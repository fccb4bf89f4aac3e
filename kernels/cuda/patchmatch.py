"""The field of the discs that look most alike, on a GPU: `kernels.patchmatch.find_field`.

After the seeding (`kernels.cuda.morton`, which may differ from the CPU's for a disc in some
thousands) all is arithmetic of integers in the CPU's order: from one seeding both find one field.
It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.cuda import morton
from kernels.cuda.device import Buffer, Device, Scalar, Stream, pointer
from kernels.cuda.field import FIELD_BYTES, clear
from kernels.cuda.room import side_by_side
from kernels.cuda.zernike import CODE_BYTES, check_size, invariants
from kernels.field import SCALE
from kernels.zernike import LANES

_THREADS = 128
_JUMPS = (4, 2, 1)


@dataclass(frozen=True, slots=True)
class Grid:
    """What a field is sought over: all on the device.

    Attributes:
        codes: int8 (h, w, 2 * LANES), as `kernels.cuda.zernike.describe` fills them.
        energy: float32 (h, w).
        usable: uint8 (h, w), 1 where a point takes part.
        points: int32 (count,), row * w + column of those that do, ascending.
        count: how many they are.
        shape: (h, w).
    """

    codes: Buffer
    energy: Buffer
    usable: Buffer
    points: Buffer
    count: int
    shape: tuple[int, int]


def _starts(count: int, tables: int) -> tuple[list[int], int]:
    """The orders' work, traits, traits in one order, their places."""
    return side_by_side([morton.work_size(count, tables), LANES * count, LANES * count, 8 * count])


def work_size(count: int, tables: int) -> int:
    """Bytes that `seed` needs: 40 per point that takes part, 16 more per table, and a little."""
    return _starts(count, tables)[1]


def seed(
    device: Device,
    stream: Stream,
    grid: Grid,
    field: Buffer,
    angles: Buffer,
    curves: Buffer,
    work: Buffer,
    *,
    apart: int,
    tables: int,
    reach: int,
) -> None:
    """Fill a field from discs that stand side by side in some orders. Returns before it is there.

    Args:
        field: `FIELD_BYTES` for each grid point.
        angles: `kernels.cuda.field.angle_tables`.
        curves: `kernels.cuda.morton.curves`, at least `tables`.
        work: `work_size` bytes or more, whatever they hold.
        apart, tables, reach: as in `kernels.patchmatch.find_field`.

    Raises:
        ValueError: a buffer is too small, the grid has 2**31 points or more, or `apart` is
            under 1.
    """
    points = _check(grid, field, apart)
    clear(device, stream, field, points)
    if grid.count < 2 or not tables:
        return
    starts, size = _starts(grid.count, tables)
    check_size("work", work, size)
    traits, in_order, places = (pointer(work, start) for start in starts[1:])
    count, width = np.int32(grid.count), np.int32(grid.shape[1])
    invariants(device, stream, grid.codes, grid.energy, grid.points, grid.count, traits)
    morton.curve_orders(device, stream, traits, grid.count, curves, tables, work)
    blocks = (-(-grid.count // _THREADS), 1)
    for table in range(tables):
        numbers = pointer(work, starts[0] + 4 * grid.count * table)
        given: list[Scalar] = [traits, pointer(grid.points), numbers, count, width]
        given += [in_order, places]
        device.launch("patchmatch", "line_up", blocks, _THREADS, given, stream)
        given = [pointer(grid.codes), in_order, places, count, np.int64(points), width]
        given += [np.int32(reach), np.int32(apart), pointer(angles), pointer(field)]
        device.launch("patchmatch", "meet", blocks, _THREADS, given, stream)


def improve(
    device: Device,
    stream: Stream,
    grid: Grid,
    field: Buffer,
    spare: Buffer,
    angles: Buffer,
    *,
    apart: int,
    rounds: int,
    worth: float,
) -> Buffer:
    """Let points hand on what they have found. Returns before they have.

    Args:
        field: as `seed` filled it.
        spare: as large; the field moves from one to the other.
        apart, rounds, worth: as in `kernels.patchmatch.find_field`.

    Returns:
        `field` or `spare`, whichever holds the field in the end.

    Raises:
        ValueError: a buffer is too small, or `apart` is under 1.
    """
    points = _check(grid, field, apart)
    check_size("the spare field", spare, FIELD_BYTES * points)
    if grid.count < 2:
        return field
    blocks = (-(-points // _THREADS), 1)
    over: list[Scalar] = [pointer(grid.codes), pointer(grid.usable), *map(np.int32, grid.shape)]
    held: list[Scalar] = [np.int32(apart), np.int32(int(worth * SCALE)), pointer(angles)]
    for _ in range(rounds):
        for jump in _JUMPS:
            given = [*over, np.int32(jump), *held, pointer(field), pointer(spare)]
            device.launch("patchmatch", "sweep", blocks, _THREADS, given, stream)
            field, spare = spare, field
        given = [*over, *held, pointer(field)]
        device.launch("patchmatch", "settle", blocks, _THREADS, given, stream)
    return field


def _check(grid: Grid, field: Buffer, apart: int) -> int:
    """Grid points, if all goes together."""
    points = grid.shape[0] * grid.shape[1]
    if points >= 2**31:
        raise ValueError(f"a field has fewer than 2**31 points. Got: {grid.shape}")
    if apart < 1:
        raise ValueError(f"a disc is apart from itself by 1 at least. Got: {apart}")
    for name, buffer, size in (
        ("codes", grid.codes, CODE_BYTES * points),
        ("energy", grid.energy, 4 * points),
        ("usable", grid.usable, points),
        ("points", grid.points, 4 * grid.count),
        ("a field", field, FIELD_BYTES * points),
    ):
        check_size(name, buffer, size)
    return points
