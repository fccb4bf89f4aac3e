"""The dense field on a GPU, with the functions and the arrays of the CPU.

`DenseOnDevice` has `describe`, `find_field`, `find_scaled_field`, `agreeing` and `local_maps` with
the signatures of `kernels.zernike`, `kernels.patchmatch` and `kernels.coherence`. Moments and
fields stay on the device; what a caller decides by (energies, scores, counts, maps) comes back. The
field between an image and its reduced self has no CUDA kernel yet: the host makes it from moments
made on the device. Each method waits for its own stream at its end, and before that only where a
copy does, see `kernels.cuda.device.Device`: the arrays of the host are not pinned.

It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import patchmatch as host
from kernels.cuda import coherence, field, morton, patchmatch, zernike
from kernels.cuda.device import Buffer, Device, Stream
from kernels.field import Field
from kernels.zernike import LANES, Moments, grid_shape


@dataclass(frozen=True, slots=True, eq=False)
class DeviceMoments:
    """`kernels.zernike.Moments` on a device.

    Attributes:
        codes, energies: on the device, int8 (h, w, 2 * LANES) and float32 (h, w).
        energy: the latter on the host.
        radius, stride: as there.
    """

    codes: Buffer
    energies: Buffer
    energy: NDArray[np.float32]
    radius: int
    stride: int


@dataclass(frozen=True, slots=True, eq=False)
class DeviceField:
    """`kernels.field.Field` on a device.

    Attributes:
        memory: on the device, see `kernels.cuda.field.FIELD_BYTES`.
        score: int32 (h, w), on the host.
    """

    memory: Buffer
    score: NDArray[np.int32]

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w)."""
        return int(self.score.shape[0]), int(self.score.shape[1])


def most_bytes(shape: tuple[int, int], *, radius: int, stride: int, tables: int) -> int:
    """Bytes that the device holds at most for an image of (H, W), from `describe` to `local_maps`.

    Some 41 per pixel where the grid has every second pixel both ways and there are 3 tables, 150
    where it has all.
    """
    rows, columns = grid_shape(shape, radius, stride)
    points = rows * columns
    each = zernike.CODE_BYTES + 4 + 1 + 4 + 2 * field.FIELD_BYTES
    return 4 * shape[0] * shape[1] + each * points + patchmatch.work_size(points, tables)


