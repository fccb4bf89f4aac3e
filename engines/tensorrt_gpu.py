"""The GPU that TensorRT runs on: its memory, being current, and CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, cast

from kernels.cuda.device import Device


class Graph(Protocol):
    """Work that was captured and can be done again."""

    def launch(self, stream: int) -> None:
        """Do it, as part of the stream (``cudaStream_t``)."""


class Gpu(Protocol):
    """What running an engine needs of a GPU."""

    @property
    def memory(self) -> Device:
        """For buffers and streams."""

    def current(self) -> AbstractContextManager[object]:
        """Make it the thread's GPU for a block: TensorRT takes whichever that is."""

    def capture(self, stream: int, work: Callable[[], None]) -> Graph:
        """Record what `work` gives to a stream, without doing it.

        Raises:
            RuntimeError: some of it cannot be recorded.
        """


class CupyGpu:
    """A GPU through CuPy. Has not run on one.

    Args:
        device: as torch names it: ``cuda``, ``cuda:0``.

    Raises:
        ImportError: CuPy is not installed; the message names the extra.
        RuntimeError: there is no such GPU, or no driver.
        ValueError: the name is not that of a GPU.
    """

    def __init__(self, device: str) -> None:
        number = number_of(device)
        try:
            import cupy

            from kernels.cuda.cupy_device import CupyDevice
        except ImportError as error:
            raise ImportError(
                "TensorRT engines need CuPy. Install it: pip install 'forgecli[gpu]', or "
                "'forgecli[gpu-rtx]' on RTX cards",
                name="cupy",
            ) from error
        try:
            self._memory = CupyDevice(number)
        except RuntimeError as error:
            raise RuntimeError(
                f"TensorRT engines run on NVIDIA GPUs, and there is no {device} here. "
                "See forge doctor; an .onnx file runs on the CPU"
            ) from error
        self._number = number
        self._cuda: Any = cupy.cuda

    @property
    def memory(self) -> Device:
        """See `Gpu.memory`."""
        return cast(Device, self._memory)  # its methods take buffers and streams of its own only

    def current(self) -> AbstractContextManager[object]:
        """See `Gpu.current`."""
        context: AbstractContextManager[object] = self._cuda.Device(self._number)
        return context

    def capture(self, stream: int, work: Callable[[], None]) -> CupyGraph:
        """See `Gpu.capture`."""
        runtime = self._cuda.runtime
        runtime.streamBeginCapture(stream)
        try:
            work()
        except BaseException:
            with suppress(runtime.CUDARuntimeError):  # a failed capture has no graph
                runtime.graphDestroy(runtime.streamEndCapture(stream))
            raise
        graph = runtime.streamEndCapture(stream)
        try:
            return CupyGraph(runtime, runtime.graphInstantiate(graph))
        finally:
            runtime.graphDestroy(graph)


class CupyGraph:
    """An executable CUDA graph. CUDA frees one that is forgotten while it runs when it is done."""

    def __init__(self, runtime: Any, handle: int) -> None:
        self._runtime = runtime
        self._handle = handle

    def launch(self, stream: int) -> None:
        """See `Graph.launch`."""
        self._runtime.graphLaunch(self._handle, stream)

    def __del__(self) -> None:
        with suppress(Exception):  # the driver may be gone when Python ends
            self._runtime.graphExecDestroy(self._handle)


def number_of(device: str) -> int:
    """The number of a GPU: 1 of ``cuda:1``, 0 of ``cuda``.

    Raises:
        ValueError: it is not the name of a GPU.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isdecimal() or device == "cuda"):
        raise ValueError(f"TensorRT runs on cuda:NUMBER. Got: {device!r}")
    return int(number or 0)
