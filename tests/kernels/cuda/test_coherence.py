"""Where a field agrees with itself, on a device: `kernels.coherence`, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import coherence as cpu
from kernels.cuda import coherence
from kernels.cuda import field as on_device
from kernels.cuda.dense import DenseOnDevice, DeviceField
from kernels.cuda.device import Device
from kernels.field import Field, no_matches
from tests.kernels.cuda.host import HostDevice
from tests.kernels.test_coherence import drawn_field

few = settings(max_examples=50, deadline=None)


def put(device: Device, field: Field) -> tuple[DenseOnDevice, DeviceField]:
    stream = device.stream()
    memory = device.allocate(on_device.FIELD_BYTES * field.score.size)
    on_device.upload(device, stream, field, memory)
    device.event(stream).wait()
    return DenseOnDevice(device, stream), DeviceField(memory, field.score)


@few
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 5),
    st.sampled_from([0.6, 1.5, 3.05]),
    st.sampled_from([0.0, 0.1, 0.5, 0.99]),
    st.sampled_from([1.0, 10.0]),
    st.integers(0, 2**32 - 1),
)
def test_counts_and_maps_are_the_cpus(
    device: Device,
    height: int,
    width: int,
    reach: int,
    tolerance: float,
    worth: float,
    pull: float,
    seed: int,
) -> None:
    field = drawn_field(height, width, seed)
    dense, there = put(device, field)
    how = {"reach": reach, "tolerance": tolerance, "worth": worth}
    counts = dense.agreeing(there, **how)  # type: ignore[arg-type]
    expected = cpu.agreeing(field, **how)  # type: ignore[arg-type]
    assert counts.dtype == expected.dtype
    np.testing.assert_array_equal(counts, expected)
    points = np.flatnonzero(field.target.ravel() >= 0)
    points = np.random.default_rng(seed).permutation(points)
    for ours, theirs in zip(
        dense.local_maps(there, points, pull=pull, **how),  # type: ignore[arg-type]
        cpu.local_maps(field, points, pull=pull, **how),  # type: ignore[arg-type]
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_no_points_and_no_field(device: Device) -> None:
    dense, there = put(device, no_matches((6, 7)))
    assert not dense.agreeing(there).any()
    maps, error = dense.local_maps(there, np.zeros(0, np.int64))
    assert maps.shape == (0, 8)
    assert error.shape == (0,)
    dense, there = put(device, no_matches((0, 0)))
    assert dense.agreeing(there).shape == (0, 0)


@pytest.mark.parametrize("point", [-1, 42])
def test_a_point_beside_the_grid_is_refused(point: int) -> None:
    dense, there = put(HostDevice(), no_matches((6, 7)))
    with pytest.raises(ValueError, match="not on the grid"):
        dense.local_maps(there, np.array([0, point]))


def test_too_little_room_is_refused() -> None:
    device = HostDevice()
    _, there = put(device, no_matches((6, 7)))
    small = device.allocate(10)
    with pytest.raises(ValueError, match=r"count takes 168 bytes\. Got: 10"):
        coherence.agreeing(device, device.stream(), there.memory, (6, 7), small, small,
                           reach=1, tolerance=1.0, worth=0.8)  # fmt: skip
