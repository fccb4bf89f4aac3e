"""Every CUDA source compiles, for every architecture, and uses the words of the prelude."""

from __future__ import annotations

import re

import pytest

from kernels.cuda.compile import compiled
from kernels.cuda.source import ARCHITECTURES, body, names, source

pytest.importorskip("cupy", reason="CuPy is not installed")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", names())
def test_every_source_compiles_without_a_warning(name: str, architecture: int) -> None:
    cubin, said = compiled(source(name), name, architecture)
    assert said == ""
    assert cubin.startswith(b"\x7fELF")


def test_a_wrong_source_is_noticed() -> None:
    with pytest.raises(RuntimeError, match=r"wrong\.cu does not compile for sm_80: .*error"):
        compiled("KERNEL void wrong() {", "wrong", 80)


@pytest.mark.parametrize("name", names())
def test_sources_use_the_words_of_the_prelude(name: str) -> None:
    text = re.sub(r"//.*", "", body(name))
    for word in ("__global__", "__shared__", "__syncthreads", "threadIdx", "__device__", "_sync("):
        assert word not in text, f"{name}.cu: {word} has no meaning on the host"
