"""Where a run computes, and with how many threads and processes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from engines.base import Precision
from forgecli.cores import available_cores
from forgecli.errors import UsageError
from forgecli.train.distributed import World

_MOST_WORKERS = 12
"""More processes than this do not feed a GPU any faster: the disk or the memory is the limit."""


def device_of(name: str, world: World) -> torch.device:
    """The device that a user asked for; of several processes each gets the GPU of its number.

    Args:
        name: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        world: the processes.

    Raises:
        UsageError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"there is no device {name!r}.", mend="auto, cpu, cuda:0 or mps"
        ) from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"forge cannot train on {name!r}.", mend="auto, cpu, cuda:0 or mps")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("there is no Apple GPU here.", mend="--device cpu")
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = world.local_rank if world.size > 1 else device.index or 0
    if index >= count:
        raise UsageError(
            f"GPU {index} was asked for, and torch sees {count} here.",
            mend="--device cpu, or check the driver with nvidia-smi",
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse what a device does not compute.

    Raises:
        UsageError: it does not.
    """
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UsageError("this GPU has no bf16.", mend="--precision fp16")


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work of one process of a run.

    Attributes:
        workers: processes that read data.
        threads: of the arithmetic.
    """

    workers: int
    threads: int


def crew_of(workers: int | None, threads: int | None, device: torch.device, world: World) -> Crew:
    """What was asked for; else what suits the cores.

    On a GPU nearly all cores read. On a CPU the arithmetic takes so much longer than reading that
    one reader in four cores is enough, and with one or two cores the reader shares them: it is
    idle most of the time.
    """
    cores = max(available_cores() // world.local_size, 1)
    if device.type == "cpu":
        readers = max(cores // 4, 1) if workers is None else workers
        own = cores if cores <= 2 else max(cores - readers, 1)
    else:
        readers = min(max(cores - 1, 1), _MOST_WORKERS) if workers is None else workers
        own = max(min(cores - readers, 4), 1)
    return Crew(readers, own if threads is None else threads)


def set_threads(count: int) -> None:
    """Give the arithmetic of torch and OpenCV in this process so many threads."""
    import cv2

    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def make_deterministic(device: torch.device, *, asked: bool) -> None:
    """The same bits every time: always on the CPU, where it costs nothing; on a GPU if asked."""
    wanted = asked or device.type == "cpu"
    if asked and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS demands it
    torch.set_deterministic_debug_mode("warn" if wanted else "default")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not wanted
