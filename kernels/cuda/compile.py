"""CUDA sources to machine code, by NVRTC as CuPy brings it.

CuPy's own compiler adds ``-ftz=true`` to every call: results too small for a normal float would be
zero on a GPU and not on the CPU.
"""

from __future__ import annotations

from kernels.cuda.source import OPTIONS


def require() -> None:
    """Make sure that there is a compiler, before the first kernel is wanted. Needs no GPU.

    CuPy does not bring NVRTC along, and looks for it when it compiles.

    Raises:
        ImportError: CuPy or NVRTC is not installed; the message says which package brings it.
    """
    from cupy.cuda import nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:  # what the loader raises is not CuPy's own
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ImportError(
            f"CUDA's compiler NVRTC cannot be loaded ({first}); "
            "pip install nvidia-cuda-nvrtc brings it",
            name="nvidia-cuda-nvrtc",
        ) from error


def compiled(text: str, name: str, architecture: int) -> tuple[bytes, str]:
    """A source for one kind of GPU. Needs no GPU.

    Args:
        text: what `kernels.cuda.source.source` gives.
        name: for messages.
        architecture: compute capability times ten.

    Returns:
        the cubin, and what the compiler said beside; empty if nothing.

    Raises:
        ImportError: CuPy or NVRTC is not installed.
        RuntimeError: the source does not compile, with what the compiler said.
    """
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(text, f"{name}.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, (*OPTIONS, f"-arch=sm_{architecture}"))
        except nvrtc.NVRTCError as error:
            said = nvrtc.getProgramLog(program).strip("\0 \n") or str(error)
            what = f"{name}.cu does not compile for sm_{architecture}"
            raise RuntimeError(f"{what}: {said}") from error
        return bytes(nvrtc.getCUBIN(program)), str(nvrtc.getProgramLog(program)).strip("\0 \n")
    finally:
        nvrtc.destroyProgram(program)
