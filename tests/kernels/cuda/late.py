"""A device that is as late as a GPU, and as unforgiving.

`HostDevice` does everything at once and forgets nothing, so memory that is given back too early is
never missed there. On a GPU it is the next allocation's at once, of whatever stream, while kernels
that were queued before still read it. Here work waits in its stream until somebody waits for it;
what a buffer held is gone when the buffer is forgotten; and work that finds its memory forgotten,
on the device or on the host, fails.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.device import Scalar
from tests.kernels.cuda.host import HostBuffer, HostDevice, HostStream, check_launch

Work = Callable[[], None]


class LateBuffer:
    """Memory of the device; a buffer as the others, but one that can be seen to be forgotten."""

    def __init__(self, pointer: int, size: int) -> None:
        self.pointer, self.size = pointer, size


class LateStream:
    """What was given to it and is not done yet."""

    handle = 0

    def __init__(self) -> None:
        self.due: list[Work] = []
        self.done = 0

    def run(self, until: int) -> None:
        """Do what was given to it before a place."""
        while self.done < until:
            self.done += 1
            self.due.pop(0)()

    @property
    def end(self) -> int:
        return self.done + len(self.due)


class LateEvent:
    """Happens when somebody waits for it, or has asked for it `polls` times."""

    def __init__(self, stream: LateStream, polls: int) -> None:
        self.stream, self.place, self._left = stream, stream.end, polls

    def ready(self) -> bool:
        self._left -= 1
        if self._left > 0 and self.stream.done < self.place:
            return False
        self.wait()
        return True

    def wait(self) -> None:
        self.stream.run(self.place)


class _Block:
    """Some memory, and whether a buffer still has it."""

    def __init__(self, size: int) -> None:
        self.memory = np.full(size + 512, 0xA5, np.uint8)
        self.start = self.memory.ctypes.data - self.memory.ctypes.data % -256
        self.size, self.taken = size, True

    def forget(self) -> None:
        self.taken = False
        self.memory[:] = 0xEE  # the next one's


class LateDevice(HostDevice):
    """See above.

    Args:
        polls: how often an event is asked for before it has happened.
    """

    name = "a late device"

    def __init__(self, polls: int = 3) -> None:
        super().__init__()
        self._polls = polls
        self._blocks: list[_Block] = []
        self.streams: list[LateStream] = []

    def allocate(self, size: int) -> Any:
        block = _Block(size)
        buffer = LateBuffer(block.start, size)
        self._blocks.append(block)
        weakref.finalize(buffer, block.forget)
        return buffer

    def stream(self) -> Any:
        self.streams.append(LateStream())
        return self.streams[-1]

    def upload(self, host: NDArray[Any], to: Any, stream: Any, *, at: int = 0) -> None:
        self._copy(super().upload, host, to, stream, at)

    def download(self, of: Any, host: NDArray[Any], stream: Any, *, at: int = 0) -> None:
        self._copy(super().download, host, of, stream, at)

    def fill(self, buffer: Any, byte: int, stream: Any, *, at: int = 0,
             size: int | None = None) -> None:  # fmt: skip
        size = buffer.size - at if size is None else size
        assert at >= 0 and at + size <= buffer.size
        seen, fill = self._block(buffer.pointer, "a fill"), super().fill
        bare = HostBuffer(np.empty(0, np.uint8), buffer.pointer, buffer.size)

        def work() -> None:
            assert seen.taken, "what is filled was forgotten before the stream came to it"
            fill(bare, byte, HostStream(), at=at, size=size)

        stream.due.append(work)

    def launch(self, source: str, kernel: str, grid: tuple[int, int], threads: int,
               arguments: Sequence[Scalar], stream: Any) -> None:  # fmt: skip
        check_launch(source, kernel, grid, arguments)
        assert 0 < threads <= 1024
        places = [int(each) for each in arguments if isinstance(each, np.uintp)]
        seen = [self._block(place, f"{source}.cu: {kernel}") for place in places if place]
        run = partial(super().launch, source, kernel, grid, threads, tuple(arguments), HostStream())

        def work() -> None:
            held = [block.taken for block in seen]
            assert all(held), f"{source}.cu: {kernel}: memory was forgotten before it ran: {held}"
            run()

        stream.due.append(work)

    def event(self, stream: Any) -> Any:
        return LateEvent(stream, self._polls)

    def after(self, stream: Any, event: Any) -> None:
        stream.due.append(event.wait)

    def synchronize(self) -> None:
        for stream in self.streams:
            stream.run(stream.end)

    def _copy(self, copy: Any, host: NDArray[Any], buffer: Any, stream: Any, at: int) -> None:
        assert host.flags.c_contiguous
        assert at >= 0 and at + host.nbytes <= buffer.size
        seen, owner = self._block(buffer.pointer, "a copy"), weakref.ref(_owner(host))
        place, shape, kind = host.ctypes.data, host.shape, host.dtype
        bare = HostBuffer(np.empty(0, np.uint8), buffer.pointer, buffer.size)

        def work() -> None:
            assert seen.taken, "what is copied was forgotten before the stream came to it"
            whole = owner()
            assert whole is not None, "an array of the host was forgotten before it was copied"
            size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
            there = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * size).from_address(place))
            if "upload" in copy.__name__:
                copy(there, bare, HostStream(), at=at)
            else:
                copy(bare, there, HostStream(), at=at)

        stream.due.append(work)

    def _block(self, place: int, what: str) -> _Block:
        """The block that an address is in."""
        for block in reversed(self._blocks):
            if block.start <= place < block.start + max(block.size, 1):
                assert block.taken, f"{what} is given memory that was forgotten"
                return block
        raise AssertionError(f"{what} is given an address that is nowhere on the device")


def _owner(array: NDArray[Any]) -> NDArray[Any]:
    """The array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
