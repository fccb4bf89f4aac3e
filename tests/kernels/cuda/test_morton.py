"""Morton orders on a device: against a plain sort, and against `kernels.morton`."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.cuda import morton
from kernels.cuda.device import Device, pointer
from kernels.morton import curve_orders
from kernels.zernike import LANES
from tests.kernels.cuda.host import HostDevice, needs_compiler

Traits = NDArray[np.uint8]
Numbers = NDArray[np.uint32]
SIZES = (1, 2, 255, 2047, 2048, 2049, 7000)


def drawn(count: int, seed: int, kinds: int = 10**6) -> Traits:
    """Traits of unequal spread, some kinds of them again and again."""
    random = np.random.default_rng(seed)
    different = random.normal(120, random.uniform(1, 40, LANES), (min(count, kinds), LANES))
    return np.clip(different, 0, 255).astype(np.uint8)[random.integers(0, len(different), count)]


def sorted_by(device: Device, traits: Traits, orders: int, seed: int) -> tuple[Numbers, Numbers]:
    """Numbers and keys, uint32 (orders, n)."""
    stream, count = device.stream(), len(traits)
    curves = morton.curves(orders, seed)
    there, given = device.allocate(max(traits.nbytes, 1)), device.allocate(curves.nbytes)
    work = device.allocate(morton.work_size(count, orders))
    device.upload(traits, there, stream)
    device.upload(curves, given, stream)
    morton.curve_orders(device, stream, pointer(there), count, given, orders, work)
    numbers, keys = (np.empty((orders, count), np.uint32) for _ in range(2))
    device.download(work, numbers, stream)
    device.download(work, keys, stream, at=-(-numbers.nbytes // 256) * 256)
    device.event(stream).wait()
    return numbers, keys


def plain_keys(traits: Traits, curve: NDArray[np.float32]) -> NDArray[np.int64]:
    """Keys in double precision, and -1 where a cell's border is too near to tell."""
    projection, start = curve[:LANES].astype(float), curve[LANES].astype(float)
    along = (traits - traits.mean(axis=0)) @ projection
    place = along * (32 / 5.0 / np.maximum(along.std(axis=0), 1e-3)) + 16 + start
    cells = np.clip(place, 0, 31).astype(np.int64)
    keys = np.zeros(len(traits), np.int64)
    for bit in range(4, -1, -1):
        for cell in cells.T:
            keys = keys << 1 | (cell >> bit & 1)
    unclear = (np.abs(place - np.rint(place)) < 1e-3).any(axis=1)
    return np.where(unclear, -1, keys)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("kinds", [3, 10**6])
def test_orders_are_a_stable_sort_by_keys(device: Device, count: int, kinds: int) -> None:
    traits = drawn(count, count, kinds)
    numbers, keys = sorted_by(device, traits, 3, seed=5)
    for own, key, curve in zip(numbers, keys, morton.curves(3, 5), strict=True):
        np.testing.assert_array_equal(np.sort(own), np.arange(count))
        unsorted = np.empty(count, np.uint32)
        unsorted[own] = key
        np.testing.assert_array_equal(own, np.argsort(unsorted, kind="stable"))
        expected = plain_keys(traits, curve)
        clear = expected >= 0
        np.testing.assert_array_equal(unsorted[clear], expected[clear])
        assert clear.mean() > 0.9 or kinds == 3 or count < 10


def test_orders_are_the_cpus_but_for_borders_of_cells(device: Device) -> None:
    traits = drawn(20_000, 1)
    numbers, _ = sorted_by(device, traits, 3, seed=0)
    for own, theirs in zip(numbers, curve_orders(traits, 3, np.random.default_rng(0)), strict=True):
        # One disc in another cell moves those between by a place; neighbours stay neighbours.
        beside, after = np.empty(len(traits), np.int64), np.empty(len(traits), np.int64)
        beside[own[:-1]], after[theirs[:-1]] = own[1:], theirs[1:]
        beside[own[-1]] = after[theirs[-1]] = -1
        assert (beside == after).mean() > 0.999


def test_equal_discs_keep_their_order(device: Device) -> None:
    numbers, keys = sorted_by(device, np.full((5000, LANES), 9, np.uint8), 2, seed=3)
    np.testing.assert_array_equal(numbers, np.arange(5000)[None].repeat(2, axis=0))
    assert (keys == keys[:, :1]).all()


@needs_compiler
def test_the_order_of_blocks_changes_nothing() -> None:
    traits = drawn(9000, 2, 50)
    plain = sorted_by(HostDevice(), traits, 2, seed=1)
    for shuffle in range(3):
        mixed = sorted_by(HostDevice(Random(shuffle)), traits, 2, seed=1)
        for one, other in zip(plain, mixed, strict=True):
            np.testing.assert_array_equal(one, other)


def test_projections_are_drawn_as_on_the_cpu() -> None:
    random = np.random.default_rng(4)
    for curve in morton.curves(3, 4):
        np.testing.assert_array_equal(
            curve[:LANES], random.normal(size=(LANES, 6)).astype(np.float32)
        )
        np.testing.assert_array_equal(curve[LANES], random.uniform(-0.5, 0.5, 6).astype(np.float32))


def test_too_little_room_is_refused() -> None:
    device = HostDevice()
    small, curves = device.allocate(100), device.allocate(morton.CURVE_BYTES)
    with pytest.raises(ValueError, match=r"work takes \d+ bytes\. Got: 100"):
        morton.curve_orders(device, device.stream(), pointer(small), 50, curves, 1, small)
    work = device.allocate(morton.work_size(50, 2))
    with pytest.raises(ValueError, match=r"curves takes 816 bytes\. Got: 408"):
        morton.curve_orders(device, device.stream(), pointer(small), 50, curves, 2, work)
