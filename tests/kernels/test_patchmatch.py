from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.field import SCALE, TURNS, Field
from kernels.patchmatch import find_field, find_scaled_field
from kernels.propagation import sweep
from kernels.zernike import FULL, LANES, PAIRS, Moments, describe, invariants
from tests.kernels.fields import linear, similarities, texture
from tests.kernels.threads import threads

few = settings(max_examples=25, deadline=None)
ROUNDING = 0.02
"""Of the tables of angles, relative to 1."""


def everywhere(moments: Moments) -> NDArray[np.bool_]:
    return np.ones(moments.energy.shape, bool)


def drawn_moments(height: int, width: int, seed: int, levels: int = 60) -> Moments:
    """Random codes, many alike, with the right norm."""
    random = np.random.default_rng(seed)
    kinds = random.normal(size=(max(1, levels), 2 * LANES))
    kinds[:, [len(PAIRS), LANES, LANES + 1, LANES + 2, LANES + len(PAIRS)]] = 0
    kinds *= FULL / np.linalg.norm(kinds, axis=1, keepdims=True)
    codes = np.rint(kinds[random.integers(0, len(kinds), (height, width))]).astype(np.int8)
    energy = random.uniform(1, 100, (height, width)).astype(np.float32)
    return Moments(codes, energy, radius=3, stride=1)


def goals(field: Field) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    width = field.target.shape[1]
    return field.target % width, field.target // width