class DenseOnDevice:
    """The dense field of one image after the other, on one stream.

    Every method may raise MemoryError, if the device has no room: but for the field between two
    scales, which has no kernel yet, nothing is done on the CPU
    instead.

    Args:
        device: a GPU.
        stream: all is done on it. One object per stream, and one thread at a time.
    """

    def __init__(self, device: Device, stream: Stream) -> None:
        self._device, self._stream = device, stream
        self._under_way: list[NDArray[Any]] = []  # what is being copied must stay
        self._weights: dict[tuple[int, float], Buffer] = {}
        with self._then_wait():
            self._angles = self._uploaded(field.angle_tables())

    def describe(
        self, image: NDArray[np.float32], *, radius: int, stride: int = 1, lift: float = 0.0
    ) -> DeviceMoments:
        """See `kernels.zernike.describe`."""
        if image.ndim != 2 or image.dtype != np.float32:
            raise ValueError(f"an image is float32 (H, W). Got: {image.dtype} {image.shape}")
        if radius < 1 or stride < 1:
            raise ValueError(f"radius and stride are at least 1. Got: {radius} and {stride}")
        shape = (int(image.shape[0]), int(image.shape[1]))
        rows, columns = grid_shape(shape, radius, stride)
        energy = np.empty((rows, columns) if rows and columns else (0, 0), np.float32)
        codes = self._device.allocate(zernike.CODE_BYTES * energy.size)
        energies = self._device.allocate(energy.nbytes)
        if not energy.size:
            return DeviceMoments(codes, energies, energy, radius, stride)
        with self._then_wait():
            weights, given = self._weights_of(radius, lift), self._uploaded(image)
            zernike.describe(self._device, self._stream, given, shape, weights, codes, energies,
                             radius=radius, stride=stride)  # fmt: skip
            self._device.download(energies, energy, self._stream)
        return DeviceMoments(codes, energies, energy, radius, stride)

    def find_field(
        self,
        moments: DeviceMoments,
        usable: NDArray[np.bool_],
        *,
        apart: int,
        tables: int = 4,
        reach: int = 10,
        rounds: int = 1,
        worth: float = 0.8,
        seed: int = 0,
    ) -> DeviceField:
        """See `kernels.patchmatch.find_field`."""
        shape = moments.energy.shape
        if usable.shape != shape or usable.dtype != np.bool_:
            raise ValueError(f"usable is bool {shape}. Got: {usable.dtype} {usable.shape}")
        device, stream = self._device, self._stream
        found, spare = (device.allocate(field.FIELD_BYTES * usable.size) for _ in range(2))
        score = np.empty(shape, np.int32)
        with self._then_wait():
            grid = self.grid(moments, usable)
            work = device.allocate(patchmatch.work_size(grid.count, tables))
            curves = self._uploaded(morton.curves(tables, seed))
            patchmatch.seed(device, stream, grid, found, self._angles, curves, work,
                            apart=apart, tables=tables, reach=reach)  # fmt: skip
            best = patchmatch.improve(device, stream, grid, found, spare, self._angles,
                                      apart=apart, rounds=rounds, worth=worth)  # fmt: skip
            device.download(best, score, stream, at=score.nbytes)
        return DeviceField(best, score)

    def find_scaled_field(
        self,
        small: DeviceMoments,
        small_usable: NDArray[np.bool_],
        large: DeviceMoments,
        large_usable: NDArray[np.bool_],
        *,
        ratio: float,
        apart: int,
        tables: int = 4,
        reach: int = 10,
        rounds: int = 1,
        worth: float = 0.8,
        seed: int = 0,
    ) -> DeviceField:
        """See `kernels.patchmatch.find_scaled_field`, which makes it, on the host."""
        made = host.find_scaled_field(
            self.moments_of(small), small_usable, self.moments_of(large), large_usable,
            ratio=ratio, apart=apart, tables=tables, reach=reach, rounds=rounds, worth=worth,
            seed=seed,
        )  # fmt: skip
        memory = self._device.allocate(field.FIELD_BYTES * made.score.size)
        with self._then_wait():
            field.upload(self._device, self._stream, made, memory)
        return DeviceField(memory, made.score)

    def agreeing(
        self,
        found: DeviceField,
        *,
        reach: int = 4,
        tolerance: float = 1.5,
        worth: float = 0.8,
    ) -> NDArray[np.int32]:
        """See `kernels.coherence.agreeing`."""
        count = np.empty(found.shape, np.int32)
        made = self._device.allocate(count.nbytes)
        with self._then_wait():
            coherence.agreeing(self._device, self._stream, found.memory, found.shape, self._angles,
                               made, reach=reach, tolerance=tolerance, worth=worth)  # fmt: skip
            self._device.download(made, count, self._stream)
        return count

    def local_maps(
        self,
        found: DeviceField,
        points: NDArray[np.int64],
        *,
        reach: int = 4,
        tolerance: float = 1.5,
        worth: float = 0.8,
        pull: float = 10.0,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `kernels.coherence.local_maps`.

        Raises:
            ValueError: a point that is not on the grid.
        """
        if points.size and (points.min() < 0 or points.max() >= found.score.size):
            raise ValueError(f"a point is not on the grid {found.shape}")
        maps, error = np.empty((points.size, 8)), np.empty(points.size)
        made, off = self._device.allocate(maps.nbytes), self._device.allocate(error.nbytes)
        with self._then_wait():
            given = self._uploaded(points.astype(np.int64))
            coherence.local_maps(self._device, self._stream, found.memory, found.shape, given,
                                 points.size, self._angles, made, off, reach=reach,
                                 tolerance=tolerance, worth=worth, pull=pull)  # fmt: skip
            self._device.download(made, maps, self._stream)
            self._device.download(off, error, self._stream)
        return maps, error

    def grid(self, moments: DeviceMoments, usable: NDArray[np.bool_]) -> patchmatch.Grid:
        """Put on the device what a field is sought over. Does not wait: a method that does must
        follow before anything of it is forgotten."""
        points = np.flatnonzero(usable).astype(np.int32)
        shape = (int(usable.shape[0]), int(usable.shape[1]))
        return patchmatch.Grid(moments.codes, moments.energies, self._uploaded(usable),
                               self._uploaded(points), points.size, shape)  # fmt: skip

    def moments_of(self, moments: DeviceMoments) -> Moments:
        """The same on the host."""
        codes = np.empty((*moments.energy.shape, 2 * LANES), np.int8)
        with self._then_wait():
            self._device.download(moments.codes, codes, self._stream)
        return Moments(codes, moments.energy, moments.radius, moments.stride)

    def field_of(self, found: DeviceField) -> Field:
        """The same on the host."""
        with self._then_wait():
            return field.download(self._device, self._stream, found.memory, found.shape)

    def _weights_of(self, radius: int, lift: float) -> Buffer:
        key = (radius, lift)
        if key not in self._weights:
            self._weights[key] = self._uploaded(zernike.weights(radius, lift))
        return self._weights[key]

    def _uploaded(self, host: NDArray[Any]) -> Buffer:
        host = np.ascontiguousarray(host)
        buffer = self._device.allocate(host.nbytes)
        self._device.upload(host, buffer, self._stream)
        self._under_way.append(host)
        return buffer

    @contextmanager
    def _then_wait(self) -> Iterator[None]:
        """Wait in the end, also where a step failed: what the steps before it use may be forgotten
        only then, since other streams could be given the same memory."""
        try:
            yield
        finally:
            self._device.event(self._stream).wait()
            self._under_way.clear()
