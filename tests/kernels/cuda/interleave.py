"""A device whose blocks take turns in the middle of what they do, as a GPU's may."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from kernels.cuda.device import Scalar
from kernels.cuda.source import body
from tests.kernels.cuda.host import _CTYPES, COMPILER, SHIM, HostDevice, HostStream, check_launch

THREADS = 2
"""Of a block, instead of 256: a block is what takes turns, so small ones meet more often."""

KERNELS = {
    "hang": "const Image*, u32, const u32*, const u32*, const int*, const int*, int*, int",
    "shorten": "const Image*, u32, const u32*, int*",
    "join": "const Image*, u32, const u32*, const u32*, const int*, const int*, int*, int",
    "measure": "const Image*, u32, const u32*, const int*, const int*, int*, u32*",
}
"""Those in which blocks change what others read; none has memory of the block."""


def _entry(kernel: str, types: str) -> str:
    """A function that runs one row of a launch."""
    names = [f"a{number}" for number in range(len(types.split(",")))]
    given = ", ".join(f"{kind} {name}" for kind, name in zip(types.split(","), names, strict=True))
    return f"""
extern "C" void interleaved_{kernel}(unsigned blocks, unsigned rows, u64 seed, {given}) {{
    gridDim = {{blocks, rows, 1}};
    blockDim = {{THREADS, 1, 1}};
    for (unsigned row = 0; row < rows; ++row)
        interleave::run(blocks, row, seed + row, [=] {{ {kernel}({", ".join(names)}); }});
}}"""


@functools.cache
def _library() -> ctypes.CDLL:
    assert COMPILER is not None
    source = body("components")
    assert source.count("THREADS = 256") == 1
    text = "\n".join([
        SHIM.read_text(encoding="utf-8"),
        SHIM.with_name("interleave.h").read_text(encoding="utf-8"),
        source.replace("THREADS = 256", f"THREADS = {THREADS}"),
        *(_entry(kernel, types) for kernel, types in KERNELS.items()),
    ])  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="forge-shim-") as folder:
        code, made = Path(folder) / "interleave.cpp", Path(folder) / "interleave.so"
        code.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [COMPILER, "-std=c++17", "-O1", "-shared", "-fPIC", "-o", str(made), str(code)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return ctypes.CDLL(str(made))


class InterleavedDevice(HostDevice):
    """Runs `KERNELS` in blocks of `THREADS` that take turns, the others as `HostDevice` does.

    Args:
        seed: of the turns.
        blocks: of a launch and a picture.
    """

    def __init__(self, seed: int, blocks: int = 150) -> None:
        super().__init__(shuffle=Random(seed))
        self._seed, self._blocks = seed, blocks

    def launch(
        self,
        source: str,
        kernel: str,
        grid: tuple[int, int],
        threads: int,
        arguments: Sequence[Scalar],
        stream: HostStream,
    ) -> None:
        if source != "components" or kernel not in KERNELS:
            super().launch(source, kernel, grid, threads, arguments, stream)
            return
        check_launch(source, kernel, grid, arguments)
        function: Any = getattr(_library(), f"interleaved_{kernel}")
        function.restype = None
        numbers = (np.uint32(self._blocks), np.uint32(grid[1]), np.uint64(self._seed))
        function(*(_CTYPES[type(value)](value.item()) for value in (*numbers, *arguments)))
