"""A device without a GPU: the CUDA sources compiled as C++, their blocks run one by one."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.cuda.device import Scalar
from kernels.cuda.source import body

SHIM = Path(__file__).with_name("shim.h")
COMPILER = shutil.which("g++") or shutil.which("clang++")

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler: g++ or clang++")

_CTYPES: dict[type, Any] = {
    np.int32: ctypes.c_int32,
    np.uint32: ctypes.c_uint32,
    np.int64: ctypes.c_int64,
    np.uint64: ctypes.c_uint64,
    np.uintp: ctypes.c_void_p,
    np.float32: ctypes.c_float,
    np.float64: ctypes.c_double,
}


class _Index(ctypes.Structure):
    _fields_ = (("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint))


_PARAMETERS: dict[str, type] = {
    "int": np.int32,
    "u32": np.uint32,
    "i64": np.int64,
    "u64": np.uint64,
    "float": np.float32,
    "double": np.float64,
}

_FORWARDS = "for (int t = 0; t < (int)blockDim.x; ++t)"
_BACKWARDS = "for (int t = (int)blockDim.x - 1; t >= 0; --t)"


@functools.cache
def parameters(source: str, kernel: str) -> tuple[np.dtype[Any], ...]:
    """What a kernel's parameters are, by its line in the source."""
    text = re.sub(r"//.*", "", body(source))
    line = re.search(rf"\bKERNEL void {kernel}\(([^)]*)\)", text)
    assert line is not None, f"{source}.cu has no kernel {kernel}"
    kinds = [each.replace("const ", "").split()[0] for each in line[1].split(",")]
    return tuple(np.dtype(np.uintp if kind[-1] == "*" else _PARAMETERS[kind]) for kind in kinds)


def check_launch(
    source: str, kernel: str, grid: tuple[int, int], arguments: Sequence[Scalar]
) -> None:
    """Refuse what a GPU would refuse, or would take for something else."""
    given, wanted = tuple(np.dtype(type(each)) for each in arguments), parameters(source, kernel)
    assert given == wanted, f"{source}.cu: {kernel} takes {wanted}. Got: {given}"
    within = 0 < grid[0] < 2**31 and 0 < grid[1] <= 65_535
    assert within, f"{source}.cu: {kernel}: no grid of CUDA's: {grid}"


@functools.cache
def library(name: str, backwards: bool = False) -> ctypes.CDLL:
    """A source as a library of the host. No product is fused with a sum, as on the GPU.

    Args:
        backwards: the threads of a block take turns from the last to the first, and its memory
            holds rubbish at its start, not what the block before has left.
    """
    shim = SHIM.read_text(encoding="utf-8")
    options: list[str] = []
    if backwards:
        for here, there in ((_FORWARDS, _BACKWARDS), ("SHARED static", "SHARED")):
            assert shim.count(here) == 1
            shim = shim.replace(here, there)
        options.append("-ftrivial-auto-var-init=pattern")
    text = shim + f'\n#line 1 "{name}.cu"\n' + body(name)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = Path(tempfile.mkdtemp(prefix="forge-shim-"))
    code, made = folder / f"{name}-{digest}.cpp", folder / f"{name}-{digest}.so"
    code.write_text(text, encoding="utf-8")
    assert COMPILER is not None
    done = subprocess.run(
        [COMPILER, "-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wall",
         "-Wno-unknown-pragmas", "-Wno-unused-function", *options, "-o", str(made), str(code)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    try:
        return ctypes.CDLL(str(made))
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True, eq=False)
class HostBuffer:
    """Memory that stands for a GPU's. Filled with rubbish, as a GPU's is."""

    array: NDArray[np.uint8]
    pointer: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class HostStream:
    """All is done at once."""

    handle: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class HostEvent:
    """All was done at once."""

    def ready(self) -> bool:
        return True

    def wait(self) -> None:
        pass


class HostDevice:
    """Satisfies `kernels.cuda.device.Device`.

    Args:
        shuffle: run the blocks of a launch in an order that this draws, not one after the other.
        backwards: see `library`.
    """

    name = "host"

    def __init__(self, shuffle: Random | None = None, *, backwards: bool = False) -> None:
        self._shuffle, self._backwards = shuffle, backwards

    def allocate(self, size: int) -> HostBuffer:
        memory = np.full(size + 256, 0xA5, np.uint8)
        start = -memory.ctypes.data % 256
        array = memory[start : start + size]
        return HostBuffer(array, array.ctypes.data if size else memory.ctypes.data + start, size)

    def pinned(self, size: int) -> NDArray[np.uint8]:
        return np.full(size, 0x5A, np.uint8)

    def pin(self, memory: NDArray[np.uint8]) -> None:
        pass

    def unpin(self, memory: NDArray[np.uint8]) -> None:
        pass

    def stream(self) -> HostStream:
        return HostStream()

    def upload(
        self, host: NDArray[Any], to: HostBuffer, stream: HostStream, *, at: int = 0
    ) -> None:
        assert host.flags.c_contiguous
        assert at >= 0 and at + host.nbytes <= to.size
        ctypes.memmove(to.pointer + at, host.ctypes.data, host.nbytes)

    def download(
        self, of: HostBuffer, host: NDArray[Any], stream: HostStream, *, at: int = 0
    ) -> None:
        assert host.flags.c_contiguous
        assert at >= 0 and at + host.nbytes <= of.size
        ctypes.memmove(host.ctypes.data, of.pointer + at, host.nbytes)

    def fill(
        self,
        buffer: HostBuffer,
        byte: int,
        stream: HostStream,
        *,
        at: int = 0,
        size: int | None = None,
    ) -> None:
        size = buffer.size - at if size is None else size
        assert at >= 0 and at + size <= buffer.size
        ctypes.memset(buffer.pointer + at, byte, size)

    def launch(
        self,
        source: str,
        kernel: str,
        grid: tuple[int, int],
        threads: int,
        arguments: Sequence[Scalar],
        stream: HostStream,
    ) -> None:
        check_launch(source, kernel, grid, arguments)
        loaded = library(source, self._backwards)
        function = getattr(loaded, kernel)
        function.restype = None
        block, size, blocks = (
            _Index.in_dll(loaded, name) for name in ("blockIdx", "blockDim", "gridDim")
        )
        size.x, size.y, size.z = threads, 1, 1
        blocks.x, blocks.y, blocks.z = grid[0], grid[1], 1
        given = [_CTYPES[type(value)](value.item()) for value in arguments]
        order = [(x, y) for y in range(grid[1]) for x in range(grid[0])]
        if self._shuffle is not None:
            self._shuffle.shuffle(order)
        for block.x, block.y in order:
            function(*given)

    def event(self, stream: HostStream) -> HostEvent:
        return HostEvent()

    def after(self, stream: HostStream, event: HostEvent) -> None:
        pass

    def trim(self) -> None:
        pass

    def synchronize(self) -> None:
        pass
