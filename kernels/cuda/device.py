"""What the kernels need of a device: memory, streams, events, launches.

`kernels.cuda.cupy_device.CupyDevice` is a GPU. The tests have another, which runs the same sources
as C++ on the host, so that all that launches kernels is tested without a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Scalar = np.generic
"""An argument of a kernel: a NumPy scalar of the parameter's type; `np.uintp` for pointers."""


class Buffer(Protocol):
    """Memory of the device."""

    @property
    def pointer(self) -> int:
        """Address on the device, a multiple of 256."""

    @property
    def size(self) -> int:
        """Bytes."""


class Stream(Protocol):
    """Work that is done in order. Different streams run beside each other."""

    @property
    def handle(self) -> int:
        """As CUDA names it (``cudaStream_t``), for libraries that take one; 0 on the host."""


class Event(Protocol):
    """A place in a stream."""

    def ready(self) -> bool:
        """Whether the work before it is done. Does not wait. Raises if the device failed."""

    def wait(self) -> None:
        """Wait on the host until it is."""


class Device(Protocol):
    """A GPU, or what stands for one.

    Copies, fills and launches happen in the order of their stream. Fills and launches return at
    once, but for the first launch of a source, which compiles it; copies do from and to memory that
    is pinned, and may wait for the stream and for themselves where it is not. Beside these only
    `Event.wait` and `synchronize` wait.
    """

    @property
    def name(self) -> str:
        """For people, such as ``NVIDIA H200``."""

    def allocate(self, size: int) -> Buffer:
        """Memory of the device, not set. Freed when the buffer is forgotten.

        Raises:
            MemoryError: there is not so much.
        """

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """Memory of the host, uint8 (size,), that copies reach without a detour."""

    def pin(self, memory: NDArray[np.uint8]) -> None:
        """Make memory of the host, such as a shared block, as good as `pinned`, until `unpin`."""

    def unpin(self, memory: NDArray[np.uint8]) -> None:
        """Undo `pin`. Before the memory is given back."""

    def stream(self) -> Stream:
        """A new stream."""

    def upload(self, host: NDArray[Any], to: Buffer, stream: Stream, *, at: int = 0) -> None:
        """Copy a C-contiguous array to the device, `at` bytes into the buffer.

        The array must stay as it is until the stream is past this.
        """

    def download(self, of: Buffer, host: NDArray[Any], stream: Stream, *, at: int = 0) -> None:
        """Fill a C-contiguous array from the device, from `at` bytes into the buffer."""

    def fill(self, buffer: Buffer, byte: int, stream: Stream, *, at: int = 0,
             size: int | None = None) -> None:  # fmt: skip
        """Set `size` bytes (all that follow, if None) from `at` on."""

    def launch(
        self,
        source: str,
        kernel: str,
        grid: tuple[int, int],
        threads: int,
        arguments: Sequence[Scalar],
        stream: Stream,
    ) -> None:
        """Run a kernel of the source `source`.cu: `grid` (x, y) blocks of so many threads.

        CUDA has at most 2**31 - 1 blocks across and 65,535 down.
        """

    def event(self, stream: Stream) -> Event:
        """An event behind all that the stream was given so far."""

    def after(self, stream: Stream, event: Event) -> None:
        """Let a stream wait, on the device, for an event of another."""

    def trim(self) -> None:
        """Give memory that was freed back to the system, so that other libraries can have it."""

    def synchronize(self) -> None:
        """Wait on the host until all streams are done."""


def pointer(buffer: Buffer, at: int = 0) -> np.uintp:
    """The address of a byte of a buffer, as an argument of a kernel."""
    return np.uintp(buffer.pointer + at)
