"""What a new machine compiles before it can work: a part of `bench.gpu`.

The kernels of the CPU are compiled here, for all the parts after it: they find them in numba's
cache. The CUDA sources are compiled by every process that uses them, and this says how long that
takes. This has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from multiprocessing import get_context
from pkgutil import iter_modules
from time import perf_counter

import kernels
from bench.gpu_parts import Part
from forgecli.cores import available_cores
from kernels.cuda.compile import compiled
from kernels.cuda.source import names, source

PATIENCE = 45.0
"""Seconds for all of the CPU's kernels."""


def measure(part: Part) -> None:
    """Seconds of both."""
    from kernels.cuda.cupy_device import CupyDevice

    started = perf_counter()
    count = compile_all(modules())
    spent = perf_counter() - started
    part.add(f"the CPU's kernels, {count} modules", f"{spent:.1f} s", seconds=spent)
    device = CupyDevice()
    started = perf_counter()
    for name in names():
        compiled(source(name), name, device.architecture)
    spent = perf_counter() - started
    part.add(f"the CUDA sources for {device.name}", f"{spent:.1f} s", seconds=spent)


def modules() -> list[str]:
    """The modules with kernels of the CPU, by name."""
    return [f"kernels.{found.name}" for found in iter_modules(kernels.__path__) if not found.ispkg]


def compile_all(every: Sequence[str]) -> int:
    """Import modules, which compiles their kernels, in as many processes as there are cores."""
    with get_context("spawn").Pool(min(available_cores(), len(every))) as pool:
        return len(pool.map_async(_imported, every, chunksize=1).get(PATIENCE))


def _imported(name: str) -> str:
    import_module(name)
    return name
