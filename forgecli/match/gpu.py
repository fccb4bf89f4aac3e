"""The search's heavy steps on an NVIDIA GPU, for who asks for one by name.

It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from forgecli.errors import ForgeError, UsageError
from forgecli.match.bands import FloatImage
from forgecli.match.compute import Compute, Doubles, Pixels
from kernels.cuda.dense import DenseOnDevice
from kernels.cuda.device import Device
from kernels.cuda.verification import Verification

_AT_ONCE = 2**22
_EXTRAS = "pip install 'forgecli[gpu]' or 'forgecli[gpu-rtx]'"
_INSTEAD = "leave out --device: match then runs on the CPU"


class OnGpu:
    """The kernels of a GPU. Satisfies `forgecli.match.compute.Compute`.

    What they find is what the CPU's find within the rounding of float32 sums: of regions that
    hardly count, one more or less may be grown. For one thread of one process, which must not be a
    fork of one that used a GPU.

    Args:
        device: a `kernels.cuda.cupy_device.CupyDevice`. All is done on one stream of it.
    """

    at_once = _AT_ONCE
    """As many as keep a GPU busy: 67 MB of the host's memory for the two views of each."""

    def __init__(self, device: Device) -> None:
        self._device = device
        stream = device.stream()
        verification, dense = Verification(device, stream), DenseOnDevice(device, stream)
        self._verification = verification
        self.most_similar = verification.most_similar
        self.refine = verification.refine
        self.extent = verification.extent
        self.describe = dense.describe
        self.find_field = dense.find_field
        self.find_scaled_field = dense.find_scaled_field
        self.agreeing = dense.agreeing
        self.local_maps = dense.local_maps

    @contextmanager
    def holding(self, *images: FloatImage) -> Iterator[None]:
        """See `Compute.holding`. Whatever of the block failed, nothing of it is left on the GPU.

        Raises:
            MemoryError: the GPU has no room for them.
        """
        try:
            self._verification.hold(*images)
            yield
        finally:
            self._verification.release()

    def close(self) -> None:
        """Give the memory of the GPU back."""
        self._verification.release()
        self._device.trim()

    def view_correlations(
        self, image: FloatImage, boxes: NDArray[np.int64], affines: Doubles, side: int
    ) -> list[tuple[FloatImage, FloatImage]]:
        """See `Compute.view_correlations`."""
        return self._verification.view_correlations(image, boxes, affines, side)

    def region_correlations(
        self, image: FloatImage, regions: Sequence[Pixels], affines: Doubles, moves: Doubles
    ) -> Doubles:
        """See `Compute.region_correlations`."""
        return self._verification.region_correlations(image, regions, affines, moves)


def resolve_device(asked: str | None) -> str:
    """Where match runs: ``cpu`` or ``cuda:0``.

    ``auto`` is the CPU, also where there is a GPU: nobody has measured yet what is gained there.
    What is asked for by name and is not there is an error, never the CPU instead.

    Args:
        asked: ``auto`` or None, ``cpu``, ``cuda`` (the first) or ``cuda:NUMBER``.

    Raises:
        UsageError: no such name, no such GPU, another kind of GPU, or CuPy is not installed.
    """
    if asked in (None, "auto", "cpu"):
        return "cpu"
    if asked == "mps":
        raise UsageError("match does not run on mps.", mend=_INSTEAD)
    if not re.fullmatch(r"cuda(:\d+)?", asked):
        raise UsageError(
            f"no device is called {asked!r}.", mend="known for match: auto, cpu, cuda, cuda:NUMBER"
        )
    number = int(asked.partition(":")[2] or 0)
    try:
        from kernels.cuda.cupy_device import CupyDevice

        CupyDevice(number)
    except ImportError as error:
        raise UsageError(
            f"match on a GPU needs CuPy and CUDA's compiler: {error}.",
            mend=f"{_EXTRAS}, or {_INSTEAD}",
        ) from error
    except RuntimeError as error:
        raise UsageError(
            f"match cannot run on cuda:{number}: {_first_line(error)}.",
            mend=f"check the driver (nvidia-smi), or {_INSTEAD}",
        ) from error
    return f"cuda:{number}"


def open_gpu(device: str) -> Compute:
    """Begin to use a GPU: once in every process that does.

    Args:
        device: as `resolve_device` gives it, ``cuda:NUMBER``.

    Raises:
        ForgeError: it has gone since, or CuPy has.
    """
    from kernels.cuda.cupy_device import CupyDevice

    try:
        return OnGpu(CupyDevice(int(device.removeprefix("cuda:"))))
    except (ImportError, RuntimeError, MemoryError) as error:
        raise ForgeError(
            f"match cannot run on {device}: {_first_line(error)}.", mend=_INSTEAD
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
