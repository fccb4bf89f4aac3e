"""An NVIDIA GPU through CuPy."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.compile import compiled, require
from kernels.cuda.device import Buffer, Event, Scalar, Stream
from kernels.cuda.source import source

_NOT_READY = 600
"""``cudaErrorNotReady``."""


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

    query: Any

    def ready(self) -> bool:
        """Whether the work before it is done.

        Raises:
            RuntimeError: the GPU failed. CuPy's own `Event.done` would be False for ever.
        """
        status = int(self.query(self.event.ptr))
        if status not in (0, _NOT_READY):
            self.event.synchronize()  # raises what it was
            raise RuntimeError(f"the GPU failed (CUDA error {status})")
        return status == 0

    def wait(self) -> None:
        """Wait until it is."""
        self.event.synchronize()


class CupyDevice:
    """A GPU. Satisfies `kernels.cuda.device.Device`.

    Sources are compiled for it when their first kernel is launched, which takes a second or so in
    all. This has not run on a GPU.

    Args:
        number: of the GPU, as CUDA counts them.

    Raises:
        ImportError: CuPy is not installed, or the compiler that it needs.
        RuntimeError: there is no such GPU, or no driver.
    """

    def __init__(self, number: int = 0) -> None:
        # CuPy makes its folder when it is imported, and fails where it may not.
        os.environ.setdefault("CUPY_CACHE_DIR", str(Path(tempfile.gettempdir()) / "forge-cupy"))
        try:
            import cupy
        except OSError as error:
            raise RuntimeError(f"CuPy cannot start: {error}") from error

        if not cupy.cuda.is_available() or number >= cupy.cuda.runtime.getDeviceCount():
            raise RuntimeError(f"CuPy finds no GPU {number}")
        require()
        self._cupy = cupy
        self._device = cupy.cuda.Device(number)
        self._modules: dict[str, Any] = {}
        self._kernels: dict[tuple[str, str], Any] = {}
        self._loading = threading.Lock()
        with self._device:
            properties = cupy.cuda.runtime.getDeviceProperties(number)
        name = properties["name"]
        self._name = name if isinstance(name, str) else bytes(name).decode("utf-8", "replace")
        self._architecture = int(self._device.compute_capability)

    @property
    def name(self) -> str:
        """As its driver calls it."""
        return self._name

    @property
    def architecture(self) -> int:
        """Compute capability times ten."""
        return self._architecture

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

    def upload(self, host: NDArray[Any], to: Buffer, stream: Stream, *,
               at: int = 0) -> None:  # fmt: skip
        """See `Device.upload`."""
        _check(host, to, at)
        with self._device:
            self._cupy.cuda.runtime.memcpyAsync(
                to.pointer + at, host.ctypes.data, host.nbytes, 1, stream.handle
            )

    def download(self, of: Buffer, host: NDArray[Any], stream: Stream, *,
                 at: int = 0) -> None:  # fmt: skip
        """See `Device.download`."""
        _check(host, of, at)
        with self._device:
            self._cupy.cuda.runtime.memcpyAsync(
                host.ctypes.data, of.pointer + at, host.nbytes, 2, stream.handle
            )

    def fill(self, buffer: Buffer, byte: int, stream: Stream, *, at: int = 0,
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
        stream: Stream,
    ) -> None:
        """See `Device.launch`."""
        if 0 in grid:
            return
        with self._device:
            function = self._function(source, kernel)
            with _cupy(stream):
                function(grid, (threads,), tuple(arguments))

    def event(self, stream: Stream) -> CupyEvent:
        """See `Device.event`."""
        with self._device:
            event = self._cupy.cuda.Event(disable_timing=True)
            event.record(_cupy(stream))
        return CupyEvent(event, self._cupy.cuda.runtime.eventQuery)

    def after(self, stream: Stream, event: Event) -> None:
        """See `Device.after`."""
        _cupy(stream).wait_event(cast(CupyEvent, event).event)

    def trim(self) -> None:
        """See `Device.trim`."""
        with self._device:
            self._cupy.get_default_memory_pool().free_all_blocks()

    def synchronize(self) -> None:
        """See `Device.synchronize`."""
        self._device.synchronize()

    def _function(self, name: str, kernel: str) -> Any:
        # Of two modules of one source the first would be unloaded while its kernels are queued.
        with self._loading:
            if (name, kernel) not in self._kernels:
                if name not in self._modules:
                    module = self._cupy.cuda.function.Module()
                    module.load(compiled(source(name), name, self._architecture)[0])
                    self._modules[name] = module
                self._kernels[name, kernel] = self._modules[name].get_function(kernel)
            return self._kernels[name, kernel]


def _cupy(stream: Stream) -> Any:
    return cast(CupyStream, stream).stream


def _check(host: NDArray[Any], buffer: Buffer, at: int) -> None:
    if not host.flags.c_contiguous:
        raise ValueError("only C-contiguous arrays are copied as they are")
    if at < 0 or at + host.nbytes > buffer.size:
        raise ValueError(f"{host.nbytes} bytes at {at} do not fit into {buffer.size}")
