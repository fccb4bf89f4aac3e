from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.moved import correlations
from tests.kernels.local_matches import Image, linear, sample, texture

few = settings(max_examples=60, deadline=None)
MOVES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, -2.0], [0.25, 1.5], [1000.0, 0.0]])


def plain(
    image: Image, mask: NDArray[np.bool_], affine: NDArray[np.float64], move: NDArray[np.float64]
) -> float:
    y, x = np.nonzero(mask)
    px, py = affine @ np.stack((x, y, np.ones(x.size))) + move[:, None]
    height, width = image.shape
    known = (px >= -0.5) & (py >= -0.5) & (px <= width - 0.5) & (py <= height - 0.5)
    p = image[mask].astype(float)[known]
    q = sample(image, px[known], py[known])
    if p.size < 8 or p.var() < 1e-9 or q.var() < 1e-9:
        return 0.0
    return float(np.corrcoef(p, q)[0, 1])


@few
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 360),
    st.floats(0.6, 1.7),
    st.booleans(),
    st.sampled_from([0.0, 20.0]),
    st.sampled_from([0.0, 500.0]),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_correlations_of_warps(
    height: int,
    width: int,
    turn: float,
    scale: float,
    mirrored: bool,
    contrast: float,
    level: float,
    share: float,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    image = texture((height, width), seed % 1000, contrast=contrast) + np.float32(level)
    mask = random.random((height, width)) < share
    matrix = linear(turn, scale, mirrored)
    goal = random.uniform(0, 1, 2) * (width, height)
    affine = np.column_stack((matrix, goal - matrix @ (width / 2, height / 2)))
    rows, columns = np.nonzero(mask)
    found = correlations(image, rows, columns, affine, MOVES)
    assert found.shape == (len(MOVES),)
    expected = [plain(image, mask, affine, move) for move in MOVES]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_copy_agrees_in_its_place_and_not_beside_it() -> None:
    image = texture((60, 120), seed=2)
    image[:, 60:] = 9 - 0.5 * image[:, :60]
    rows, columns = np.nonzero(np.ones((40, 40), bool))
    affine = np.array([[1.0, 0.0, 60.0], [0.0, 1.0, 0.0]])
    found = correlations(image, rows, columns, affine, MOVES[:2])
    assert found[0] == pytest.approx(-1)
    assert found[1] > -0.9


def test_wrong_arrays_are_refused() -> None:
    image, affine = texture((20, 20), seed=0), np.eye(2, 3)
    rows = columns = np.arange(10)
    with pytest.raises(ValueError, match=r"Got: \(9,\), \(10,\), \(2, 3\) and \(5, 2\)"):
        correlations(image, rows[:9], columns, affine, MOVES)
    with pytest.raises(ValueError, match="pixels of an image"):
        correlations(image, rows + 11, columns, affine, MOVES)
    with pytest.raises(ValueError, match="pixels of an image"):
        correlations(image, rows, columns - 1, affine, MOVES)
    with pytest.raises(TypeError):
        correlations(image.astype(np.float64), rows, columns, affine, MOVES)
