"""Blocks of shared memory that pictures are decoded into and uploaded from.

A process writes pixels where the GPU can fetch them without a detour: the memory is shared with
the process and pinned for the GPU. Pinning takes longer than a copy, so blocks are kept and used
again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgecli.predict.failures import is_memory_error
from kernels.cuda.device import Device

_SHARED = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory


@dataclass(slots=True, eq=False)
class Slot:
    """One block.

    Attributes:
        memory: uint8 (size,), shared.
        pinned: whether it is pinned for the GPU too.
    """

    block: SharedMemory
    memory: NDArray[np.uint8]
    pinned: bool = True

    @property
    def name(self) -> str:
        """For `written`."""
        return self.block.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.memory.size

    def pixels(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """The picture that lies at its beginning: uint8 (H, W, 3)."""
        return self.memory[: shape[0] * shape[1] * 3].reshape(*shape, 3)


class Slots:
    """A bounded number of bytes in blocks.

    Args:
        device: the memory is pinned for it.
        size: bytes of an ordinary block. A larger picture gets a block of the next power of two.
        most: bytes of all blocks together. A single picture that needs more gets it once nothing
            else is held.
        note: told where the system gives less.
    """

    def __init__(
        self, device: Device, *, size: int, most: int, note: Callable[[str], None]
    ) -> None:
        self._device = device
        self._note = note
        self._ordinary = size
        self._most = max(most, size)
        self._pins = True
        self._free: list[Slot] = []
        self._held: set[Slot] = set()

    @property
    def held(self) -> int:
        """Blocks that were taken and not given back."""
        return len(self._held)

    @property
    def total(self) -> int:
        """Bytes there are, in whoever's hands."""
        return sum(slot.size for slot in (*self._free, *self._held))

    def take(self, size: int = 0) -> Slot | None:
        """A block of `size` bytes or more; None while there is none to be had.

        Raises:
            MemoryError: nothing is held, and even so the system does not give that much.
        """
        fitting = [slot for slot in self._free if slot.size >= size]
        if fitting:
            slot = min(fitting, key=lambda free: free.size)
            self._free.remove(slot)
        else:
            new = self._made(size)
            if new is None:
                return None
            slot = new
        self._held.add(slot)
        return slot

    def give(self, slot: Slot) -> None:
        """Take a block back; nobody reads it any more."""
        self._held.remove(slot)
        self._free.append(slot)

    def trim(self) -> None:
        """Give back to the system what nobody holds."""
        while self._free:
            self._destroy(self._free.pop())

    def close(self) -> None:
        """Give all back to the system, whoever holds them."""
        for slot in (*self._free, *self._held):
            self._destroy(slot)
        self._free.clear()
        self._held.clear()

    def _made(self, size: int) -> Slot | None:
        wanted = self._ordinary
        while wanted < size:
            wanted *= 2
        while self._free and self.total + wanted > self._most:  # all of them are too small
            self._destroy(self._free.pop())
        if self._held and self.total + wanted > self._most:
            return None
        while True:
            try:
                return self._create(wanted)
            except MemoryError:
                if self._free:  # they are too small, and in its way
                    self._destroy(self._free.pop())
                    continue
                if not self._held:
                    raise
            self._most = self.total  # what there is will do
            self._note(
                f"shared memory holds {len(self._held)} pictures under way; "
                "with more it may be faster (in a container: --shm-size)"
            )
            return None

    def _create(self, size: int) -> Slot:
        try:
            block = SharedMemory(create=True, size=size)
        except OSError as error:
            raise MemoryError(f"no {size:,} bytes of shared memory: {error}") from error
        memory = np.empty(0, np.uint8)
        try:
            _reserve(block, size)
            memory = _bytes(block, size)  # the system may have given whole pages
            pinned = self._pin(memory)
        except Exception as error:
            error.with_traceback(None)  # its frames hold the memory
            del memory
            block.close()
            block.unlink()
            if isinstance(error, OSError) or is_memory_error(error):
                raise MemoryError(str(error)) from error
            raise
        return Slot(block, memory, pinned)

    def _pin(self, memory: NDArray[np.uint8]) -> bool:
        """Pin a block. Where the system forbids it, as some containers do, blocks stay as they are:
        a copy from one waits until its pixels are read, and all else is the same."""
        if not self._pins:
            return False
        try:
            self._device.pin(memory)
        except RuntimeError as error:
            if is_memory_error(error):
                raise
            self._pins = False
            first = next(iter(str(error).splitlines()), type(error).__name__)
            self._note(
                f"shared memory cannot be pinned for the GPU ({first}): "
                "copies to it take longer and hold up what else the program does"
            )
            return False
        return True

    def _destroy(self, slot: Slot) -> None:
        if slot.pinned:
            with suppress(Exception):  # a GPU that failed has forgotten it
                self._device.unpin(slot.memory)
        slot.memory = slot.memory[:0].copy()
        with suppress(BufferError):  # somebody still looks at it: it goes when they have done so
            slot.block.close()
        slot.block.unlink()


def written(name: str, pixels: NDArray[np.uint8]) -> None:
    """Put pixels at the beginning of a block. For other processes.

    Args:
        name: of the block.
        pixels: uint8, no larger than it.

    Raises:
        ValueError: they are larger.
        OSError: there is no such block.
    """
    block = SharedMemory(name)
    try:
        if pixels.nbytes > block.size:
            raise ValueError(f"{pixels.nbytes:,} bytes do not fit into {block.size:,}")
        place = _bytes(block, pixels.size).reshape(pixels.shape)
        place[...] = pixels
        del place
    finally:
        block.close()


def copy_of(name: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture at the beginning of a block. For other processes.

    Args:
        name: of the block.
        shape: (H, W) of the picture.

    Returns:
        uint8 (H, W, 3).
    """
    block = SharedMemory(name)
    try:
        size = shape[0] * shape[1] * 3
        return _bytes(block, size).reshape(*shape, 3).copy()
    finally:
        block.close()


def _bytes(block: SharedMemory, size: int) -> NDArray[np.uint8]:
    assert block.buf is not None
    return np.frombuffer(block.buf, np.uint8, size)


def _reserve(block: SharedMemory, size: int) -> None:
    """Make sure that the memory is there: without this, a write beyond what the system has left
    (64 MB in a container, unless it is told otherwise) ends the process that writes.

    Raises:
        MemoryError: it is not.
    """
    file = _SHARED / block.name.lstrip("/")
    if not hasattr(os, "posix_fallocate") or not file.exists():
        return
    handle = os.open(file, os.O_RDWR)
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        raise MemoryError(
            f"no {size:,} bytes of shared memory are left in {_SHARED}: {error.strerror}"
        ) from error
    finally:
        os.close(handle)
