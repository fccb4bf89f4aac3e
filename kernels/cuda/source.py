"""The CUDA sources: where they are, and how they are compiled."""

from __future__ import annotations

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
    """One source as it is in its file, without the prelude."""
    return files("kernels.cuda").joinpath(f"{name}.cu").read_text(encoding="utf-8")


def source(name: str) -> str:
    """One source for NVRTC, the prelude before it."""
    prelude = files("kernels.cuda").joinpath("prelude.cuh").read_text(encoding="utf-8")
    return f'{prelude}\n#line 1 "{name}.cu"\n{body(name)}'
