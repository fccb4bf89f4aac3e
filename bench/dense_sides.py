"""The stages of the dense field, each on the CPU and on the GPU, and whether they agree.

For `bench.gpu_match`. This has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.settings import MatchSettings
from kernels import coherence, patchmatch, zernike
from kernels.cuda import coherence as coherence_cuda
from kernels.cuda import field as field_cuda
from kernels.cuda import morton as morton_cuda
from kernels.cuda import patchmatch as patchmatch_cuda
from kernels.cuda import zernike as zernike_cuda
from kernels.cuda.dense import DenseOnDevice, most_bytes
from kernels.cuda.device import Buffer, Device, Stream
from kernels.field import Field

STRIDE = 2
MOST_UNEQUAL = 1e-3
"""Share of the matches that may differ after the seeding."""
CHOSEN = 6000
"""Points that maps are fitted to, as many as `forge` takes."""

PULL = 10.0
"""The CPU's own, where it is not told another."""

Call = Callable[[], object]


def drawn(side: int, seed: int = 0) -> NDArray[np.float32]:
    """A texture, float32 (side, side), of which a quarter of the height is there again, turned."""
    noise = np.random.default_rng(seed).normal(size=(side, side)).astype(np.float32)
    image = np.asarray(100 + 200 * cv2.GaussianBlur(noise, (0, 0), 2.0), np.float32)
    part = side // 4
    image[-part - 8 : -8, -part - 8 : -8] = np.rot90(image[8 : part + 8, 8 : part + 8])
    return image


