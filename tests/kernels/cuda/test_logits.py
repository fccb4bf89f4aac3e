"""Words and scores on a device against those of the CPU, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.cuda.batch import ImageTable, Table, place, table_of, word_count, words_per_column
from kernels.cuda.device import Device
from kernels.cuda.logits import LEVEL, finish, work_size
from kernels.resize import enlarge
from tests.kernels.cuda.host import HostDevice, needs_compiler

Maps = NDArray[np.float32]
Shape = tuple[int, int]

few = settings(max_examples=80, deadline=None)
sides = st.one_of(st.integers(1, 140), st.sampled_from([1, 31, 32, 33, 64, 127, 128, 129, 260]))
shapes = st.tuples(sides, sides)


@dataclass
class Batch:
    """Logits, and a table to finish them by."""

    logits: Maps
    table: Table


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    frame = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    count, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    full = [draw(shapes) for _ in range(count)]
    views = [tuple(draw(st.integers(1, side)) for side in frame) for _ in range(count)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.standard_normal((count, outputs, *frame)) * draw(st.sampled_from([1e-40, 3.0]))
    if draw(st.booleans()):
        logits = np.round(logits)  # many equal values, some of them -0
    for index, shape in enumerate(full):
        if draw(st.booleans()):
            views[index] = tuple(min(pair) for pair in zip(shape, frame, strict=True))
    table = table_of(full, [(height, width) for height, width in views])
    for row in table:
        pixels = int(row["height"]) * int(row["width"])
        share = draw(st.sampled_from([0.0, 0.3, 0.5, 0.99, 0.999, 1.0]))
        row["rank"] = min(int(share * pixels), pixels - 1)
        row["limit"] = draw(st.sampled_from([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf]))
    return Batch(logits.astype(np.float32), table)


def finished(device: Device, batch: Batch) -> tuple[list[NDArray[np.uint32]], NDArray[np.void]]:
    """Words (W, words of a column) and `LEVEL` of each picture."""
    stream, table = device.stream(), batch.table
    _, size = place(table.copy())
    rows, logits = device.allocate(table.nbytes), device.allocate(batch.logits.nbytes)
    made, work = device.allocate(4 * size), device.allocate(work_size(len(table)))
    device.upload(table, rows, stream)
    device.upload(batch.logits, logits, stream)
    count, outputs, height, width = batch.logits.shape
    levels = np.empty(len(table), LEVEL)
    words = np.empty(size, np.uint32)
    for _ in range(2):  # what the first leaves in its buffers does not reach the second
        finish(device, stream, table, rows, logits, (count, outputs, height, width), made, work)
    device.download(work, levels, stream)
    device.download(made, words, stream)
    device.event(stream).wait()
    pictures = []
    for row in table:
        down = words_per_column(int(row["height"]))
        here = words[row["word_offset"] :][: word_count(int(row["height"]), int(row["width"]))]
        pictures.append(here.reshape(-1, down))
    return pictures, levels


def highest_of(batch: Batch, index: int) -> Maps:
    """The map of a picture, (H, W), as the CPU makes it."""
    row = batch.table[index]
    view = batch.logits[index, :, : row["view_height"], : row["view_width"]]
    shape = (int(row["height"]), int(row["width"]))
    highest: Maps = np.stack([enlarge(channel, shape) for channel in view]).max(axis=0)
    return highest


def packed(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Words (W, words of a column), one pixel after the other."""
    height, width = mask.shape
    words = np.zeros((width, words_per_column(height)), np.uint32)
    for row in range(height):
        words[:, row // 32] |= mask[row].astype(np.uint32) << np.uint32(row % 32)
    return words


def check(device: Device, batch: Batch) -> None:
    words, levels = finished(device, batch)
    assert not levels["not_finite"].any()
    for index, row in enumerate(batch.table):
        highest = highest_of(batch, index)
        np.testing.assert_array_equal(words[index], packed(highest >= row["limit"]))
        expected = np.partition(highest.ravel(), row["rank"])[row["rank"]]
        assert levels["score"][index] == expected


def one(logits: Maps, shape: Shape, view: Shape | None = None, rank: int = 0) -> Batch:
    """A batch of one picture, its logits (K, h, w)."""
    table = table_of([shape], [view or logits.shape[1:]])  # type: ignore[list-item]
    table["rank"] = rank
    return Batch(logits[None], table)


@few
@given(batches())
def test_words_and_scores_are_those_of_the_cpu(device: Device, batch: Batch) -> None:
    check(device, batch)


@needs_compiler
@few
@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_blocks_does_not_matter(batch: Batch, random: Random) -> None:
    check(HostDevice(shuffle=random), batch)


def test_every_rank(device: Device) -> None:
    random = np.random.default_rng(1)
    logits = np.stack([random.standard_normal((1, 5, 6)).astype(np.float32)] * (13 * 11))
    table = table_of([(13, 11)] * len(logits), [(5, 6)] * len(logits))
    table["rank"] = np.arange(len(logits))
    check(device, Batch(logits, table))


def test_a_large_picture_beside_a_tiny_one(device: Device) -> None:
    random = np.random.default_rng(2)
    smooth = np.cumsum(random.standard_normal((2, 2, 64, 64)), axis=-1).astype(np.float32)
    table = table_of([(700, 1100), (1, 1)], [(41, 64), (64, 64)])
    table["rank"] = [int(0.999 * 770_000), 0]
    table["limit"] = [2.0, 0.0]
    check(device, Batch(smooth, table))


def test_a_map_of_one_value(device: Device) -> None:
    check(device, one(np.full((3, 8, 8), -2.5, np.float32), (300, 40), rank=7_777))


def test_values_of_any_size(device: Device) -> None:
    values = np.array([0.0, -0.0, 1e-45, -1e-45, 3e38, -1.0, 1e-38, 7.0], np.float32)
    logits = values.reshape(1, 2, 4)
    table = table_of([(2, 4)] * 8, [(2, 4)] * 8)
    table["rank"] = np.arange(8)
    check(device, Batch(np.stack([logits] * 8), table))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(3, 2), (40, 50), (200, 150)])
