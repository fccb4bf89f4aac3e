"""The row filters of PNG, against their definition, and through cv2."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.png_filter import PAETH, ROWS, TILE, unfilter
from tests.corpus.png_writer import RGB, apply_filters, write_png

SIZES = (1, 2, 3, 4, 6, 8)


def plain_unfilter(
    rows: NDArray[np.uint8], filters: NDArray[np.uint8], step: int
) -> NDArray[np.uint8]:
    """ISO/IEC 15948, 9.2, a byte at a time."""
    height, n = rows.shape
    out = np.zeros((height + 1, n + step), np.int64)
    for y in range(1, height + 1):
        for x in range(step, n + step):
            a, b, c = out[y, x - step], out[y - 1, x], out[y - 1, x - step]
            p = a + b - c
            _, _, paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))
            prediction = (0, a, b, (a + b) // 2, paeth)[filters[y - 1]]
            out[y, x] = (int(rows[y - 1, x - step]) + prediction) % 256
    return out[1:, step:].astype(np.uint8)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(SIZES),
    st.integers(0, 2 * ROWS + 3),
    st.integers(0, 12),
    st.sampled_from(["any", "one", "simple", "long runs"]),
    st.integers(0, 2**32 - 1),
)
def test_against_the_definition(size: int, height: int, width: int, mix: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (height, 1 + width * size), dtype=np.uint8)[:, 1:]
    filters = rng.integers(0, 5, height).astype(np.uint8)
    if mix == "one":
        filters[:] = seed % 5
    elif mix == "simple":  # neither needs the pixel to the left
        filters = filters % 2 * np.uint8(2)
    elif mix == "long runs":
        filters = np.sort(filters)
    before = rows.copy()
    np.testing.assert_array_equal(
        unfilter(rows, filters, size), plain_unfilter(rows, filters, size)
    )
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
def test_filtered_rows_come_back(size: int, width: int) -> None:
    """Wide enough for several tiles, with the steep ends that rounding errors would show at."""
    rng = np.random.default_rng(width)
    rows = rng.choice([0, 1, 127, 128, 254, 255], (ROWS + 7, width * size)).astype(np.uint8)
    filters = rng.integers(0, 5, len(rows)).astype(np.uint8)
    written = np.frombuffer(apply_filters(rows, filters.tolist(), size), np.uint8)
    written = written.reshape(len(rows), -1)
    np.testing.assert_array_equal(unfilter(written[:, 1:], written[:, 0], size), rows)


def test_paeth_for_all_neighbours() -> None:
    """Every (left, above, corner) of a coarse cube, three to a picture of two by two pixels."""
    values = np.array([0, 1, 2, 100, 127, 128, 129, 254, 255], np.uint8)
    corner, above, left = (a.ravel() for a in np.meshgrid(values, values, values))
    count = len(corner)
    rows = np.zeros((2 * count, 2), np.uint8)
    filters = np.zeros(2 * count, np.uint8)
    rows[0::2, 0], rows[0::2, 1] = corner, above
    rows[1::2, 0] = left - corner  # the filter is Paeth: above predicts where nothing is left
    filters[1::2] = PAETH
    out = unfilter(rows, filters, 1)
    np.testing.assert_array_equal(out[1::2, 0], left)
    a, b, c = (v.astype(int) for v in (left, above, corner))
    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    expected = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
    np.testing.assert_array_equal(out[1::2, 1], expected)


def test_against_cv2() -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 81, 3), dtype=np.uint8)
    data = write_png(image, 8, RGB, filters=[4, 3, 2, 1, 0])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded[:, :, ::-1], image)


@pytest.mark.parametrize(
    ("rows", "filters", "size", "reason"),
    [
        (np.zeros((2, 6), np.uint8), np.zeros(2, np.uint8), 5, "bytes_per_pixel"),
        (np.zeros((2, 7), np.uint8), np.zeros(2, np.uint8), 3, "whole pixels"),
        (np.zeros((2, 6), np.int8), np.zeros(2, np.uint8), 3, "uint8"),
        (np.zeros(6, np.uint8), np.zeros(2, np.uint8), 3, "uint8"),
        (np.zeros((2, 6), np.uint8), np.zeros(3, np.uint8), 3, "filters"),
        (np.zeros((2, 6), np.uint8), np.zeros(2, np.int64), 3, "filters"),
        (np.zeros((2, 6), np.uint8), np.full(2, 5, np.uint8), 3, "0 to 4"),
    ],
)
def test_bad_arguments(
    rows: NDArray[np.uint8], filters: NDArray[np.uint8], size: int, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        unfilter(rows, filters, size)


def test_rows_in_other_memory_orders() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (40, 30), dtype=np.uint8)
    filters = rng.integers(0, 5, 40).astype(np.uint8)
    expected = plain_unfilter(rows, filters, 3)
    frozen = rows.copy()
    frozen.flags.writeable = False
    wide = np.zeros((80, 60), np.uint8)
    wide[::2, ::2] = rows
    for view in (np.asfortranarray(rows), rows[::-1].copy()[::-1], wide[::2, ::2], frozen):
        np.testing.assert_array_equal(unfilter(view, filters, 3), expected)
    doubled = np.repeat(filters, 2)
    np.testing.assert_array_equal(unfilter(rows, doubled[::2], 3), expected)
