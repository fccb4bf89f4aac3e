"""The whole dense field on a device against the CPU's, and what of the device it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels import coherence, patchmatch, zernike
from kernels.cuda.dense import DenseOnDevice, most_bytes
from kernels.cuda.device import Device
from tests.kernels.cuda.host import HostBuffer, HostDevice, needs_compiler
from tests.kernels.fields import texture


def copied(shape: tuple[int, int] = (170, 210)) -> NDArray[np.float32]:
    image = texture(shape, seed=4)
    image[100:141, 120:161] = np.rot90(image[20:61, 30:71])
    return image


@pytest.mark.parametrize("stride", [1, 2])
def test_a_copy_is_found_where_the_cpu_finds_it(device: Device, stride: int) -> None:
    image, dense = copied(), DenseOnDevice(device, device.stream())
    here = zernike.describe(image, radius=8, stride=stride, lift=0.5)
    there = dense.describe(image, radius=8, stride=stride, lift=0.5)
    usable = here.energy > np.quantile(here.energy, 0.1)
    how = {"apart": 16 // stride, "tables": 3, "reach": 10, "worth": 0.85, "seed": 2}
    expected = patchmatch.find_field(here, usable, **how)  # type: ignore[arg-type]
    found = dense.find_field(there, usable, **how)  # type: ignore[arg-type]
    field = dense.field_of(found)
    np.testing.assert_array_equal(field.score, found.score)
    # A disc on the border of two cells meets others, and hands on what they say.
    for name in ("target", "turn", "mirrored", "score"):
        assert (getattr(field, name) == getattr(expected, name)).mean() > 0.999
    counts = dense.agreeing(found, worth=0.85)
    assert (counts == coherence.agreeing(expected, worth=0.85)).mean() > 0.999
    assert counts.max() > 60
    points = np.flatnonzero((counts.ravel() > 40) & (field.target == expected.target).ravel())
    ours, theirs = dense.local_maps(found, points), coherence.local_maps(expected, points)
    assert (np.abs(ours[0] - theirs[0]).max(axis=1) < 1e-9).mean() > 0.99
    assert np.median(ours[1]) < 0.5


def test_one_image_after_the_other(device: Device) -> None:
    dense = DenseOnDevice(device, device.stream())
    images = [copied(), texture((60, 70), 1), copied((150, 260))]
    found = []
    for image in (*images, *images):
        moments = dense.describe(image, radius=6, stride=2)
        field = dense.find_field(moments, np.ones(moments.energy.shape, bool), apart=8)
        found.append((moments, dense.field_of(field), dense.agreeing(field)))
    for (_, field, count), (_, again, counted) in zip(found[:3], found[3:], strict=True):
        for one, same in zip(field.parts(), again.parts(), strict=True):
            np.testing.assert_array_equal(one, same)
        np.testing.assert_array_equal(count, counted)
    kept = dense.moments_of(found[0][0])  # others came after it
    np.testing.assert_array_equal(kept.codes, zernike.describe(images[0], radius=6, stride=2).codes)


def test_nothing_to_compare_is_no_match(device: Device) -> None:
    dense = DenseOnDevice(device, device.stream())
    moments = dense.describe(texture((40, 40), 1), radius=4)
    alone = np.zeros(moments.energy.shape, bool)
    for _ in range(2):
        field = dense.field_of(dense.find_field(moments, alone, apart=4))
        assert (field.target == -1).all()
        assert not (field.score.any() or field.turn.any() or field.mirrored.any())
        alone[3, 4] = True
    far = dense.find_field(moments, np.ones(alone.shape, bool), apart=1000)
    assert (dense.field_of(far).target == -1).all()
    empty = dense.describe(texture((5, 5), 1), radius=4)
    assert dense.find_field(empty, np.ones((0, 0), bool), apart=4).shape == (0, 0)


def test_a_mask_that_does_not_fit_is_refused(device: Device) -> None:
    dense = DenseOnDevice(device, device.stream())
    moments = dense.describe(texture((40, 40), 1), radius=4)
    usable = np.ones(moments.energy.shape, bool)
    with pytest.raises(ValueError, match=r"Got: bool \(3, 3\)"):
        dense.find_field(moments, np.ones((3, 3), bool), apart=4)
    with pytest.raises(ValueError, match="Got: uint8"):
        dense.find_field(moments, usable.view(np.uint8), apart=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Got: 0"):
        dense.find_field(moments, usable, apart=0)


class Counting(HostDevice):
    """A device of so many bytes that knows what it gave, and how often it was waited for."""

    def __init__(self, room: int = 2**40) -> None:
        super().__init__()
        self.room, self.given, self.waits = room, 0, 0

    def allocate(self, size: int) -> HostBuffer:
        if self.given + size > self.room:
            raise MemoryError(f"the GPU has no {size} bytes left")
        self.given += size
        return super().allocate(size)

    def event(self, stream: Any) -> Any:
        self.waits += 1
        return super().event(stream)

    def synchronize(self) -> None:
        raise AssertionError("all streams are made to wait")


def whole(device: HostDevice, image: NDArray[np.float32], stride: int) -> None:
    dense = DenseOnDevice(device, device.stream())
    moments = dense.describe(image, radius=8, stride=stride)
    field = dense.find_field(moments, np.ones(moments.energy.shape, bool), apart=8, tables=3)
    dense.agreeing(field)


@needs_compiler
@pytest.mark.parametrize(("stride", "each"), [(1, 150), (2, 42)])
def test_memory_is_bounded_by_the_pixels(stride: int, each: int) -> None:
    image, device = copied((180, 230)), Counting()
    whole(device, image, stride)
    most = most_bytes((180, 230), radius=8, stride=stride, tables=3)
    tables = 16 * 1024  # angles, weights, projections
    counts = 4 * image.size  # of `agreeing`, when the rest is gone
    assert device.given <= most + tables + counts
    assert most <= each * image.size + tables
    assert device.waits == 4  # to begin with, and once a method


@needs_compiler
@pytest.mark.parametrize(("room", "waits"), [(1_000_000, 1), (2_600_000, 3)])
def test_a_device_that_is_full_says_so(room: int, waits: int) -> None:
    device = Counting(room)
    with pytest.raises(MemoryError, match="the GPU has no"):
        whole(device, copied((180, 230)), 1)
    assert device.waits == waits  # what was begun is done before its memory is given back
