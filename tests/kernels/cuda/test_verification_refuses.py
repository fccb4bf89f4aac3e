"""The comparing and verifying kernels: nothing to do, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from kernels.cuda import correlate, extent, local_correlation, moved
from kernels.cuda.verification import Verification
from tests.kernels.cuda.host import HostDevice
from tests.kernels.local_matches import texture
from tests.kernels.test_nearest import SWAP, whole_numbers


class Silent(HostDevice):
    """A device that nothing may be given to."""

    def upload(self, *_: object, **__: object) -> None:
        raise AssertionError("there is nothing to do, and nothing would wait for this")


def test_no_work() -> None:
    verifier = Verification(Silent())
    image = texture((20, 20), seed=0)
    nothing = np.empty((0, 8))
    assert [each.shape for each in verifier.refine(image, nothing)] == [(0, 8), (0,), (0,)]
    assert verifier.extent(image, image, nothing).shape == (0, 5)
    assert verifier.local_correlation(image[:0], image[:0], 7).shape == (0, 20)
    assert (
        verifier.view_correlations(image, np.empty((0, 4), np.int64), np.empty((0, 2, 3)), 7) == []
    )
    empty = np.empty(0, np.int64)
    assert verifier.correlations(image, empty, empty, np.eye(2, 3), np.zeros((0, 2))).shape == (0,)


def test_what_there_is_no_room_for_is_refused() -> None:
    verifier = Verification(HostDevice())
    image = texture((40, 40), seed=0)
    match = np.array([[20.0, 20, 20, 20, 1, 0, 0, 1]])
    with pytest.raises(ValueError, match=r"0 to 10\. Got: 11"):
        verifier.refine(image, match, radius=11)
    with pytest.raises(ValueError, match=r"0 to 31\. Got: 32"):
        verifier.extent(image, image, match, radius=32)
    with pytest.raises(ValueError, match=r"1 to 15 pixels wide\. Got: 16"):
        verifier.local_correlation(image, image, 16)
    wide = np.zeros((3, 130), np.float32)
    with pytest.raises(ValueError, match=r"128 entries at most\. Got: 130"):
        verifier.most_similar(wide, np.arange(130)[::-1].copy(), np.zeros((3, 2)), apart=1.0, k=1)
    with pytest.raises(ValueError, match="leaves the image"):
        verifier.view_correlations(image, np.array([[0, 0, 41, 5]]), np.eye(2, 3)[None], 7)


def test_wrong_arrays_are_refused_as_on_the_cpu() -> None:
    verifier = Verification(HostDevice())
    image, affine, moves = texture((20, 20), seed=0), np.eye(2, 3), np.zeros((1, 2))
    rows = columns = np.arange(10)
    with pytest.raises(ValueError, match=r"matches are \(n, 8\)\. Got: \(1, 6\)"):
        verifier.refine(image, np.zeros((1, 6)))
    with pytest.raises(ValueError, match=r"one shape\. Got: \(20, 20\) and \(20, 10\)"):
        verifier.extent(image, image[:, :10], np.zeros((1, 8)))
    with pytest.raises(ValueError, match="at least a pixel wide"):
        verifier.local_correlation(image, image, 0)
    with pytest.raises(ValueError, match=r"Got: \(9,\) and \(10,\)"):
        verifier.correlations(image, rows[:9], columns, affine, moves)
    for wrong in (rows + 11, rows - 1):
        with pytest.raises(ValueError, match="pixels of an image"):
            verifier.correlations(image, wrong, columns, affine, moves)
    descriptors, points = whole_numbers(4, 3, 0)
    with pytest.raises(ValueError, match="mirroring twice"):
        verifier.most_similar(descriptors, np.roll(np.arange(6), 1), points, apart=1.0, k=1)
    with pytest.raises(ValueError, match=r"k is at least 1\. Got: 0"):
        verifier.most_similar(descriptors, SWAP, points, apart=1.0, k=0)
    with pytest.raises(TypeError, match="float32"):
        verifier.refine(image.astype(np.float64), np.zeros((1, 8)))
    narrow: Any = np.zeros((3, 8), np.float32)
    for method in (verifier.refine, partial(verifier.extent, image)):
        with pytest.raises(TypeError, match=r"matches are float64\. Got: float32"):
            method(image, narrow)


@pytest.mark.parametrize("short", range(6))
def test_buffers_that_are_too_small_to_refine(short: int) -> None:
    device = HostDevice()
    sizes = [4 * 20 * 30, 3 * 64, 4 * 3, 3 * 64, 3 * 4, 3 * 4]
    sizes[short] -= 1
    image, matches, starts, *made = map(device.allocate, sizes)
    with pytest.raises(ValueError, match=rf"takes {sizes[short] + 1} bytes\. Got"):
        correlate.refine(device, device.stream(), image, (20, 30), matches, 3, starts, 2, *made,
                         radius=3, steps=1, hopeless=0.2, promising=-1.0)  # fmt: skip


@pytest.mark.parametrize("short", range(4))
def test_buffers_that_are_too_small_for_extents(short: int) -> None:
    device = HostDevice()
    sizes = [4 * 20 * 30, 4 * 20 * 30, 3 * 64, 3 * 20]
    sizes[short] -= 1
    image, fine, matches, out = map(device.allocate, sizes)
    with pytest.raises(ValueError, match=rf"takes {sizes[short] + 1} bytes\. Got"):
        extent.extent(device, device.stream(), image, fine, (20, 30), matches, 3, out,
                           radius=3, window=7, threshold=0.5)  # fmt: skip


@pytest.mark.parametrize("short", range(4))
def test_buffers_that_are_too_small_for_regions(short: int) -> None:
    device = HostDevice()
    table = np.zeros(2, moved.REGION)
    sizes = [4 * 20 * 30, table.nbytes, 5 * 16, 2 * 5 * 8]
    sizes[short] -= 1
    image, regions, moves, out = map(device.allocate, sizes)
    with pytest.raises(ValueError, match=rf"takes {sizes[short] + 1} bytes\. Got"):
        moved.correlations(device, device.stream(), image, (20, 30), table, regions,
                           device.allocate(0), moves, 5, out)  # fmt: skip


@pytest.mark.parametrize("short", range(5))
def test_buffers_that_are_too_small_for_windows(short: int) -> None:
    device = HostDevice()
    table = local_correlation.table_of(np.array([[0, 0, 9, 8]]), np.zeros((1, 2, 3)))
    sizes = [4 * 20 * 30, table.nbytes, 4, 4 * 72, 4 * 72]
    sizes[short] -= 1
    image, windows, levels, seen, out = map(device.allocate, sizes)
    with pytest.raises(ValueError, match=rf"takes {sizes[short] + 1} bytes\. Got"):
        local_correlation.correlate_views(device, device.stream(), image, (20, 30), table,
                                               windows, 7, levels, seen, out)  # fmt: skip


def test_windows_that_int32_does_not_count() -> None:
    affine = np.zeros((1, 2, 3))
    with pytest.raises(ValueError, match="corner and sides are int32"):
        local_correlation.table_of(np.array([[0, 0, 2**32 + 5, 5]]), affine)
    table = local_correlation.table_of(np.array([[0, 0, 2**16, 2**15]]), affine)
    device = HostDevice()
    buffer = device.allocate(256)
    with pytest.raises(ValueError, match=r"2147483647 pixels at most\. Got: 2147483648"):
        local_correlation.correlate_arrays(device, device.stream(), buffer, buffer, table,
                                                buffer, 7, buffer, buffer)  # fmt: skip
