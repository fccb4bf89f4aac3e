"""Where networks run: the device a user asked for, found out to be there before work starts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forgecli.errors import UsageError

if TYPE_CHECKING:
    import types

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
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", asked):
        raise UsageError(f"no device is called {asked!r}.", mend=f"known: {_KNOWN}")
    torch = require_torch()
    if asked == "cpu":
        return asked
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
