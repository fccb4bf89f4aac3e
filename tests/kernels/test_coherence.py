from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.coherence import agreeing, local_maps
from kernels.field import SCALE, TURNS, Field
from tests.kernels.fields import linear
from tests.kernels.threads import threads

few = settings(max_examples=25, deadline=None)


def drawn_field(height: int, width: int, seed: int) -> Field:
    """Patches of copies of different turns, and chance in between."""
    random = np.random.default_rng(seed)
    target = random.integers(-1, height * width, (height, width)).astype(np.int32)
    turn = random.integers(0, TURNS, (height, width)).astype(np.uint8)
    mirrored = random.random((height, width)) < 0.5
    rows, columns = np.mgrid[:height, :width]
    for _ in range(3):
        t, flip = int(random.integers(TURNS)), bool(random.random() < 0.5)
        where = random.random((height, width)) < 0.3
        middle, goal = random.uniform((0, 0), (width, height), (2, 2))
        moved = np.tensordot(linear(t, flip), np.stack((columns - middle[0], rows - middle[1])), 1)
        x, y = np.rint(moved + goal[:, None, None]).astype(int)
        where &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
        target[where], turn[where], mirrored[where] = (y * width + x)[where], t, flip
    score = random.integers(0, SCALE, (height, width)).astype(np.int32)
    score[target < 0] = 0
    return Field(target, turn, mirrored, score)


