"""Moments of discs on a device against `kernels.zernike`, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import zernike as cpu
from kernels.cuda import zernike
from kernels.cuda.dense import DenseOnDevice
from kernels.cuda.device import Device, pointer
from kernels.zernike import LANES, Moments
from tests.kernels.cuda.host import HostDevice

few = settings(max_examples=40, deadline=None)


def drawn(shape: tuple[int, int], seed: int, levels: int) -> NDArray[np.float32]:
    """Whole grey levels or fractions, with a flat part."""
    random = np.random.default_rng(seed)
    image = random.normal(128, 40, shape) if levels == 0 else random.integers(0, levels, shape)
    image = image.astype(np.float32)
    image[: shape[0] // 2, : shape[1] // 3] = 77.0
    return image


def traits_of(device: Device, moments: Moments, points: NDArray[np.int32]) -> NDArray[np.uint8]:
    stream = device.stream()
    codes, energy = device.allocate(moments.codes.nbytes), device.allocate(moments.energy.nbytes)
    where, made = device.allocate(points.nbytes), device.allocate(LANES * points.size)
    device.upload(moments.codes, codes, stream)
    device.upload(moments.energy, energy, stream)
    device.upload(points, where, stream)
    zernike.invariants(device, stream, codes, energy, where, points.size, pointer(made))
    traits = np.empty((points.size, LANES), np.uint8)
    device.download(made, traits, stream)
    device.event(stream).wait()
    return traits


@few
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([1, 2, 3, 5, 8, 10]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0, 2, 256]),
    st.integers(0, 2**32 - 1),
)
def test_codes_energies_and_invariants_are_the_cpus(
    device: Device,
    height: int,
    width: int,
    radius: int,
    stride: int,
    lift: float,
    levels: int,
    seed: int,
) -> None:
    image = drawn((height, width), seed, levels)
    dense = DenseOnDevice(device, device.stream())
    expected = cpu.describe(image, radius=radius, stride=stride, lift=lift)
    found = dense.moments_of(dense.describe(image, radius=radius, stride=stride, lift=lift))
    np.testing.assert_array_equal(found.energy, expected.energy)
    np.testing.assert_array_equal(found.codes, expected.codes)
    assert (found.radius, found.stride) == (radius, stride)
    assert found.energy.dtype == np.float32
    if not expected.energy.size:
        return
    points = np.random.default_rng(seed).integers(0, expected.energy.size, 50)
    theirs = cpu.invariants(expected, points)
    ours = traits_of(device, expected, points.astype(np.int32))
    np.testing.assert_array_equal(ours[:, :-1], theirs[:, :-1])
    assert np.abs(ours[:, -1].astype(int) - theirs[:, -1]).max() <= 1
    assert (ours[:, -1] == theirs[:, -1]).mean() > 0.9


def test_a_view_of_an_image_is_read_as_it_is_seen(device: Device) -> None:
    image = drawn((90, 80), 1, 256).T
    dense = DenseOnDevice(device, device.stream())
    found = dense.describe(image, radius=4, stride=2)
    expected = cpu.describe(np.ascontiguousarray(image), radius=4, stride=2)
    np.testing.assert_array_equal(found.energy, expected.energy)


def test_what_is_refused() -> None:
    device = HostDevice()
    stream = device.stream()
    dense = DenseOnDevice(device, stream)
    image = np.zeros((20, 20), np.float32)
    with pytest.raises(ValueError, match="Got: float64"):
        dense.describe(image.astype(np.float64), radius=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Got: 0 and 1"):
        dense.describe(image, radius=0)
    full, small = device.allocate(20 * 20 * 64), device.allocate(100)
    with pytest.raises(ValueError, match=r"codes takes 8192 bytes\. Got: 100"):
        zernike.describe(device, stream, full, (20, 20), full, small, full, radius=2, stride=1)
    with pytest.raises(ValueError, match="Got: 2 and 0"):
        zernike.describe(device, stream, full, (20, 20), full, full, full, radius=2, stride=0)
