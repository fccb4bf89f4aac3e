"""Stand-ins for a GPU that the search is tried on."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from kernels.cuda.device import Scalar
from tests.kernels.cuda.host import HostBuffer, HostDevice, HostStream


class Watched(HostDevice):
    """A stand-in that knows what it ran, and that has so much room.

    Args:
        room: bytes that may be allocated at a time.

    Attributes:
        ran: names of the kernels, in order.
        live, most: bytes that are allocated now, and that were at once.
    """

    def __init__(self, room: int = 2**40) -> None:
        super().__init__()
        self.room, self.ran, self.live, self.most = room, list[str](), 0, 0

    def allocate(self, size: int) -> HostBuffer:
        if self.live + size > self.room:
            raise MemoryError(f"the GPU has no {size} bytes left")
        buffer = super().allocate(size)
        self._add(size)
        weakref.finalize(buffer.array, self._add, -size)
        return buffer

    def launch(
        self,
        source: str,
        kernel: str,
        grid: tuple[int, int],
        threads: int,
        arguments: Sequence[Scalar],
        stream: HostStream,
    ) -> None:
        self.ran.append(kernel)
        super().launch(source, kernel, grid, threads, arguments, stream)

    def _add(self, size: int) -> None:
        self.live += size
        self.most = max(self.most, self.live)
