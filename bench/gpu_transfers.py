"""How fast pictures go to the GPU and runs come back: a part of `bench.gpu`.

This has not run on a GPU yet.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.gpu_parts import Part
from kernels.cuda.device import Device

SIZES = {"3 MB (a picture)": 3 << 20, "256 MB": 256 << 20}


def measure(part: Part) -> None:
    """GB/s up and down, from pinned memory and from ordinary memory."""
    from kernels.cuda.cupy_device import CupyDevice

    device: Any = CupyDevice()
    for name, size in SIZES.items():
        kinds = {"pinned": device.pinned(size), "pageable": np.zeros(size, np.uint8)}
        for kind, host in kinds.items():
            for way in ("up", "down"):
                rate = gigabytes_per_second(device, host, way)
                part.add(f"{name}, {kind}, {way}", f"{rate:.1f} GB/s", gb_per_second=rate)


def gigabytes_per_second(
    device: Device, host: NDArray[np.uint8], way: str, *, seconds: float = 0.3
) -> float:
    """Copies one after the other on one stream, about so long.

    Args:
        host: what is copied, or filled.
        way: ``up`` or ``down``.
    """
    stream, buffer = device.stream(), device.allocate(host.nbytes)

    def copy(times: int) -> float:
        started = perf_counter()
        for _ in range(times):
            if way == "up":
                device.upload(host, buffer, stream)
            else:
                device.download(buffer, host, stream)
        device.event(stream).wait()
        return perf_counter() - started

    copy(2)
    times = max(2, round(seconds / max(copy(2) / 2, 1e-6)))
    return host.nbytes * times / copy(times) / 1e9
