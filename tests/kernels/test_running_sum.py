"""Running sums along rows, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kernels.running_sum import running_sums


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        st.sampled_from(["u1", "u2", "u4", "u8"]),
        st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 6)),
    ),
    st.booleans(),
)
def test_against_numpy(differences: np.ndarray, fortran: bool) -> None:
    given_array = np.asfortranarray(differences) if fortran else differences
    before = given_array.copy()
    sums = running_sums(given_array)
    assert sums.dtype == differences.dtype
    expected = np.add.accumulate(differences, axis=1, dtype=differences.dtype)
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(given_array, before)


def test_read_only_input() -> None:
    data = np.frombuffer(bytes(range(24)), np.uint8).reshape(2, 4, 3)
    expected = np.add.accumulate(data, axis=1, dtype=np.uint8)
    np.testing.assert_array_equal(running_sums(data), expected)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 1), np.int8), np.zeros((2, 3, 1), "f4")]
)
def test_bad_arguments(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="unsigned integers"):
        running_sums(array)