def who_agrees(
    field: Field, row: int, column: int, reach: int, tolerance: float, worth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offsets (n, 2) of the neighbours that agree with a point, and how far off they are (n, 2)."""
    height, width = field.target.shape
    map_ = linear(int(field.turn[row, column]), bool(field.mirrored[row, column]))
    goal = np.array([field.target[row, column] % width, field.target[row, column] // width])
    offsets, errors = [], []
    for r in range(max(0, row - reach), min(height, row + reach + 1)):
        for c in range(max(0, column - reach), min(width, column + reach + 1)):
            if field.target[r, c] < 0 or field.score[r, c] < int(worth * SCALE):
                continue
            if field.mirrored[r, c] != field.mirrored[row, column]:
                continue
            offset = np.array([c - column, r - row], float)
            theirs = np.array([field.target[r, c] % width, field.target[r, c] // width])
            error = theirs - goal - map_ @ offset
            if np.hypot(*error) <= tolerance:
                offsets.append(offset)
                errors.append(error)
    return np.array(offsets).reshape(-1, 2), np.array(errors).reshape(-1, 2)


@few
@given(
    st.integers(1, 16),
    st.integers(1, 16),
    st.integers(0, 4),
    st.sampled_from([0.6, 1.55, 3.05]),
    st.sampled_from([0.1, 0.5, 0.99]),
    st.integers(0, 2**32 - 1),
)
def test_counts_agree_with_a_walk_around_each_point(
    height: int, width: int, reach: int, tolerance: float, worth: float, seed: int
) -> None:
    field = drawn_field(height, width, seed)
    found = agreeing(field, reach=reach, tolerance=tolerance, worth=worth)
    for row, column in np.ndindex(height, width):
        expected = 0
        if field.target[row, column] >= 0 and field.score[row, column] >= int(worth * SCALE):
            expected = len(who_agrees(field, row, column, reach, tolerance, worth)[0])
        assert found[row, column] == expected


@few
@given(st.floats(0, 360), st.floats(0.85, 1.15), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_fit_finds_scale_and_fraction_that_the_grid_hides(
    degrees: float, scale: float, mirrored: bool, seed: int
) -> None:
    size = 61
    turn = round(degrees / 360 * TURNS) % TURNS
    angle = np.deg2rad(degrees)
    true = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    true = true @ np.diag([1.0, -1.0 if mirrored else 1.0])
    goal = np.random.default_rng(seed).uniform(29, 31, 2)
    rows, columns = np.mgrid[:size, :size]
    moved = np.tensordot(true, np.stack((columns - 30, rows - 30)), 1) + goal[:, None, None]
    x, y = np.rint(moved).astype(int)
    inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    target = np.where(inside, y * size + x, -1).astype(np.int32)
    field = Field(
        target,
        np.full((size, size), turn, np.uint8),
        np.full((size, size), mirrored),
        np.where(inside, SCALE, 0).astype(np.int32),
    )
    maps, error = local_maps(field, np.array([30 * size + 30]), tolerance=2.0)
    assert maps.shape == (1, 8)
    np.testing.assert_array_equal(maps[0, :2], (30, 30))
    # Where rows fall on rows, the grid hides up to half a point, and with it some scale.
    assert np.abs(maps[0, 2:4] - goal).max() < 0.55
    corner = maps[0, 4:].reshape(2, 2) @ (4, 4) + maps[0, 2:4] - true @ (4, 4) - goal
    assert np.hypot(*corner) < 1.1
    assert error[0] < 0.75
    if 0.3 < (degrees % 90) / 90 < 0.7:  # elsewhere it is told to a fraction
        assert np.abs(maps[0, 2:4] - goal).max() < 0.2
        assert np.abs(maps[0, 4:] - true.ravel()).max() < 0.05


def test_a_fit_is_least_squares_with_a_pull_to_the_turn() -> None:
    field = drawn_field(14, 14, seed=6)
    points = np.flatnonzero(field.target.ravel() >= 0)
    maps, error = local_maps(field, points, reach=3, tolerance=1.55, worth=0.2, pull=5.0)
    checked = 0
    for point, map_, rms in zip(points, maps, error, strict=True):
        row, column = divmod(int(point), 14)
        turn, flip = int(field.turn[row, column]), bool(field.mirrored[row, column])
        goal = np.array([field.target[row, column] % 14, field.target[row, column] // 14], float)
        offsets, errors = who_agrees(field, row, column, 3, 1.55, 0.2)
        if len(offsets) < 3:
            np.testing.assert_allclose(map_[4:].reshape(2, 2), linear(turn, flip))
            np.testing.assert_allclose(map_[2:4], goal)
            continue
        step = ridge(offsets, errors, 5.0)
        fitted, middle = linear(turn, flip) + step[0], goal + step[1]
        # The second step counts who agrees with the first.
        left = errors - offsets @ step[0].T - step[1]
        if np.abs(np.hypot(*left.T) - 1.55).min() < 1e-6:
            continue
        assert rms <= 1.55
        assert np.abs(map_[2:4] - middle).max() < 1.6
        again, off = around(field, row, column, fitted, middle)
        if len(again) >= 3:
            second = ridge(again, off, 5.0)
            np.testing.assert_allclose(map_[4:].reshape(2, 2), fitted + second[0], atol=1e-9)
            np.testing.assert_allclose(map_[2:4], middle + second[1], atol=1e-9)
            assert rms == pytest.approx(np.sqrt((off**2).sum(axis=1).mean()))
            checked += 1
    assert checked > 20


def ridge(
    offsets: NDArray[np.float64], errors: NDArray[np.float64], pull: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least squares of errors over offsets with a constant: linear part (2, 2), constant (2,)."""
    u, e = offsets - offsets.mean(axis=0), errors - errors.mean(axis=0)
    linear_part = np.linalg.solve(u.T @ u + pull * np.eye(2), u.T @ e).T
    return linear_part, errors.mean(axis=0) - linear_part @ offsets.mean(axis=0)


def around(
    field: Field,
    row: int,
    column: int,
    fitted: NDArray[np.float64],
    goal: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `who_agrees`, with a map of its own."""
    offsets, errors = [], []
    for r in range(max(0, row - 3), min(14, row + 4)):
        for c in range(max(0, column - 3), min(14, column + 4)):
            if field.target[r, c] < 0 or field.score[r, c] < int(0.2 * SCALE):
                continue
            if field.mirrored[r, c] != field.mirrored[row, column]:
                continue
            offset = np.array([c - column, r - row], float)
            theirs = np.array([field.target[r, c] % 14, field.target[r, c] // 14])
            error = theirs - goal - fitted @ offset
            if np.hypot(*error) <= 1.55:
                offsets.append(offset)
                errors.append(error)
    return np.array(offsets).reshape(-1, 2), np.array(errors).reshape(-1, 2)


def test_threads_do_not_change_the_result() -> None:
    field = drawn_field(40, 50, seed=1)
    points = np.flatnonzero(field.target.ravel() >= 0)
    with threads(1):
        alone = (agreeing(field, worth=0.2), *local_maps(field, points, worth=0.2))
    with threads(2):
        together = (agreeing(field, worth=0.2), *local_maps(field, points, worth=0.2))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
