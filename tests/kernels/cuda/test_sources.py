"""Every CUDA source compiles, for every architecture, and uses the words of the prelude."""

from __future__ import annotations

import re

import pytest

from kernels.cuda.source import ARCHITECTURES, OPTIONS, body, names, source

nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")


def compiled(text: str, architecture: int) -> str:
    """What NVRTC says of a source; empty if it compiles without a warning."""
    error, program = nvrtc.nvrtcCreateProgram(text.encode(), b"source.cu", 0, [], [])
    assert error == nvrtc.nvrtcResult.NVRTC_SUCCESS
    options = [*OPTIONS, f"--gpu-architecture=sm_{architecture}"]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * size
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    said = log.decode().strip("\0 \n")
    if error != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        return said or "failed"
    return said


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", names())
def test_every_source_compiles_without_a_warning(name: str, architecture: int) -> None:
    assert compiled(source(name), architecture) == ""


def test_a_wrong_source_is_noticed() -> None:
    assert "error" in compiled("KERNEL void wrong() {", 80)


@pytest.mark.parametrize("name", names())
def test_sources_use_the_words_of_the_prelude(name: str) -> None:
    text = re.sub(r"//.*", "", body(name))
    for word in ("__global__", "__shared__", "__syncthreads", "threadIdx", "__device__", "_sync("):
        assert word not in text, f"{name}.cu: {word} has no meaning on the host"
