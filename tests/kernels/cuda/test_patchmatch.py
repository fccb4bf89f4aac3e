"""The field on a device: what `kernels.patchmatch` makes of the same orders, to the last bit."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.cuda import field as on_device
from kernels.cuda import morton, patchmatch
from kernels.cuda.device import Buffer, Device, Stream
from kernels.field import Field, no_matches
from kernels.patchmatch import find_field
from kernels.propagation import meet
from kernels.zernike import LANES, Moments, describe, invariants
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.kernels.fields import texture
from tests.kernels.test_patchmatch import drawn_moments

few = settings(max_examples=40, deadline=None)

sizes = st.integers(1, 24)
levels = st.sampled_from([1, 5, 40, 1000])
seeds = st.integers(0, 2**32 - 1)


class Sought:
    """A grid on a device, and room for its fields."""

    def __init__(self, device: Device, moments: Moments, usable: NDArray[np.bool_]) -> None:
        self.device, self.stream = device, device.stream()
        self.moments = moments
        self.under_way: list[NDArray[Any]] = []  # what is being copied must stay
        self.points = np.flatnonzero(usable).astype(np.int32)
        self.shape = (usable.shape[0], usable.shape[1])
        parts = [self.put(part) for part in (moments.codes, moments.energy, usable, self.points)]
        self.grid = patchmatch.Grid(*parts, self.points.size, self.shape)
        self.angles = self.put(on_device.angle_tables())
        self.fields = [device.allocate(on_device.FIELD_BYTES * usable.size) for _ in range(2)]

    def put(self, host: NDArray[Any]) -> Buffer:
        buffer = self.device.allocate(host.nbytes)
        self.device.upload(host, buffer, self.stream)
        self.under_way.append(host)
        return buffer

    def taken(self, buffer: Buffer) -> Field:
        found = on_device.download(self.device, self.stream, buffer, self.shape)
        self.device.event(self.stream).wait()
        return found

    def seeded(self, apart: int, tables: int, reach: int, seed: int) -> tuple[Field, Any]:
        """The field, and the orders it comes from, uint32 (tables, n)."""
        work = self.device.allocate(patchmatch.work_size(self.points.size, tables))
        curves = self.put(morton.curves(tables, seed))
        patchmatch.seed(self.device, self.stream, self.grid, self.fields[0], self.angles, curves,
                        work, apart=apart, tables=tables, reach=reach)  # fmt: skip
        orders = np.empty((tables, self.points.size), np.uint32)
        self.device.download(work, orders, self.stream)
        return self.taken(self.fields[0]), orders

    def improved(self, start: Field, apart: int, rounds: int, worth: float) -> Field:
        on_device.upload(self.device, self.stream, start, self.fields[0])
        found = patchmatch.improve(self.device, self.stream, self.grid, *self.fields, self.angles,
                                   apart=apart, rounds=rounds, worth=worth)  # fmt: skip
        return self.taken(found)


def met(moments: Moments, points: NDArray[np.int32], orders: Any, apart: int, reach: int) -> Field:
    """What the CPU finds of discs in these orders."""
    field, width = no_matches(moments.energy.shape), moments.energy.shape[1]
    traits = invariants(moments, points.astype(np.int64))
    for order in orders:
        place = points[order]
        places = np.stack((place % width, place // width, place), axis=1).astype(np.int32)
        whole = (part.ravel() for part in field.parts())
        meet(moments.codes.reshape(-1, 2 * LANES), traits[order], places, 0, reach, apart, *whole)
    return field


def check_equal(found: Field, expected: Field) -> None:
    for name in ("target", "turn", "mirrored", "score"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@few
@given(sizes, sizes, levels, st.integers(1, 5), st.integers(0, 12), st.floats(0, 1), seeds)
def test_discs_meet_as_on_the_cpu(
    device: Device,
    height: int,
    width: int,
    kinds: int,
    apart: int,
    reach: int,
    share: float,
    seed: int,
) -> None:
    moments = drawn_moments(height, width, seed, kinds)
    usable = np.random.default_rng(seed).random((height, width)) < share
    sought = Sought(device, moments, usable)
    found, orders = sought.seeded(apart, 3, reach, seed)
    if sought.points.size < 2:
        check_equal(found, no_matches((height, width)))
        return
    check_equal(found, met(moments, sought.points, orders, apart, reach))


@few
@given(
    sizes, sizes, levels, st.integers(1, 5), st.sampled_from([0.0, 0.3, 0.8]), st.floats(0, 1),
    st.integers(0, 3), seeds,
)  # fmt: skip
def test_a_field_improves_as_on_the_cpu(
    device: Device,
    height: int,
    width: int,
    kinds: int,
    apart: int,
    worth: float,
    share: float,
    rounds: int,
    seed: int,
) -> None:
    moments = drawn_moments(height, width, seed, kinds)
    usable = np.random.default_rng(seed).random((height, width)) < share
    start = find_field(moments, usable, apart=apart, tables=1, reach=2, rounds=0, seed=seed)
    expected = find_field(
        moments, usable, apart=apart, tables=1, reach=2, rounds=rounds, worth=worth, seed=seed
    )
    check_equal(Sought(device, moments, usable).improved(start, apart, rounds, worth), expected)


def test_of_equal_maps_the_first_is_taken(device: Device) -> None:
    moments = drawn_moments(9, 12, 3, 30)
    moments.codes[..., LANES:] = 0  # symmetric discs: mirrored or not, turned either way
    found, orders = Sought(device, moments, np.ones((9, 12), bool)).seeded(2, 3, 6, 0)
    points = np.arange(108, dtype=np.int32)
    check_equal(found, met(moments, points, orders, 2, 6))
    assert not found.mirrored.any()
    assert found.turn.any()


def copied() -> tuple[Moments, NDArray[np.bool_]]:
    """A texture with a part that is there again, turned and mirrored."""
    image = texture((150, 190), seed=11)
    image[90:131, 120:161] = np.rot90(image[20:61, 30:71][::-1])
    moments = describe(image, radius=8, lift=0.5)
    return moments, np.random.default_rng(0).random(moments.energy.shape) < 0.95


def test_a_texture_improves_as_on_the_cpu(device: Device) -> None:
    moments, usable = copied()
    start = find_field(moments, usable, apart=12, tables=2, rounds=0)
    found = Sought(device, moments, usable).improved(start, 12, 2, 0.8)
    check_equal(found, find_field(moments, usable, apart=12, tables=2, rounds=2))
    assert (found.score > start.score).mean() > 0.2


@needs_compiler
def test_the_order_of_blocks_changes_nothing() -> None:
    moments, usable = copied()
    plain = Sought(HostDevice(), moments, usable)
    first, _ = plain.seeded(12, 2, 10, 0)
    second = plain.improved(first, 12, 1, 0.8)
    mixed = Sought(HostDevice(Random(3)), moments, usable)
    check_equal(mixed.seeded(12, 2, 10, 0)[0], first)
    check_equal(mixed.improved(first, 12, 1, 0.8), second)


def test_what_is_refused() -> None:
    device = HostDevice()
    stream: Stream = device.stream()
    moments = drawn_moments(4, 5, 0)
    sought = Sought(device, moments, np.ones((4, 5), bool))
    small = device.allocate(10)
    given: Any = (sought.grid, sought.fields[0])

    def seed(*more: Any, apart: int = 1) -> None:
        patchmatch.seed(device, stream, *more, apart=apart, tables=1, reach=1)

    curves = sought.put(morton.curves(1, 0))
    with pytest.raises(ValueError, match="Got: 0"):
        seed(*given, sought.angles, curves, small, apart=0)
    with pytest.raises(ValueError, match=r"work takes \d+ bytes\. Got: 10"):
        seed(*given, sought.angles, curves, small)
    with pytest.raises(ValueError, match=r"a field takes 200 bytes\. Got: 10"):
        seed(sought.grid, small, sought.angles, curves, small)
    with pytest.raises(ValueError, match="spare field takes 200"):
        patchmatch.improve(
            device, stream, *given, small, sought.angles, apart=1, rounds=1, worth=0.8
        )
