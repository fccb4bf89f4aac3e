"""Shared memory that is pinned, bounded and given back."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.stream import slots as module
from forgecli.stream.slots import Slots, copy_of, written
from tests.kernels.cuda.host import HostDevice


class Pins(HostDevice):
    """Remembers what is pinned."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned_now: set[int] = set()

    def pin(self, memory: NDArray[np.uint8]) -> None:
        self.pinned_now.add(memory.ctypes.data)

    def unpin(self, memory: NDArray[np.uint8]) -> None:
        self.pinned_now.remove(memory.ctypes.data)


@pytest.fixture
def device() -> Pins:
    return Pins()


@pytest.fixture
def slots(device: Pins) -> Iterator[Slots]:
    made = Slots(device, size=1000, most=5000, note=print)
    yield made
    made.close()
    assert not device.pinned_now


def exists(name: str) -> bool:
    try:
        SharedMemory(name).close()
    except FileNotFoundError:
        return False
    return True


def test_pixels_come_over_from_another_name(slots: Slots) -> None:
    slot = slots.take()
    assert slot is not None and slot.size == 1000
    pixels = np.random.default_rng(0).integers(0, 255, (7, 9, 3), np.uint8)
    written(slot.name, pixels)
    assert np.array_equal(slot.pixels((7, 9)), pixels)
    assert np.array_equal(copy_of(slot.name, (7, 9)), pixels)
    with pytest.raises(ValueError, match="do not fit"):
        written(slot.name, np.zeros((200, 200, 3), np.uint8))


def test_blocks_are_used_again_and_bounded(slots: Slots, device: Pins) -> None:
    taken = [slots.take() for _ in range(5)]
    assert all(taken) and slots.take() is None and slots.total == 5000
    first = taken[0]
    assert first is not None
    slots.give(first)
    assert slots.take() is first
    assert len(device.pinned_now) == 5


def test_a_large_picture_takes_the_place_of_free_blocks(slots: Slots) -> None:
    taken = [slots.take() for _ in range(5)]
    names = [slot.name for slot in taken if slot]
    assert slots.take(3500) is None, "four thousand bytes are not free"
    for slot in taken[:4]:
        assert slot is not None
        slots.give(slot)
    large = slots.take(3500)
    assert large is not None and large.size == 4000 and slots.total == 5000
    assert sum(exists(name) for name in names) == 1
    slots.give(large)
    again = slots.take(10)
    assert again is large, "a block that is too large will do"


def test_one_picture_over_the_bound_goes_alone(slots: Slots) -> None:
    small = slots.take()
    assert small is not None
    assert slots.take(20_000) is None
    slots.give(small)
    huge = slots.take(20_000)
    assert huge is not None and huge.size == 32_000 and slots.take() is None
    slots.give(huge)
    assert slots.take(500) is huge


def test_memory_that_the_system_does_not_give(
    device: Pins, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [2500]

    def reserve(block: SharedMemory, size: int) -> None:
        if size > left[0]:
            raise MemoryError("no shared memory is left")
        left[0] -= size

    monkeypatch.setattr(module, "_reserve", reserve)
    notes: list[str] = []
    slots = Slots(device, size=1000, most=9000, note=notes.append)
    one, two = slots.take(), slots.take()
    assert one and two and slots.take() is None, "what there is has to do"
    assert slots.take() is None and len(notes) == 1 and "holds 2 pictures" in notes[0]
    slots.give(one)
    slots.give(two)
    with pytest.raises(MemoryError, match="no shared memory"):
        slots.take(4000)
    slots.close()
    assert not device.pinned_now


def test_what_is_kept_makes_room_for_what_is_needed(
    device: Pins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has room for a large block only once those that are kept are gone."""
    room = [3000]

    def reserve(block: SharedMemory, size: int) -> None:
        if slots.total + size > room[0]:
            raise MemoryError("no shared memory is left")

    monkeypatch.setattr(module, "_reserve", reserve)
    notes: list[str] = []
    slots = Slots(device, size=1000, most=9000, note=notes.append)
    taken = [slots.take() for _ in range(3)]
    for slot in taken[:2]:
        assert slot
        slots.give(slot)
    large = slots.take(1500)
    assert large and large.size == 2000 and slots.total == 3000 and not notes
    slots.give(large)
    slots.trim()
    assert slots.total == 1000 and slots.held == 1 == len(device.pinned_now)
    slots.close()


def test_memory_that_cannot_be_pinned_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Refuses(HostDevice):
        def pin(self, memory: Any) -> None:
            raise RuntimeError("cudaErrorMemoryAllocation: out of memory")

    def reserve(block: SharedMemory, size: int) -> None:
        made.append(block.name)

    monkeypatch.setattr(module, "_reserve", reserve)
    with pytest.raises(MemoryError, match="cudaErrorMemoryAllocation"):
        Slots(Refuses(), size=1000, most=9000, note=print).take()
    assert len(made) == 1 and not exists(made[0])


def test_a_system_that_forbids_pinning_is_told_of_once() -> None:
    class Forbidden(HostDevice):
        asked = 0

        def pin(self, memory: Any) -> None:
            self.asked += 1
            raise RuntimeError("cudaErrorOperatingSystem: OS call failed\nmore")

        def unpin(self, memory: Any) -> None:
            raise AssertionError("it is not pinned")

    device, notes = Forbidden(), list[str]()
    slots = Slots(device, size=1000, most=9000, note=notes.append)
    first, second = slots.take(), slots.take()
    assert first and second and not first.pinned and not second.pinned
    assert device.asked == len(notes) == 1
    assert "cannot be pinned" in notes[0] and "OS call failed)" in notes[0]
    slots.close()


def test_closing_takes_blocks_from_whoever_holds_them(device: Pins) -> None:
    slots = Slots(device, size=1000, most=9000, note=print)
    held, free = slots.take(), slots.take()
    assert held and free
    names = [held.name, free.name]
    slots.give(free)
    slots.close()
    assert not any(map(exists, names)) and not device.pinned_now