def test_what_is_not_finite_is_told_of_its_picture_only(
    device: Device, value: float, shape: Shape
) -> None:
    logits = np.zeros((3, 2, 40, 50), np.float32)
    logits[1, 1, 39, 29] = value
    logits[0, 0, 39, 30:] = value  # not of its view
    logits[2, :, 20:, :] = value  # neither
    batch = Batch(logits, table_of([shape] * 3, [(40, 30), (40, 30), (20, 50)]))
    _, levels = finished(device, batch)
    assert levels["not_finite"].tolist() == [0, 1, 0]
    assert levels["score"][[0, 2]].tolist() == [0, 0]


def test_no_pictures(device: Device) -> None:
    batch = Batch(np.zeros((2, 1, 4, 4), np.float32), np.zeros(0, ImageTable))
    assert finished(device, batch)[0] == []


def test_words_lie_as_the_table_says(device: Device) -> None:
    logits = np.full((1, 1, 4, 4), 1.0, np.float32)
    words, _ = finished(device, one(logits[0], (35, 2)))
    assert words[0].tolist() == [[0xFFFFFFFF, 0b111]] * 2


def test_offsets_leave_room(device: Device) -> None:
    table = table_of([(33, 3), (1, 1), (64, 2)], [(1, 1)] * 3)
    assert table["word_offset"].tolist() == [0, 8, 12]
    assert table["pixel_offset"].tolist() == [0, 304, 320]
    assert place(table) == (704, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 12}, "no pixel of such a rank"),
        ({"rank": -1}, "no pixel of such a rank"),
        ({"view_height": 5}, "larger than the logits"),
        ({"view_width": 0}, "no pixels"),
        ({"height": 0}, "no pixels"),
    ],
)
def test_tables_that_do_not_go_with_the_logits(change: dict[str, int], message: str) -> None:
    batch = one(np.zeros((1, 4, 4), np.float32), (3, 4))
    for name, value in change.items():
        batch.table[name] = value
    with pytest.raises(ValueError, match=message):
        finished(HostDevice(), batch)


def test_too_many_pictures_and_too_little_room() -> None:
    device = HostDevice()
    batch = one(np.zeros((1, 4, 4), np.float32), (3, 4))
    rows = device.allocate(4096)
    with pytest.raises(ValueError, match="not a table"):
        finish(device, device.stream(), np.repeat(batch.table, 2), rows, rows, (1, 1, 4, 4), rows,
               rows)  # fmt: skip
    with pytest.raises(ValueError, match="need"):
        finish(device, device.stream(), batch.table, rows, rows, (1, 1, 4, 4), rows, rows)
