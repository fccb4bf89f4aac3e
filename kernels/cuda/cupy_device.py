"""An NVIDIA GPU through CuPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Scalar
from kernels.cuda.source import OPTIONS, source


@dataclass(frozen=True, slots=True, eq=False)
class CupyBuffer:
    """Memory of CuPy's pool; it goes back there when this is forgotten."""

    memory: Any
    size: int

    @property
    def pointer(self) -> int:
        """Address on the device."""
        return int(self.memory.ptr)


@dataclass(frozen=True, slots=True, eq=False)
class CupyStream:
    """A stream that does not wait for the default one."""

    stream: Any

    @property
    def handle(self) -> int:
        """``cudaStream_t``."""
        return int(self.stream.ptr)


@dataclass(frozen=True, slots=True, eq=False)
class CupyEvent:
    """An event without timing."""

    event: Any

    def ready(self) -> bool:
        """Whether the work before it is done."""
        return bool(self.event.done)

    def wait(self) -> None:
        """Wait until it is."""
        self.event.synchronize()


class CupyDevice:
    """A GPU. Satisfies `kernels.cuda.device.Device`.

    Sources are compiled for it when their first kernel is launched; CuPy keeps what it compiled in
    a folder of its own.

    Args:
        number: of the GPU, as CUDA counts them.

    Raises:
        ImportError: CuPy is not installed.
        RuntimeError: there is no such GPU, or no driver.
    """

    def __init__(self, number: int = 0) -> None:
        import cupy

        if not cupy.cuda.is_available() or number >= cupy.cuda.runtime.getDeviceCount():
            raise RuntimeError(f"CuPy finds no GPU {number}")
        self._cupy = cupy
        self._device = cupy.cuda.Device(number)
        self._modules: dict[str, Any] = {}
        self._kernels: dict[tuple[str, str], Any] = {}
        with self._device:
            properties = cupy.cuda.runtime.getDeviceProperties(number)
        self._name = str(properties["name"], "utf-8")

    @property
    def name(self) -> str:
        """As its driver calls it."""
        return self._name

    def allocate(self, size: int) -> CupyBuffer:
        """See `Device.allocate`."""
        with self._device:
            try:
                return CupyBuffer(self._cupy.cuda.alloc(max(size, 1)), size)
            except self._cupy.cuda.memory.OutOfMemoryError as error:
                raise MemoryError(f"the GPU has no {size} bytes left") from error

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """See `Device.pinned`."""
        with self._device:
            memory = self._cupy.cuda.alloc_pinned_memory(max(size, 1))
        return np.frombuffer(memory, np.uint8, size)

    def pin(self, memory: NDArray[np.uint8]) -> None:
        """See `Device.pin`."""
        with self._device:
            self._cupy.cuda.runtime.hostRegister(memory.ctypes.data, memory.nbytes, 0)

    def unpin(self, memory: NDArray[np.uint8]) -> None:
        """See `Device.unpin`."""
        with self._device:
            self._cupy.cuda.runtime.hostUnregister(memory.ctypes.data)

    def stream(self) -> CupyStream:
        """See `Device.stream`."""
        with self._device:
            return CupyStream(self._cupy.cuda.Stream(non_blocking=True))

    def upload(self, host: NDArray[Any], to: CupyBuffer, stream: CupyStream, *,
               at: int = 0) -> None:  # fmt: skip
        """See `Device.upload`."""
        _check(host, to, at)
        with self._device:
            self._cupy.cuda.runtime.memcpyAsync(
                to.pointer + at, host.ctypes.data, host.nbytes, 1, stream.handle
            )

    def download(self, of: CupyBuffer, host: NDArray[Any], stream: CupyStream, *,
                 at: int = 0) -> None:  # fmt: skip
        """See `Device.download`."""
        _check(host, of, at)
        with self._device:
            self._cupy.cuda.runtime.memcpyAsync(
                host.ctypes.data, of.pointer + at, host.nbytes, 2, stream.handle
            )

    def fill(self, buffer: CupyBuffer, byte: int, stream: CupyStream, *, at: int = 0,
             size: int | None = None) -> None:  # fmt: skip
        """See `Device.fill`."""
        size = buffer.size - at if size is None else size
        with self._device:
            self._cupy.cuda.runtime.memsetAsync(buffer.pointer + at, byte, size, stream.handle)

    def launch(
        self,
        source: str,
        kernel: str,
        grid: tuple[int, int],
        threads: int,
        arguments: Sequence[Scalar],
        stream: CupyStream,
    ) -> None:
        """See `Device.launch`."""
        if 0 in grid:
            return
        with self._device:
            function = self._function(source, kernel)
            function(grid, (threads,), tuple(arguments), stream=stream.stream)

    def event(self, stream: CupyStream) -> CupyEvent:
        """See `Device.event`."""
        with self._device:
            event = self._cupy.cuda.Event(disable_timing=True)
            event.record(stream.stream)
        return CupyEvent(event)

    def after(self, stream: CupyStream, event: CupyEvent) -> None:
        """See `Device.after`."""
        stream.stream.wait_event(event.event)

    def synchronize(self) -> None:
        """See `Device.synchronize`."""
        self._device.synchronize()

    def _function(self, name: str, kernel: str) -> Any:
        if (name, kernel) not in self._kernels:
            if name not in self._modules:
                self._modules[name] = self._cupy.RawModule(code=source(name), options=OPTIONS)
            self._kernels[name, kernel] = self._modules[name].get_function(kernel)
        return self._kernels[name, kernel]


def _check(host: NDArray[Any], buffer: CupyBuffer, at: int) -> None:
    if not host.flags.c_contiguous:
        raise ValueError("only C-contiguous arrays are copied as they are")
    if at < 0 or at + host.nbytes > buffer.size:
        raise ValueError(f"{host.nbytes} bytes at {at} do not fit into {buffer.size}")
