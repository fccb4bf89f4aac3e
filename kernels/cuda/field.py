"""A field of matches as it lies on a device: `kernels.field.Field`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Buffer, Device, Stream
from kernels.field import ANGLES, COSINES, SINES, TURNS, Field
from kernels.zernike import FULL

FIELD_BYTES = 10
"""Of a grid point: all targets (int32), all scores (int32), all turns (uint8), whether each is
mirrored (uint8)."""

ANGLE_TABLES = np.dtype(
    [
        ("cosine", np.float64, TURNS),
        ("sine", np.float64, TURNS),
        ("cosines", np.int32, (TURNS, 8)),
        ("sines", np.int32, (TURNS, 8)),
    ]
)
"""Of each turn, and of its multiples 0 to 7 times `FULL`, rounded."""


def angle_tables() -> NDArray[np.void]:
    """`ANGLE_TABLES` (1,)."""
    made = np.zeros(1, ANGLE_TABLES)
    multiples = ANGLES[:, None] * np.arange(8)
    made["cosine"], made["sine"] = COSINES, SINES
    made["cosines"] = np.rint(FULL * np.cos(multiples))
    made["sines"] = np.rint(FULL * np.sin(multiples))
    return made


def clear(device: Device, stream: Stream, field: Buffer, points: int) -> None:
    """Let no point have a match."""
    if points:
        device.fill(field, 0xFF, stream, size=4 * points)
        device.fill(field, 0, stream, at=4 * points, size=(FIELD_BYTES - 4) * points)


def upload(device: Device, stream: Stream, field: Field, to: Buffer) -> None:
    """Put a field of the host on a device. Its arrays stay as they are until the stream is past."""
    at = 0
    for part in _in_order(field):
        device.upload(part, to, stream, at=at)
        at += part.nbytes


def download(device: Device, stream: Stream, of: Buffer, shape: tuple[int, int]) -> Field:
    """The field of (h, w) that a buffer holds, filled when the stream is past this."""
    field = Field(
        np.empty(shape, np.int32),
        np.empty(shape, np.uint8),
        np.empty(shape, np.bool_),
        np.empty(shape, np.int32),
    )
    at = 0
    for part in _in_order(field):
        device.download(of, part, stream, at=at)
        at += part.nbytes
    return field


def _in_order(field: Field) -> list[NDArray[np.generic]]:
    return [field.target, field.score, field.turn, field.mirrored]
