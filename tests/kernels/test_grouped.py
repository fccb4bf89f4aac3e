from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from kernels.components import components
from kernels.grouped import group
from tests.kernels.strategies import plain_masks


def pieces_of(mask: NDArray[np.bool_], labels: NDArray[Any]) -> NDArray[np.int32]:
    """Runs of a labelled mask, one column after the other."""
    height = len(mask)
    pieces = []
    for column in range(mask.shape[1]):
        edges = np.flatnonzero(np.diff(np.r_[0, mask[:, column], 0].astype(np.int8)))
        for top, bottom in zip(edges[::2], edges[1::2], strict=True):
            pieces.append((column * height + top, bottom - top, labels[top, column]))
    return np.array(pieces, np.int32).reshape(-1, 3)


@settings(max_examples=100, deadline=None)
@given(
    mask=plain_masks(70).filter(lambda mask: mask.size > 0),
    connectivity=st.sampled_from([4, 8]),
    seed=st.integers(0, 2**32 - 1),
)
def test_labelled_pieces_are_components(
    mask: NDArray[np.bool_], connectivity: Literal[4, 8], seed: int
) -> None:
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    labels, count = ndimage.label(mask, structure)
    names = np.random.default_rng(seed).permutation(count + 1)  # any values, in any order
    found = group(pieces_of(mask, names[labels]), len(mask), count + 1)
    expected = components(mask, connectivity)
    for name in ("areas", "boxes", "runs", "offsets"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_no_pieces() -> None:
    found = group(np.empty((0, 3), np.int32), 7, 0)
    assert found.count == 0
    assert found.runs.shape == (0, 2)
    assert found.boxes.shape == (0, 4)
    assert found.offsets.tolist() == [0]


def test_positions_near_the_largest() -> None:
    height = 46_340
    last = height * height - 10
    found = group(np.array([[last, 10, 0]], np.int32), height, 1)
    assert found.boxes.tolist() == [[height - 10, height - 1, height, height]]


def test_wrong_arguments() -> None:
    good = np.array([[0, 1, 0]], np.int32)
    with pytest.raises(ValueError, match="int64"):
        group(good.astype(np.int64), 3, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        group(good[:, :2], 3, 1)
    with pytest.raises(ValueError, match="labels are from 0 to 0"):
        group(np.array([[0, 1, 1]], np.int32), 3, 1)
