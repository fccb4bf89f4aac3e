"""Masks in every form that is found in the wild."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.masks import read_mask
from tests.corpus import png_writer as png
from tests.corpus.png_writer import write_png
from tests.corpus.scenes import encode, npy
from tests.corpus.tiff_writer import DEFLATE, LZW, RGB, Tiff

SHAPE = (30, 47)


def truth(count: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """(N, H, W) of 0 and 1; instances differ, and none is symmetric."""
    masks = np.zeros((count, *shape), np.uint8)
    for i in range(count):
        masks[i, 2 + i : 9 + 2 * i, 5 + 3 * i : 9 + 5 * i] = 1
        masks[i, 20:22, 1 + 5 * i] = 1
    return masks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(
    folder: Path, data: bytes | np.ndarray, name: str = "m.npy", shape: tuple[int, int] = SHAPE
) -> tuple[np.ndarray, list[str]]:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else npy(data))
    masks, warnings = read_mask(path, shape)
    assert masks.dtype == np.uint8
    assert masks.shape[1:] == shape
    assert masks.flags.c_contiguous
    assert set(np.unique(masks)) <= {0, 1}
    return masks, warnings


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("dtype", ["u1", "bool", "u2", "i8", "f4", ">i2", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_of_the_competition(folder: Path, count: int, dtype: str, order: Any) -> None:
    masks, warnings = read(folder, np.asarray(truth(count).astype(dtype), order=order))
    np.testing.assert_array_equal(masks, truth(count))
    assert warnings == []


@pytest.mark.parametrize("value", [1, 255, -3, 0.5])
def test_one_value_besides_zero_is_fine(folder: Path, value: float) -> None:
    dtype = np.float32 if isinstance(value, float) else np.int16
    masks, warnings = read(folder, truth(2).astype(dtype) * dtype(value))
    np.testing.assert_array_equal(masks, truth(2))
    assert warnings == []


def test_other_arrangements(folder: Path) -> None:
    expected = truth(3)
    for array, warning in [
        (expected.transpose(1, 2, 0), "channels last"),
        (expected.transpose(0, 2, 1), "transposed"),
        (expected.transpose(2, 1, 0), "transposed and has its channels last"),
        (expected[None], "fourth axis"),
        (expected[..., None], "fourth axis"),
    ]:
        masks, warnings = read(folder, np.ascontiguousarray(array))
        np.testing.assert_array_equal(masks, expected)
        assert len(warnings) == 1
        assert warning in warnings[0]


def test_single_masks(folder: Path) -> None:
    expected = truth(1)
    masks, warnings = read(folder, expected[0])
    np.testing.assert_array_equal(masks, expected)
    assert warnings == []
    masks, warnings = read(folder, expected[0].T)
    np.testing.assert_array_equal(masks, expected)
    assert warnings == ["The mask is transposed."]


def test_the_first_channel_is_not_the_first_row(folder: Path) -> None:
    """An array that fits both ways is read as (N, H, W)."""
    cube = np.random.default_rng(0).integers(0, 2, (6, 6, 6), dtype=np.uint8)
    masks, warnings = read(folder, cube, shape=(6, 6))
    np.testing.assert_array_equal(masks, cube)
    assert warnings == []


def test_labels_are_one_instance(folder: Path) -> None:
    labels = truth(3).astype(int) * np.arange(1, 4)[:, None, None]
    masks, warnings = read(folder, labels.max(axis=0))
    np.testing.assert_array_equal(masks, truth(3).max(axis=0)[None])
    assert warnings == ["The mask has 3 values besides 0; all of them belong to it."]


def test_nan_is_no_mask(folder: Path) -> None:
    soft = truth(1).astype(np.float32)
    soft[0, 0, :3] = np.nan, np.inf, -np.inf
    masks, warnings = read(folder, soft)
    np.testing.assert_array_equal(masks, truth(1))
    assert warnings == ["The mask holds NaN or infinity, taken as 0."]


def test_empty_channels_are_dropped(folder: Path) -> None:
    masks, warnings = read(folder, np.insert(truth(2), [0, 1, 2], 0, axis=0))
    np.testing.assert_array_equal(masks, truth(2))
    assert warnings == ["The mask has 3 empty channels, left out."]
    masks, warnings = read(folder, np.zeros(SHAPE, bool))
    assert masks.shape == (0, *SHAPE)
    assert warnings == ["The mask has 1 empty channel, left out."]
    masks, warnings = read(folder, np.zeros((0, *SHAPE), bool))
    assert masks.shape == (0, *SHAPE)
    assert warnings == []


def test_other_sizes(folder: Path) -> None:
    expected = truth(2)
    double = expected.repeat(2, axis=1).repeat(2, axis=2)
    masks, warnings = read(folder, double)
    np.testing.assert_array_equal(masks, expected)
    assert warnings == ["The mask is 94 x 60, resized to the picture's 47 x 30."]
    masks, warnings = read(folder, double.transpose(1, 2, 0))
    np.testing.assert_array_equal(masks, expected)
    assert len(warnings) == 2
    masks, _ = read(folder, expected, shape=(60, 94))
    np.testing.assert_array_equal(masks, double)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**32 - 1),
)
def test_resizing_takes_the_nearest(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    shape: tuple[int, int],
    seed: int,
) -> None:
    mask = np.random.default_rng(seed).integers(0, 2, size, dtype=np.uint8)
    path = tmp_path_factory.getbasetemp() / f"{os.getpid()}.npy"
    path.write_bytes(npy(mask))
    masks, _ = read_mask(path, shape)
    if size in (shape, shape[::-1]):
        return
    rows = [int((y + 0.5) * size[0] / shape[0] + 1e-9) for y in range(shape[0])]
    columns = [int((x + 0.5) * size[1] / shape[1] + 1e-9) for x in range(shape[1])]
    expected = mask[np.ix_(rows, columns)]
    np.testing.assert_array_equal(masks.max(axis=0, initial=0), expected)


def test_pictures_of_masks(folder: Path) -> None:
    mask = truth(1)[0]
    for name, data in {
        "8.png": write_png(mask * 255, 8, png.GREY),
        "1.png": write_png(mask, 1, png.GREY),
        "16.png": write_png(mask.astype(np.uint16) * 65535, 16, png.GREY),
        "rgb.png": write_png(np.dstack([mask * 255] * 3), 8, png.RGB),
        "1.tif": Tiff(bits=1, compression=LZW).write(mask),
        "f4.tif": Tiff(compression=DEFLATE).write(mask.astype("f4")),
        "24.bmp": encode(".bmp", np.dstack([mask * 255] * 3)),
    }.items():
        masks, warnings = read(folder, data, name)
        np.testing.assert_array_equal(masks, mask[None], err_msg=name)
        assert warnings == [], name


def test_colours_and_alpha(folder: Path) -> None:
    mask = truth(2)
    colours = np.dstack([mask[0] * 255, mask[1] * 9, mask[0] * 0])
    masks, warnings = read(folder, write_png(colours, 8, png.RGB), "m.png")
    np.testing.assert_array_equal(masks, mask.max(axis=0)[None])
    assert "in colour" in warnings[0]
    opaque = np.dstack([mask[0] * 255] * 3 + [np.full(SHAPE, 255, np.uint8)])
    masks, warnings = read(folder, write_png(opaque, 8, png.RGBA), "m.png")
    np.testing.assert_array_equal(masks, mask[:1])
    assert warnings == ["The mask's alpha channel is ignored."]


def test_lossy_masks(folder: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[13:37, 20:51] = 255
    quality = cv2.IMWRITE_JPEG_QUALITY
    masks, warnings = read(folder, encode(".jpg", mask, quality, 75), "m.jpg", (64, 64))
    np.testing.assert_array_equal(masks[0], mask > 0)
    assert "lossy" in warnings[0]


def test_pages_are_instances(folder: Path) -> None:
    page = Tiff(compression=LZW, pages=3)
    masks, warnings = read(folder, page.write(truth(1)[0]), "m.tif")
    np.testing.assert_array_equal(masks, truth(1).repeat(3, axis=0))
    assert warnings == []
    with pytest.raises(Unreadable, match="more than 64 pages"):
        read(folder, Tiff(pages=65).write(truth(1)[0]), "m.tif")
    masks, _ = read(folder, Tiff(RGB).write(np.dstack([truth(1)[0]] * 3)), "m.tif")
    np.testing.assert_array_equal(masks, truth(1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.array([np.zeros((3, 4)), None], dtype=object), "never loaded"),
        (np.zeros(SHAPE, complex), "not numbers"),
        (np.zeros(SHAPE[0]), "is not a mask"),
        (np.zeros((2, 2, *SHAPE)), "is not a mask"),
        (np.zeros((100, 90, 80)), "is not a mask"),
        (np.zeros((2, 0, 7)), "is not a mask"),
        (np.float64(3), "is not a mask"),
        (npy(truth(2))[:-1], "shorter than its header"),
        (npy(truth(2))[:40], "header cannot be read"),
        (b"", "empty"),
        (b"id,annotation\n1,authentic\n", "known format"),
        (write_png(truth(1)[0], 8, png.GREY)[:-30], "ends"),
        (Tiff(compression=LZW, pixels_last=True).write(truth(1)[0])[:-5], "ends"),
    ],
)
def test_what_cannot_be_a_mask(folder: Path, data: Any, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason) as caught:
        read(folder, data)
    assert caught.value.file == folder / "m.npy"


def test_limits(folder: Path) -> None:
    for name, data in {
        "m.npy": npy(truth(2)),
        "m.png": write_png(truth(1)[0], 8, png.GREY),
        "m.tif": Tiff(compression=LZW, pages=3).write(truth(1)[0]),
    }.items():
        path = folder / name
        path.write_bytes(data)
        assert len(read_mask(path, SHAPE, 1 << 20)[0])
        with pytest.raises(TooLarge):
            read_mask(path, SHAPE, 1400)


WHOLE = {
    "m.npy": npy(truth(2)),
    "m.png": write_png(truth(1)[0], 8, png.GREY, filters=[4]),
    "m.tif": Tiff(compression=LZW, pages=3).write(truth(1)[0]),
    "m.bmp": encode(".bmp", truth(1)[0] * 255),
}


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_flipped_bits(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(WHOLE)))
    damaged = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.getbasetemp() / f"{os.getpid()}-{name}"
    path.write_bytes(damaged)
    try:
        masks, _ = read_mask(path, SHAPE, 1 << 22)
    except (Unreadable, TooLarge):
        return
    assert masks.shape[1:] == SHAPE
    assert masks.dtype == np.uint8


def test_missing_masks(folder: Path) -> None:
    with pytest.raises(Unreadable, match="does not exist"):
        read_mask(folder / "none.npy", SHAPE)