class Sides:
    """One image, and each stage as a call on the CPU and one on the GPU."""

    def __init__(self, device: Device, stream: Stream, image: NDArray[np.float32]) -> None:
        settings = MatchSettings()
        self._device, self._stream, self._image = device, stream, image
        self._dense = DenseOnDevice(device, stream)
        self._disc: dict[str, int] = {"radius": settings.dense_radius, "stride": STRIDE}
        self._lift = settings.dense_lift
        self._shape = (int(image.shape[0]), int(image.shape[1]))
        self._apart = max(1, round(settings.min_distance / STRIDE))
        self._seeding: dict[str, int] = {
            "apart": self._apart,
            "tables": settings.dense_orders,
            "reach": settings.dense_beside,
        }
        self._worth = settings.dense_similarity
        self._around: dict[str, Any] = {
            "reach": settings.dense_reach,
            "tolerance": settings.dense_tolerance,
            "worth": settings.dense_similarity,
        }
        self._on_cpu()
        self._on_gpu()

    def _on_cpu(self) -> None:
        """What each stage on the CPU begins with."""
        self._moments = zernike.describe(self._image, lift=self._lift, **self._disc)
        self._usable = np.ones(self._moments.energy.shape, np.bool_)
        self._seeded = self._seed_cpu()
        self._field = self._find_cpu()
        good = np.flatnonzero(self._field.target.ravel() >= 0)
        self._points = good[:: max(1, len(good) // CHOSEN)][:CHOSEN].copy()

    def _on_gpu(self) -> None:
        """The same on the GPU, with room for what each stage makes."""
        device, size = self._device, self._usable.size
        self._pixels = self._put(self._image)
        self._weights = self._put(zernike_cuda.weights(self._disc["radius"], self._lift))
        self._angles = self._put(field_cuda.angle_tables())
        self._curves = self._put(morton_cuda.curves(self._seeding["tables"], 0))
        moments = self._dense.describe(self._image, lift=self._lift, **self._disc)
        self._there = moments
        self._grid = self._dense.grid(moments, self._usable)
        self._fields = [device.allocate(field_cuda.FIELD_BYTES * size) for _ in range(3)]
        tables = self._seeding["tables"]
        self._work = device.allocate(patchmatch_cuda.work_size(size, tables))
        self._counts = device.allocate(4 * size)
        self._chosen = self._put(self._points)
        self._maps = device.allocate(64 * self._points.size)
        self._error = device.allocate(8 * self._points.size)
        field_cuda.upload(device, self._stream, self._field, self._fields[2])
        self._wait()

    def stages(self) -> dict[str, tuple[Call, Call]]:
        """By name: on the CPU, on the GPU."""
        return {
            "describe": (self._describe_cpu, self._then_wait(self._describe_gpu)),
            "seed": (self._seed_cpu, self._then_wait(self._seed_gpu)),
            "find": (self._find_cpu, self._then_wait(self._find_gpu)),
            "agree": (self._agree_cpu, self._then_wait(self._agree_gpu)),
            "fit": (self._fit_cpu, self._then_wait(self._fit_gpu)),
            "all, with copies": (self._all_cpu, self._all_gpu),
        }

    def check(self) -> float:
        """Share of the matches that differ after the seeding.

        Raises:
            SystemExit: the GPU disagrees with the CPU.
        """
        for made in (self._there.codes, self._there.energies):  # forget what they hold from before
            self._device.fill(made, 0xA5, self._stream)
        self._describe_gpu()
        energy = np.empty_like(self._moments.energy)
        self._device.download(self._there.energies, energy, self._stream)
        _same("moments", self._dense.moments_of(self._there).codes, self._moments.codes)
        _same("moments", energy, self._moments.energy)
        self._seed_gpu()
        seeded = self._taken(self._fields[0])
        unequal = float((seeded.target != self._seeded.target).mean())
        if unequal > MOST_UNEQUAL:
            raise SystemExit(f"the GPU disagrees with the CPU: {unequal:.2%} of the seeds differ")
        # From one seeding both have to find one field.
        field_cuda.upload(self._device, self._stream, self._seeded, self._fields[0])
        spread = self._taken(self._spread_gpu())
        for part in ("target", "turn", "mirrored", "score"):
            _same("fields", getattr(spread, part), getattr(self._field, part))
        self._agree_gpu()
        self._fit_gpu()
        counts = np.empty(self._usable.shape, np.int32)
        maps, error = np.empty((self._points.size, 8)), np.empty(self._points.size)
        self._device.download(self._counts, counts, self._stream)
        self._device.download(self._maps, maps, self._stream)
        self._device.download(self._error, error, self._stream)
        self._wait()
        _same("counts", counts, self._agree_cpu())
        fitted, off = self._fit_cpu()
        _same("maps", maps, fitted)
        _same("errors", error, off)
        return unequal

    @property
    def bytes_per_pixel(self) -> float:
        """Of the GPU's memory, at most."""
        tables = self._seeding["tables"]
        return most_bytes(self._shape, tables=tables, **self._disc) / self._image.size

    def _describe_cpu(self) -> object:
        return zernike.describe(self._image, lift=self._lift, **self._disc)

    def _describe_gpu(self) -> None:
        zernike_cuda.describe(
            self._device, self._stream, self._pixels, self._shape, self._weights,
            self._there.codes, self._there.energies, **self._disc,
        )  # fmt: skip

    def _seed_cpu(self) -> Field:
        return patchmatch.find_field(self._moments, self._usable, rounds=0, **self._seeding)

    def _seed_gpu(self) -> None:
        patchmatch_cuda.seed(
            self._device, self._stream, self._grid, self._fields[0], self._angles, self._curves,
            self._work, **self._seeding,
        )  # fmt: skip

    def _find_cpu(self) -> Field:
        return patchmatch.find_field(
            self._moments, self._usable, worth=self._worth, **self._seeding
        )

    def _spread_gpu(self) -> Buffer:
        return patchmatch_cuda.improve(
            self._device, self._stream, self._grid, self._fields[0], self._fields[1], self._angles,
            apart=self._apart, rounds=1, worth=self._worth,
        )  # fmt: skip

    def _find_gpu(self) -> None:
        self._seed_gpu()
        self._spread_gpu()

    def _agree_cpu(self) -> NDArray[np.int32]:
        return coherence.agreeing(self._field, **self._around)

    def _agree_gpu(self) -> None:
        coherence_cuda.agreeing(
            self._device, self._stream, self._fields[2], self._grid.shape, self._angles,
            self._counts, **self._around,
        )  # fmt: skip

    def _fit_cpu(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return coherence.local_maps(self._field, self._points, **self._around)

    def _fit_gpu(self) -> None:
        coherence_cuda.local_maps(
            self._device, self._stream, self._fields[2], self._grid.shape, self._chosen,
            self._points.size, self._angles, self._maps, self._error, pull=PULL, **self._around,
        )  # fmt: skip

    def _all_cpu(self) -> None:
        moments = zernike.describe(self._image, lift=self._lift, **self._disc)
        field = patchmatch.find_field(moments, self._usable, worth=self._worth, **self._seeding)
        coherence.agreeing(field, **self._around)
        coherence.local_maps(field, self._points, **self._around)

    def _all_gpu(self) -> None:
        moments = self._dense.describe(self._image, lift=self._lift, **self._disc)
        field = self._dense.find_field(moments, self._usable, worth=self._worth, **self._seeding)
        self._dense.agreeing(field, **self._around)
        self._dense.local_maps(field, self._points, **self._around)

    def _then_wait(self, enqueue: Call) -> Call:
        def call() -> None:
            enqueue()
            self._wait()

        return call

    def _put(self, host: NDArray[Any]) -> Buffer:
        buffer = self._device.allocate(host.nbytes)
        self._device.upload(host, buffer, self._stream)
        self._wait()
        return buffer

    def _taken(self, buffer: Buffer) -> Field:
        found = field_cuda.download(self._device, self._stream, buffer, self._grid.shape)
        self._wait()
        return found

    def _wait(self) -> None:
        self._device.event(self._stream).wait()


def _same(what: str, one: NDArray[Any], other: NDArray[Any]) -> None:
    if not np.array_equal(one, other):
        raise SystemExit(f"the GPU disagrees with the CPU: {what} differ")
