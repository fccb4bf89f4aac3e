from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.rank import value_of_rank

few = settings(max_examples=200, deadline=None)


@few
@given(
    st.integers(1, 30_000),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 50, 2**20]),
    st.floats(0, 1),
    st.sampled_from(["noise", "rising", "falling", "hidden"]),
)
def test_it_is_the_sorted_value(size: int, seed: int, levels: int, share: float, kind: str) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(-levels, levels, size).astype(np.float32)
    if kind in ("rising", "falling"):
        values = np.sort(values)[:: 1 if kind == "rising" else -1].copy()
    if kind == "hidden":  # the sample sees none of the low values
        values[::64] += 2 * levels
    ordered = np.sort(values)
    for rank in {int(share * (size - 1)), size - 1, max(0, size - 2), size * 999 // 1000}:
        assert value_of_rank(values, rank) == ordered[rank]


def test_infinite_values_have_their_place() -> None:
    values = np.linspace(-1, 1, 10_000, dtype=np.float32)
    values[[17, 5_000]] = np.inf, -np.inf
    ordered = np.sort(values)
    for rank in (0, 1, 9_990, 9_998, 9_999):
        assert value_of_rank(values, rank) == ordered[rank]


@pytest.mark.parametrize("rank", [-1, 3])
def test_a_rank_that_there_is_not(rank: int) -> None:
    with pytest.raises(ValueError, match="there are 3 values"):
        value_of_rank(np.zeros(3, np.float32), rank)
