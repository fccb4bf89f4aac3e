"""Nothing that a stream still uses is given back: all that launches kernels, on a late device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forgecli.match.gpu import OnGpu
from forgecli.stream.lane import Lane
from kernels.cuda.batch import ImageTable, table_of
from kernels.cuda.device import pointer
from kernels.cuda.finish import Finisher
from kernels.cuda.verification import Verification
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.kernels.cuda.late import LateDevice
from tests.kernels.cuda.test_dense import copied
from tests.kernels.cuda.test_finish import check, maps, table_for
from tests.kernels.cuda.test_verification import copies
from tests.kernels.test_nearest import SWAP, whole_numbers
from tests.stream.host_lanes import LateLanes, blobs

pytestmark = needs_compiler

MOVES = np.array([[0.0, 0.0], [2.0, 1.0]])


def searched(compute: OnGpu) -> list[Any]:
    """What every step that a search calls finds."""
    image, matches = copies((90, 100), 20, 2)
    corners = matches[:7, :2].astype(np.int64)
    boxes = np.concatenate((corners // 2, corners // 2 + 20), axis=1)
    affines = np.concatenate((matches[:7, 4:].reshape(-1, 2, 2), matches[:7, 2:4, None]), axis=2)
    regions = [(np.arange(n, n + 40), np.arange(40)) for n in range(7)]
    descriptors, points = whole_numbers(100, 3, 0)
    found: list[Any] = []
    for held in ((), (image,)):
        with compute.holding(*held):
            found += compute.refine(image, matches)
            found.append(compute.extent(image, image, matches))
            for pair in compute.view_correlations(image, boxes, affines, 7):
                found += pair
            found.append(compute.region_correlations(image, regions, affines * 0.5, MOVES))
    for best in compute.most_similar(descriptors, SWAP, points, apart=1.0, k=3):
        found += best
    texture = copied()
    moments = compute.describe(texture, radius=8, stride=2, lift=0.5)
    usable = np.ones(moments.energy.shape, np.bool_)
    field = compute.find_field(moments, usable, apart=8, tables=2, worth=0.85)
    count = compute.agreeing(field, reach=4, tolerance=1.5, worth=0.85)
    points_of = np.flatnonzero(count.ravel() > 3)
    found += [moments.energy, field.score, count]
    small = compute.describe(texture[::2, ::2].copy(), radius=8, stride=2, lift=0.5)
    allowed = np.ones(small.energy.shape, np.bool_)
    scaled = compute.find_scaled_field(
        small, allowed, moments, usable, ratio=2.0, apart=4, tables=2, reach=4, worth=0.5
    )
    found += [scaled.score, compute.agreeing(scaled, reach=4, tolerance=1.5, worth=0.5)]
    found += compute.local_maps(field, points_of, reach=4, tolerance=1.5, worth=0.85)
    return found


def test_every_step_of_the_search() -> None:
    late, plain = searched(OnGpu(LateDevice())), searched(OnGpu(HostDevice()))
    for one, other in zip(late, plain, strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_finishers_by_turns() -> None:
    device = LateDevice()
    table = table_for([(90, 70), (40, 95)], [(9, 9), (9, 9)], 0.0, 3)
    lanes = [
        (Finisher(device, images=2, pixels=20_000, most_runs=3_000), device.stream())
        for _ in range(2)
    ]
    for turn in range(2):
        under_way = []
        for lane, (finisher, stream) in enumerate(lanes):
            logits = maps(2 * turn + lane, (2, 1, 9, 9))
            buffer = device.allocate(logits.nbytes)
            device.upload(logits, buffer, stream)
            under_way.append(
                (finisher.enqueue(stream, buffer, (2, 1, 9, 9), table), logits, buffer)
            )
        for ticket, logits, _ in under_way:
            while not ticket.ready():
                pass
            check(ticket.results(), logits, table)


def test_a_lane_from_pixels_to_components() -> None:
    results = []
    for device in (LateDevice(), LateDevice(polls=1)):
        engine = LateLanes(blobs, device, lanes=1)  # type: ignore[arg-type]
        lane = Lane(device, engine, 0, images=2, pixels=8000, largest=64 * 64)
        for seed in range(3):  # the second in memory that the first has used, the third in more
            side = (50, 50, 120)[seed]
            random = np.random.default_rng(seed)
            pictures = [random.integers(0, 256, (side, 60, 3), np.uint8) for _ in range(2)]
            table = table_of([(side, 60)] * 2, [(min(side, 64), 60)] * 2)
            table["min_area"] = 2
            lane.send(pictures, (64, 64), table)
            while not lane.uploaded():
                pass
            for picture in pictures:
                picture[:] = 0  # others are decoded there
            while (left := lane.results()) is None:
                pass
            results.append([one.finished for one in left])
    for one, other in zip(results[:3], results[3:], strict=True):
        assert [each.score for each in one] == [each.score for each in other]
        for mine, theirs in zip(one, other, strict=True):
            assert mine.components is not None and theirs.components is not None
            np.testing.assert_array_equal(mine.components.runs, theirs.components.runs)


# --- the device itself is not fooled


def launched(device: LateDevice, stream: Any, table: Any, *buffers: Any) -> None:
    sides = np.int32(8), np.int32(8)
    arguments = (pointer(buffers[0]), pointer(buffers[1]), *sides, pointer(buffers[2]))
    device.launch("prepare", "prepare", (1, len(table)), 64, arguments, stream)


def test_memory_that_is_forgotten_too_early_is_noticed() -> None:
    device = LateDevice()
    stream, table = device.stream(), np.zeros(1, ImageTable)
    buffers = [device.allocate(size) for size in (48, 192, 4 * 3 * 64)]
    launched(device, stream, table, *buffers)
    del buffers[1]
    with pytest.raises(AssertionError, match=r"prepare\.cu: prepare: memory was forgotten"):
        device.synchronize()


def test_arrays_of_the_host_that_are_forgotten_too_early_are_noticed() -> None:
    device = LateDevice()
    stream, buffer = device.stream(), device.allocate(80)
    device.upload(np.arange(10.0), buffer, stream)
    with pytest.raises(AssertionError, match="array of the host was forgotten"):
        device.event(stream).wait()
    kept = np.arange(20.0)
    device.upload(kept[:10], buffer, stream)  # a view may go, what it looks at stays
    device.event(stream).wait()
    assert kept[0] == 0


def test_addresses_of_nothing_are_noticed() -> None:
    device = LateDevice()
    stream, table = device.stream(), np.zeros(1, ImageTable)
    buffers = [device.allocate(size) for size in (48, 192, 4 * 3 * 64)]
    lost = pointer(buffers[1])
    del buffers[1]
    with pytest.raises(AssertionError, match="given memory that was forgotten"):
        device.launch("prepare", "prepare", (1, 1), 64,
                      (pointer(buffers[0]), lost, np.int32(8), np.int32(8), pointer(buffers[1])),
                      stream)  # fmt: skip
    assert len(table) == 1
    with pytest.raises(AssertionError, match="nowhere on the device"):
        device.launch("prepare", "prepare", (1, 1), 64,
                      (pointer(buffers[0]), np.uintp(64), np.int32(8), np.int32(8),
                       pointer(buffers[1])), stream)  # fmt: skip


def test_a_step_that_fails_leaves_nothing_to_be_used() -> None:
    device = LateDevice()
    verification = Verification(device)
    image, matches = copies((60, 60), 5, 1)
    verification.hold(image)
    with pytest.raises(ValueError, match="radius"):
        verification.refine(image, matches, radius=99)
    verification.release()  # waits for what was begun
    device.synchronize()
