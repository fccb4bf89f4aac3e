"""Components on a device against those of the CPU, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.components import Components, components
from kernels.cuda.components import ComponentFinder, split
from kernels.cuda.device import Device
from kernels.grouped import group
from tests.kernels.cuda import masks
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.kernels.cuda.masks import Mask

Connectivity = Literal[4, 8]
CONNECTIVITIES: tuple[Connectivity, ...] = (4, 8)
ROOM = 12_000  # pieces

few = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def pieces_in(
    device: Device,
    batch: Sequence[Mask],
    connectivity: Connectivity = 4,
    min_area: int = 0,
    most: int = ROOM,
) -> tuple[NDArray[np.uint32], list[NDArray[np.int32]]]:
    """What the device finds: numbers of pieces, and the pieces of every picture."""
    table, words = masks.packed(batch, min_area)
    finder = ComponentFinder(
        device, images=len(batch), words=words.size, most=most, connectivity=connectivity
    )
    stream = device.stream()
    on_device, rows = device.allocate(words.nbytes), device.allocate(table.nbytes)
    device.upload(words, on_device, stream)
    device.upload(table, rows, stream)
    finder.enqueue(stream, on_device, table, rows)
    found = np.empty((len(batch), 2), np.uint32)
    copied = np.empty((most * len(batch), 3), np.int32)
    device.download(finder.found, found, stream)
    device.download(finder.copied, copied, stream)
    device.event(stream).wait()
    return found, split(found, copied)


def check_equal(found: Components, expected: Components) -> None:
    for name in ("areas", "boxes", "runs", "offsets"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


def check(
    device: Device, batch: Sequence[Mask], connectivity: Connectivity, min_area: int = 0
) -> None:
    found, pieces = pieces_in(device, batch, connectivity, min_area)
    for mask, own, (total, _) in zip(batch, pieces, found, strict=True):
        expected = components(mask, connectivity, min_area)
        assert total <= ROOM, "the test's masks have few pieces"
        check_equal(group(own, mask.shape[0], int(total)), expected)


@few
@given(
    batch=st.lists(masks.some(), min_size=1, max_size=4),
    connectivity=st.sampled_from(CONNECTIVITIES),
    min_area=st.sampled_from([0, 1, 2, 5, 40, 10_000]),
)
def test_equal_to_those_of_the_cpu(
    device: Device, batch: list[Mask], connectivity: Connectivity, min_area: int
) -> None:
    check(device, batch, connectivity, min_area)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("side", [1, 31, 32, 33, 64, 95])
def test_shapes_that_are_hard(device: Device, side: int, connectivity: Connectivity) -> None:
    check(device, list(masks.drawn(side).values()), connectivity)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_more_words_than_a_block_takes(device: Device, connectivity: Connectivity) -> None:
    random = np.random.default_rng(5)
    blocks = np.kron(random.random((70, 50)) < 0.5, np.ones((10, 11), np.bool_))  # 12,100 words
    wide = np.kron(random.random((1, 900)) < 0.5, np.ones((3, 7), np.bool_))  # 6,300
    check(device, [wide, blocks, np.ones((2100, 40), np.bool_), blocks.T.copy()], connectivity)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("min_area", [0, 3])
def test_more_pieces_than_a_block_takes(
    device: Device, connectivity: Connectivity, min_area: int
) -> None:
    mask = np.random.default_rng(6).random((300, 260)) < 0.45
    batch = [mask, mask[:50], mask.T.copy()]
    found, pieces = pieces_in(device, batch, connectivity, min_area, most=30_000)
    assert found[0, 0] > 15_000  # several of 2,048 and of 128 x 256
    for picture, own, (total, _) in zip(batch, pieces, found, strict=True):
        expected = components(picture, connectivity, min_area)
        check_equal(group(own, len(picture), int(total)), expected)


def test_more_pieces_than_there_is_room_for(device: Device) -> None:
    noisy = np.indices((40, 50)).sum(axis=0) % 2 == 0  # 1,000 pieces
    few_pieces = np.ones((40, 50), np.bool_)
    for most, done in ((999, False), (1000, True)):
        found, pieces = pieces_in(device, [few_pieces, noisy, few_pieces], most=most)
        assert found[:, 0].tolist() == [50, 1000, 50]
        assert found[1, 1] == (1000 if done else 0)
        assert len(pieces[1]) == found[1, 1]
        for own in (pieces[0], pieces[2]):
            check_equal(group(own, 40, 50), components(few_pieces, 4))


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(
    batch=st.lists(masks.some(), min_size=1, max_size=3),
    connectivity=st.sampled_from(CONNECTIVITIES),
    seed=st.integers(0, 2**32 - 1),
)
def test_blocks_in_any_order(batch: list[Mask], connectivity: Connectivity, seed: int) -> None:
    check(HostDevice(shuffle=Random(seed)), batch, connectivity)


@needs_compiler
@pytest.mark.parametrize("seed", range(4))
def test_many_blocks_in_any_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((130, 200)) < 0.4 + 0.1 * (seed % 2)
    device = HostDevice(shuffle=Random(seed))
    for connectivity in CONNECTIVITIES:
        found, pieces = pieces_in(device, [mask, mask[::-1].copy()], connectivity, most=9_000)
        for picture, own, (total, _) in zip((mask, mask[::-1]), pieces, found, strict=True):
            check_equal(group(own, 130, int(total)), components(picture, connectivity))


@needs_compiler
def test_a_second_batch_does_not_see_the_first() -> None:
    device = HostDevice()
    stream = device.stream()
    finder = ComponentFinder(device, images=2, words=100, most=60, connectivity=4)
    for mask in (np.ones((32, 50), np.bool_), np.eye(20, dtype=np.bool_)):
        table, words = masks.packed([mask], 0)
        on_device, rows = device.allocate(words.nbytes), device.allocate(table.nbytes)
        device.upload(words, on_device, stream)
        device.upload(table, rows, stream)
        finder.enqueue(stream, on_device, table, rows)
        found, copied = np.empty((1, 2), np.uint32), np.empty((60, 3), np.int32)
        device.download(finder.found, found, stream)
        device.download(finder.copied, copied, stream, at=0)
        own = split(found, copied)[0]
        check_equal(group(own, len(mask), int(found[0, 0])), components(mask, 4))


def test_wrong_arguments() -> None:
    device = HostDevice()
    with pytest.raises(ValueError, match=r"connectivity is 4 or 8\. Got: 6"):
        ComponentFinder(device, images=1, words=1, most=1, connectivity=6)
    with pytest.raises(ValueError, match="1 to 65535 pictures"):
        ComponentFinder(device, images=0, words=1, most=1)
    with pytest.raises(ValueError, match="no room"):
        ComponentFinder(device, images=1, words=0, most=1)
    finder = ComponentFinder(device, images=2, words=20, most=5)
    table, _ = masks.packed([np.ones((5, 10), np.bool_)] * 2)
    finder_of_one = ComponentFinder(device, images=1, words=20, most=5)
    with pytest.raises(ValueError, match=r"1 pictures\. Got: 2"):
        finder_of_one.check(table)
    with pytest.raises(ValueError, match=r"20 words\. Got: 22"):
        finder.check(table)  # the second begins at a multiple of 4
    table["width"] = 8
    table["word_offset"] = [12, 0]
    with pytest.raises(ValueError, match="one picture begin"):
        finder.check(table)
    table["word_offset"], table["height"], table["width"] = [0, 0], 2**16, 2**15
    with pytest.raises(ValueError, match="2147483647 pixels"):
        finder.check(table)