@few
@given(
    st.integers(1, 14),
    st.integers(1, 14),
    st.integers(1, 5),
    st.sampled_from([1, 5, 1000]),
    st.integers(0, 2),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_what_a_field_says_is_so(
    height: int, width: int, apart: int, levels: int, rounds: int, share: float, seed: int
) -> None:
    moments = drawn_moments(height, width, seed, levels)
    usable = np.random.default_rng(seed).random((height, width)) < share
    field = find_field(moments, usable, apart=apart, rounds=rounds, worth=0.3)
    x, y = goals(field)
    for row, column in np.ndindex(height, width):
        if field.target[row, column] < 0:
            assert field.score[row, column] == 0
            continue
        goal = (int(y[row, column]), int(x[row, column]))
        assert usable[row, column]
        assert usable[goal]
        assert np.hypot(goal[0] - row, goal[1] - column) >= apart
        alike = similarities(moments.codes[row, column], moments.codes[goal])
        said = alike[int(field.mirrored[row, column]), int(field.turn[row, column])]
        assert field.score[row, column] / SCALE == pytest.approx(said, abs=ROUNDING)
        if not rounds:
            assert said > alike.max() - ROUNDING


@pytest.mark.parametrize("apart", [1, 4])
def test_compared_with_all_each_disc_finds_the_nearest_in_feature_space(apart: int) -> None:
    moments = drawn_moments(9, 11, seed=7, levels=1000)
    field = find_field(moments, everywhere(moments), apart=apart, tables=1, reach=99, rounds=0)
    features = invariants(moments, np.arange(99)).astype(float)
    place = np.stack(np.divmod(np.arange(99), 11), axis=1)
    squared = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
    squared[np.hypot(*(place[:, None] - place[None]).T) < apart] = np.inf
    found = squared[np.arange(99), field.target.ravel()]
    np.testing.assert_array_equal(found, squared.min(axis=1))


TURNED = {
    "moved": (0, False),
    "a quarter": (1, False),
    "upside down": (2, False),
    "three quarters": (3, False),
    "mirrored": (0, True),
    "mirrored and turned": (1, True),
}


@pytest.mark.parametrize("kind", TURNED)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_copy_is_found_with_its_turn(kind: str, stride: int) -> None:
    quarters, mirrored = TURNED[kind]
    image = texture((150, 190), seed=11)
    part = image[20:61, 30:71]
    pasted = np.rot90(part[::-1] if mirrored else part, -quarters)  # clockwise: x towards y
    image[90:131, 120:161] = pasted
    radius = 8
    moments = describe(image, radius=radius, stride=stride)
    field = find_field(moments, everywhere(moments), apart=12 // stride)
    inner = np.s_[
        -(-(20) // stride) : (60 - 2 * radius) // stride + 1,
        -(-(30) // stride) : (70 - 2 * radius) // stride + 1,
    ]
    x, y = goals(field)
    rows, columns = np.mgrid[inner]
    centre = np.array([50.0 - radius, 40.0 - radius]) / stride  # of the part, on the grid
    goal = np.array([140.0 - radius, 110.0 - radius]) / stride
    turn = quarters * TURNS // 4
    offsets = np.stack((columns - centre[0], rows - centre[1]))
    expected = np.tensordot(linear(turn, mirrored), offsets, 1) + goal[:, None, None]
    off = np.hypot(x[inner] - expected[0], y[inner] - expected[1])
    assert (off <= 0.01 if stride == 1 else off <= 1.01).mean() > 0.95
    assert (field.mirrored[inner] == mirrored).mean() > 0.95
    away = (field.turn[inner].astype(int) - turn + TURNS // 2) % TURNS - TURNS // 2
    assert (np.abs(away) <= (0 if stride == 1 else 1)).mean() > 0.95
    if stride == 1:
        assert np.median(field.score[inner]) > 0.97 * SCALE


def plain_sweep(
    moments: Moments, usable: NDArray[np.bool_], field: Field, jump: int, apart: int, worth: float
) -> NDArray[np.float64]:
    """The best similarity that each point can take over; see `kernels.patchmatch`."""
    height, width = field.target.shape
    best = field.score / SCALE
    x, y = goals(field)
    for row, column in np.ndindex(height, width):
        if not usable[row, column]:
            continue
        for dx, dy in ((jump, 0), (-jump, 0), (0, jump), (0, -jump)):
            r, c = row + dy, column + dx
            if not (0 <= r < height and 0 <= c < width) or field.target[r, c] < 0:
                continue
            if field.score[r, c] < int(worth * SCALE):
                continue
            turn, mirrored = int(field.turn[r, c]), bool(field.mirrored[r, c])
            moved = np.rint(linear(turn, mirrored) @ (-dx, -dy)).astype(int)
            gx, gy = x[r, c] + moved[0], y[r, c] + moved[1]
            if not (0 <= gx < width and 0 <= gy < height) or not usable[gy, gx]:
                continue
            if np.hypot(gx - column, gy - row) < apart:
                continue
            alike = similarities(moments.codes[row, column], moments.codes[gy, gx])
            best[row, column] = max(best[row, column], alike[int(mirrored), turn])
    return np.asarray(best)


def test_a_sweep_hands_on_what_is_better() -> None:
    moments = describe(texture((44, 48), seed=3), radius=4)
    usable = np.random.default_rng(0).random(moments.energy.shape) < 0.9
    field = find_field(moments, usable, apart=5, tables=1, reach=3, rounds=0)
    for jump in (4, 2, 1):
        after = field.like()
        codes = moments.codes.reshape(-1, 2 * LANES)
        sweep(
            codes,
            usable,
            usable,
            1.0,
            0.0,
            jump,
            5,
            int(0.8 * SCALE),
            *field.parts(),
            *after.parts(),
        )
        expected = plain_sweep(moments, usable, field, jump, 5, 0.8)
        np.testing.assert_allclose(after.score / SCALE, expected, atol=ROUNDING)
        assert (after.score > field.score).any()
        field = after


def test_a_round_makes_nothing_worse() -> None:
    moments = describe(texture((60, 70), seed=5), radius=6)
    fields = [
        find_field(moments, everywhere(moments), apart=6, tables=1, reach=4, rounds=rounds)
        for rounds in (0, 1, 2)
    ]
    assert (fields[1].score >= fields[0].score).all()
    assert (fields[2].score >= fields[1].score).all()
    assert fields[1].score.mean() > fields[0].score.mean()


def test_nothing_to_compare_is_no_match() -> None:
    image = texture((40, 40), seed=1)
    moments = describe(image, radius=4)
    nothing = find_field(moments, np.zeros(moments.energy.shape, bool), apart=4)
    assert (nothing.target == -1).all()
    alone = np.zeros(moments.energy.shape, bool)
    alone[3, 4] = True
    assert (find_field(moments, alone, apart=4).target == -1).all()
    far = find_field(moments, everywhere(moments), apart=1000)
    assert (far.target == -1).all()
    empty = describe(image[:5, :5].copy(), radius=4)
    assert find_field(empty, everywhere(empty), apart=4).target.shape == (0, 0)


def test_a_mask_that_does_not_fit_is_refused() -> None:
    moments = describe(texture((40, 40), seed=1), radius=4)
    with pytest.raises(ValueError, match=r"Got: bool \(3, 3\)"):
        find_field(moments, np.ones((3, 3), bool), apart=4)
    with pytest.raises(ValueError, match="Got: uint8"):
        find_field(moments, everywhere(moments).view(np.uint8), apart=4)
    with pytest.raises(ValueError, match="Got: 0"):
        find_field(moments, everywhere(moments), apart=0)


def test_threads_do_not_change_the_result() -> None:
    moments = describe(texture((120, 130), seed=2), radius=6)
    with threads(1):
        alone = find_field(moments, everywhere(moments), apart=6)
    with threads(2):
        together = find_field(moments, everywhere(moments), apart=6)
    for name in ("target", "turn", "mirrored", "score"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name))


def halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def test_what_a_scaled_field_says_is_so() -> None:
    small, large = drawn_moments(9, 8, 1, levels=12), drawn_moments(16, 13, 1, levels=12)
    random = np.random.default_rng(5)
    asks, answers = random.random((9, 8)) < 0.8, random.random((16, 13)) < 0.8
    apart, ratio = 4, 1.7
    lead = (large.radius + 0.5) * (ratio - 1)
    found = 0
    for rounds in (0, 2):
        field = find_scaled_field(
            small, asks, large, answers, ratio=ratio, apart=apart, rounds=rounds, worth=0.3
        )
        assert field.target.shape == (9, 13)
        assert (field.target[:, 8:] == -1).all()
        assert not field.score[:, 8:].any()
        x, y = goals(field)
        for row, column in np.argwhere(field.target >= 0):
            goal = int(y[row, column]), int(x[row, column])
            assert asks[row, column]
            assert answers[goal]
            home = np.array([row, column]) * ratio + lead
            # In the seeding, homes are rounded to grid points.
            assert np.hypot(*(home - goal)) > apart - 0.75
            alike = similarities(small.codes[row, column], large.codes[goal])
            said = alike[int(field.mirrored[row, column]), int(field.turn[row, column])]
            assert field.score[row, column] / SCALE == pytest.approx(said, abs=ROUNDING)
            found += 1
    assert found > 60


@pytest.mark.parametrize("turned", [0, 1])
def test_a_copy_of_half_the_size_is_found_in_the_reduced_image(turned: int) -> None:
    image = texture((150, 200), seed=2)
    copy = halved(np.rot90(image[20:84, 30:94], turned))
    image[100:132, 140:172] = copy
    large, small = describe(image, radius=6), describe(halved(image), radius=6)
    ones = everywhere(small), everywhere(large)
    field = find_scaled_field(small, ones[0], large, ones[1], ratio=2.0, apart=10)
    # The middle of the source in the reduced image, and of the copy in the image, on their grids.
    middle, goal = (26 - 6, 31 - 6), np.array([116 - 6, 156 - 6])
    around = field.target[middle[0] - 4 : middle[0] + 5, middle[1] - 4 : middle[1] + 5]
    there = np.stack((around // large.energy.shape[1], around % large.energy.shape[1]), axis=-1)
    off = np.abs(there - goal).max(axis=-1)
    assert (off <= 6).mean() > 0.9
    assert np.abs(there[4, 4] - goal).max() <= 1.5
    score = field.score[middle] / SCALE
    assert score > 0.95
    plain = find_field(large, ones[1], apart=10)
    assert plain.score[2 * middle[0] + 6, 2 * middle[1] + 6] / SCALE < score


def test_nothing_asks_or_nothing_answers() -> None:
    small, large = drawn_moments(4, 4, 1), drawn_moments(8, 8, 1)
    ones = everywhere(small), everywhere(large)
    for asks, answers in ((~ones[0], ones[1]), (ones[0], ~ones[1])):
        field = find_scaled_field(small, asks, large, answers, ratio=2.0, apart=1)
        assert (field.target == -1).all()
        assert not field.score.any()


def test_scaled_fields_of_what_does_not_fit_are_refused() -> None:
    small, large = drawn_moments(4, 4, 1), drawn_moments(8, 8, 1)
    ones = everywhere(small), everywhere(large)
    with pytest.raises(ValueError, match="the smaller one"):
        find_scaled_field(large, ones[1], small, ones[0], ratio=2.0, apart=1)
    with pytest.raises(ValueError, match=r"ratio 1\.0"):
        find_scaled_field(small, ones[0], large, ones[1], ratio=1.0, apart=1)
    with pytest.raises(ValueError, match="the same discs"):
        other = Moments(small.codes, small.energy, 3, 2)
        find_scaled_field(other, ones[0], large, ones[1], ratio=2.0, apart=1)
    with pytest.raises(ValueError, match=r"Got: bool \(8, 8\)"):
        find_scaled_field(small, ones[1], large, ones[1], ratio=2.0, apart=1)


@pytest.mark.parametrize("count", [1, 2])
def test_a_scaled_field_does_not_depend_on_threads(count: int) -> None:
    image = texture((120, 140), seed=6)
    large, small = describe(image, radius=5), describe(halved(image), radius=5)
    how = {"ratio": 2.0, "apart": 6, "worth": 0.5}
    ones = everywhere(small), everywhere(large)
    expected = find_scaled_field(small, ones[0], large, ones[1], **how)  # type: ignore[arg-type]
    with threads(count):
        found = find_scaled_field(small, ones[0], large, ones[1], **how)  # type: ignore[arg-type]
    for ours, theirs in zip(found.parts(), expected.parts(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
