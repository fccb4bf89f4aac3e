"""Where networks run: the device a user asked for, found out to be there before work starts."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from forgecli.errors import UsageError

if TYPE_CHECKING:
    import types
    from pathlib import Path

_KNOWN = "auto, cpu, mps, cuda or cuda:NUMBER"


def require_torch() -> types.ModuleType:
    """The module torch.

    Raises:
        UsageError: it is not installed; the message names the extra.
    """
    try:
        import torch
    except ImportError as error:
        raise UsageError(
            f"networks need PyTorch, which cannot be imported: {error}.",
            mend="pip install 'forgecli[train]'",
        ) from error
    return torch


def resolve_device(asked: str) -> str:
    """The device as torch names it: ``cpu``, ``mps``, ``cuda:0``.

    ``auto`` is the first NVIDIA GPU if there is one, else the Apple GPU, else the CPU. What is
    asked for by name and is not there is an error, never the CPU instead.

    Args:
        asked: ``auto``, ``cpu``, ``mps``, ``cuda`` (the first) or ``cuda:NUMBER``.

    Raises:
        UsageError: no such device, no such name, or torch is not installed.
    """
    _check_name(asked)
    if asked == "cpu" and find_spec("torch") is not None:
        return asked  # importing it takes seconds, and whoever computes does it anyway
    torch = require_torch()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    apple = torch.backends.mps.is_available()
    if asked == "auto":
        return "cuda:0" if gpus else "mps" if apple else "cpu"
    if asked == "mps":
        if not apple:
            raise UsageError("there is no Apple GPU that PyTorch can use.", mend="--device cpu")
        return asked
    number = int(asked.partition(":")[2] or 0)
    if number >= gpus:
        there = f"there are {gpus}, counted from 0" if gpus else "there is none it can use"
        cause = "" if gpus or torch.version.cuda else "; this PyTorch was built without CUDA"
        raise UsageError(f"PyTorch finds no NVIDIA GPU {number}: {there}{cause}.",
                         mend="check the driver (nvidia-smi), or --device cpu")  # fmt: skip
    return f"cuda:{number}"


def cpu_only(asked: str, file: Path) -> str:
    """The device of an ONNX file, which is the CPU. Needs no torch.

    Args:
        asked: as for `resolve_device`.
        file: for messages.

    Raises:
        UsageError: another device was asked for by name.
    """
    _check_name(asked)
    if asked not in ("auto", "cpu"):
        raise UsageError(
            f"runs on the CPU, not on {asked}.",
            file=file,
            mend="leave out --device, or make an engine for the GPU: forge build-engine CHECKPOINT",
        )
    return "cpu"


def gpu_only(asked: str, file: Path) -> str:
    """The device of a TensorRT engine, as torch names it. Needs no torch.

    Args:
        asked: as for `resolve_device`; ``auto`` is the first GPU.
        file: for messages.

    Raises:
        UsageError: it is not an NVIDIA GPU, there is none of that number, or CuPy is not installed.
    """
    _check_name(asked)
    if asked in ("cpu", "mps"):
        raise UsageError(
            f"is for an NVIDIA GPU and does not run on {asked}.",
            file=file,
            mend="name the .onnx or the .safetensors it was made from",
        )
    number = int(asked.partition(":")[2] or 0)
    gpus = _gpus_of_cupy()
    if number >= gpus:
        there = f"there are {gpus}, counted from 0" if gpus else "there is none"
        raise UsageError(
            f"needs an NVIDIA GPU {number}, and {there}.",
            file=file,
            mend="check the driver (nvidia-smi), or name the .onnx it was made from",
        )
    return f"cuda:{number}"


def _gpus_of_cupy() -> int:
    try:
        import cupy
    except ImportError as error:
        raise UsageError(
            f"GPU engines need CuPy, which cannot be imported: {error}.",
            mend="pip install 'forgecli[gpu]'",
        ) from error
    return int(cupy.cuda.runtime.getDeviceCount()) if cupy.cuda.is_available() else 0


def _check_name(asked: str) -> None:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", asked):
        raise UsageError(f"no device is called {asked!r}.", mend=f"known: {_KNOWN}")
