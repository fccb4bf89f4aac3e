"""The CUDA sources: where they are, and how they are compiled."""

from __future__ import annotations

import re
from importlib.resources import files

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities that every source compiles for, times ten."""

OPTIONS = ("--std=c++17", "--fmad=false")
"""For NVRTC. A product and a sum are rounded one after the other, as NumPy and numba do it, so that
results are equal to the last bit."""


def names() -> list[str]:
    """The sources by name, without ``.cu``, sorted."""
    there = files("kernels.cuda").iterdir()
    return sorted(file.name[:-3] for file in there if file.name.endswith(".cu"))


def body(name: str) -> str:
    """One source without the prelude.

    A line ``#include "NAME.cuh"`` is that file of this folder; compilers never see it, so none has
    to be told where the folder is.
    """
    text = _read(f"{name}.cu")
    return _INCLUDE.sub(lambda line: _read(line[1]) + f'#line {_after(line)} "{name}.cu"', text)


def source(name: str) -> str:
    """One source for NVRTC, the prelude before it."""
    return f'{_read("prelude.cuh")}\n#line 1 "{name}.cu"\n{body(name)}'


_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)


def _after(line: re.Match[str]) -> int:
    """The number of the line that follows."""
    return line.string.count("\n", 0, line.end()) + 2


def _read(file: str) -> str:
    return files("kernels.cuda").joinpath(file).read_text(encoding="utf-8")
