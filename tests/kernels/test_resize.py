from __future__ import annotations

import math
import re

import cv2
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import resize
from kernels.resize import enlarge, places

Map = NDArray[np.float32]

few = settings(max_examples=150, deadline=None)
sides = st.one_of(st.integers(1, 90), st.sampled_from([1, 2, 31, 32, 33, 64]))
shapes = st.tuples(sides, sides)


def noise(shape: tuple[int, ...], seed: int, spread: float = 5.0) -> Map:
    random = np.random.default_rng(seed)
    return (spread * random.standard_normal(shape)).astype(np.float32)


def plain(source: Map, shape: tuple[int, int]) -> Map:
    """The formula of `enlarge`, with NumPy's float32 operations, each rounded."""

    def place(short: int, long: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Map]:
        first, second, weights = [], [], []
        for x in range(long):
            at = (x + 0.5) * (short / long) - 0.5
            i = min(max(math.floor(at), 0), short - 1)
            j = min(i + 1, short - 1)
            first.append(i)
            second.append(j)
            weights.append(at - math.floor(at) if at >= 0 and i < j else 0.0)
        return np.array(first), np.array(second), np.array(weights).astype(np.float32)

    k, low, q = place(source.shape[0], shape[0])
    i, j, p = place(source.shape[1], shape[1])
    q = q[:, None]
    upper = source[k][:, i] + p * (source[k][:, j] - source[k][:, i])
    lower = source[low][:, i] + p * (source[low][:, j] - source[low][:, i])
    value: Map = upper + q * (lower - upper)
    assert value.dtype == np.float32
    return value


@few
@given(shapes, shapes, st.integers(0, 2**32 - 1), st.sampled_from([1e-30, 5.0, 1e30]))
def test_every_bit_is_that_of_the_formula(
    small: tuple[int, int], shape: tuple[int, int], seed: int, spread: float
) -> None:
    source = noise(small, seed, spread)
    ours = enlarge(source, shape)
    assert ours.flags.c_contiguous
    np.testing.assert_array_equal(ours.view(np.uint32), plain(source, shape).view(np.uint32))


@few
@given(shapes, shapes, st.integers(0, 2**32 - 1))
def test_it_is_opencvs_linear_resize_but_for_rounding(
    small: tuple[int, int], shape: tuple[int, int], seed: int
) -> None:
    source = noise(small, seed)
    theirs = cv2.resize(source, shape[::-1], interpolation=cv2.INTER_LINEAR)
    # OpenCV keeps the place itself in float32: near 90 it is off by 4e-6, and neighbours may
    # differ by 50.
    np.testing.assert_allclose(enlarge(source, shape), theirs.reshape(shape), atol=2e-4)


@few
@given(shapes, st.integers(0, 2**32 - 1))
def test_the_same_size_is_the_same_map_and_a_copy(shape: tuple[int, int], seed: int) -> None:
    source = noise(shape, seed)
    ours = enlarge(source, shape)
    np.testing.assert_array_equal(ours, source)
    assert not np.shares_memory(ours, source)


def test_a_flat_map_stays_flat() -> None:
    flat = np.full((7, 5), 0.1, np.float32)
    assert np.unique(enlarge(flat, (100, 93))).tolist() == [np.float32(0.1)]


def test_a_view_with_strides_is_taken() -> None:
    source = noise((30, 40), 3)
    part = source[3:20:2, ::-3]
    np.testing.assert_array_equal(enlarge(part, (50, 60)), enlarge(part.copy(), (50, 60)))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_not_hidden(value: float) -> None:
    source = noise((4, 4), 1)
    source[1, 2] = value
    assert not np.isfinite(enlarge(source, (9, 9))).all()


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_places_are_inside(short: int, long: int) -> None:
    first, weights = places(short, long)
    assert first.dtype == np.uint32
    assert weights.dtype == np.float32
    assert (first < short).all()
    assert (np.diff(first.astype(np.int64)) >= 0).all()
    assert ((weights >= 0) & (weights <= 1)).all()
    assert (weights[first == short - 1] == 0).all()


@pytest.mark.parametrize(
    "source",
    [np.zeros((2, 2)), np.zeros((1, 2, 2), np.float32), np.zeros((0, 2), np.float32)],
)
def test_what_is_no_map_is_refused(source: NDArray[np.floating]) -> None:
    with pytest.raises(ValueError, match="a map is float32"):
        enlarge(source, (3, 3))  # type: ignore[arg-type]


def test_a_map_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="has no pixels"):
        enlarge(np.zeros((2, 2), np.float32), (0, 3))


def test_no_product_is_fused_with_a_sum() -> None:
    # Compiled anew, since numba keeps no assembly of what it read from its cache.
    compiled = numba.njit(error_model="numpy")(resize._between.py_func)
    row = numba.float32[::1]
    compiled.compile((row, row, numba.float32, row))
    (assembly,) = compiled.inspect_asm().values()
    assert re.search(r"\bv?mul[sp]s|\bfmul", assembly)
    assert not re.search(r"vfn?m(add|sub)|\bfn?m(add|sub)|\bfml[as]", assembly)
