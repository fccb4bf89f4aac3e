"""The frames of a batch on a device against what the CPU makes of each picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.cuda.batch import ImageTable, Table, place, table_of
from kernels.cuda.device import Device
from kernels.cuda.prepare import prepare
from tests.kernels.cuda.host import HostDevice

Pixels = NDArray[np.uint8]
Shape = tuple[int, int]

few = settings(max_examples=100, deadline=None)
MOST_UNEQUAL = 0.001
"""Share of values that may differ from OpenCV's, by 1/255. Of its x86-64 wheel none does."""


def picture(shape: Shape, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def prepared(
    device: Device, pictures: list[Pixels], views: list[Shape], frame: Shape
) -> NDArray[np.float32]:
    """float32 (N, 3, h, w)."""
    table = table_of([pixels.shape[:2] for pixels in pictures], views)  # type: ignore[misc]
    size, _ = place(table)
    packed = np.zeros(size, np.uint8)
    for row, pixels in zip(table, pictures, strict=True):
        packed[row["pixel_offset"] :][: pixels.size] = pixels.ravel()
    images = np.empty((len(pictures), 3, *frame), np.float32)
    stream = device.stream()
    rows, there = device.allocate(table.nbytes), device.allocate(packed.nbytes)
    made = device.allocate(images.nbytes)
    device.upload(table, rows, stream)
    device.upload(packed, there, stream)
    prepare(device, stream, table, rows, there, frame, made)
    device.download(made, images, stream)
    device.event(stream).wait()
    return images


def expected(pixels: Pixels, view: Shape, frame: Shape) -> NDArray[np.float32]:
    """What OpenCV and NumPy make of it: forgecli.segment.preprocess.to_input."""
    shrinks = view[0] * view[1] < pixels.shape[0] * pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = pixels
    if view != pixels.shape[:2]:
        small = np.asarray(cv2.resize(pixels, view[::-1], interpolation=how), np.uint8)
    more = ((0, frame[0] - view[0]), (0, frame[1] - view[1]), (0, 0))
    filled = np.pad(small, more, mode="edge")
    made: NDArray[np.float32] = filled.transpose(2, 0, 1) * np.float32(1 / 255)
    return made


def check(device: Device, pictures: list[Pixels], views: list[Shape], frame: Shape) -> None:
    made = prepared(device, pictures, views, frame)
    assert made.min() >= 0
    assert made.max() <= 1
    for ours, pixels, view in zip(made, pictures, views, strict=True):
        theirs = expected(pixels, view, frame)
        # Every value is one of the 256, to the last bit.
        levels = np.rint(ours * 255).astype(np.int64)
        np.testing.assert_array_equal(ours, levels.astype(np.float32) * np.float32(1 / 255))
        difference = np.abs(levels - np.rint(theirs * 255).astype(np.int64))
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= MOST_UNEQUAL * difference.size


side = st.one_of(st.integers(1, 90), st.sampled_from([1, 2, 3, 4, 32, 64, 96]))


@st.composite
def fitted(draw: st.DrawFn) -> tuple[list[Pixels], list[Shape], Shape]:
    """Pictures, views that keep their proportions more or less, and a frame that holds them."""
    pictures, views = [], []
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.tuples(side, side))
        scale = draw(st.one_of(st.floats(0.05, 4), st.sampled_from([0.5, 1 / 3, 1.0, 2.0, 4.0])))
        height, width = (max(1, round(length * scale)) for length in shape)
        pictures.append(picture(shape, draw(st.integers(0, 2**32 - 1))))
        views.append((min(height, 120), min(width, 120)))
        if (views[-1][0] > shape[0]) != (views[-1][1] > shape[1]):
            views[-1] = (min(height, shape[0]), min(width, shape[1]))
    frame = tuple(max(sides) + draw(st.integers(0, 9)) for sides in zip(*views, strict=True))
    return pictures, views, frame  # type: ignore[return-value]


@few
@given(fitted())
def test_it_is_what_opencv_makes(
    device: Device, batch: tuple[list[Pixels], list[Shape], Shape]
) -> None:
    check(device, *batch)


def test_common_sizes(device: Device) -> None:
    shapes = [(600, 800), (512, 384), (97, 128), (256, 256), (1024, 1024), (1, 300)]
    views = [(96, 128), (128, 96), (97, 128), (128, 128), (128, 128), (1, 128)]
    pictures = [picture(shape, number) for number, shape in enumerate(shapes)]
    check(device, pictures, views, (128, 128))


def test_flat_pictures_stay_flat(device: Device) -> None:
    levels = [0, 1, 127, 254, 255]
    pictures = [np.full((37, 53, 3), level, np.uint8) for level in levels]
    views = [(10, 14), (37, 53), (74, 106), (20, 30), (111, 159)]
    made = prepared(device, pictures, views, (160, 160))
    for image, level in zip(made, levels, strict=True):
        assert np.unique(np.rint(image * 255)).tolist() == [level]


def test_what_is_beyond_the_view_repeats_its_edge(device: Device) -> None:
    made = prepared(device, [picture((20, 30), 5)], [(10, 15)], (16, 32))[0]
    for row in range(10, 16):
        np.testing.assert_array_equal(made[:, row], made[:, 9])
    for column in range(15, 32):
        np.testing.assert_array_equal(made[:, :, column], made[:, :, 14])


def test_no_pictures() -> None:
    device = HostDevice()
    nothing = device.allocate(0)
    prepare(device, device.stream(), np.zeros(0, ImageTable), nothing, nothing, (4, 4), nothing)


@pytest.mark.parametrize(
    ("shape", "view", "message"),
    [
        ((4, 4), (9, 4), "larger than the frame"),
        ((4, 4), (0, 4), "no pixels"),
        ((0, 4), (4, 4), "no pixels"),
        ((4, 4), (2, 6), "less wide"),
        ((4, 4), (6, 2), "less wide"),
    ],
)
def test_tables_that_do_not_go_with_the_frame(shape: Shape, view: Shape, message: str) -> None:
    device = HostDevice()
    nothing = device.allocate(0)
    table: Table = table_of([shape], [view])
    with pytest.raises(ValueError, match=message):
        prepare(device, device.stream(), table, nothing, nothing, (8, 8), nothing)
