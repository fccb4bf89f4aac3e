from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.correlate import refine
from tests.kernels.local_matches import (
    Image,
    Matches,
    images_and_matches,
    linear,
    match_of,
    sample,
    texture,
)
from tests.kernels.threads import threads

few = settings(max_examples=60, deadline=None)
Patch = NDArray[np.float64]


def patches(image: Image, match: NDArray[np.float64], radius: int) -> tuple[Patch, Patch] | None:
    """The two patches of a match; None where one leaves the image."""
    height, width = image.shape
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    found = []
    for x, y, (a, b, c, d) in (
        (match[0], match[1], (1.0, 0.0, 0.0, 1.0)),
        (match[2], match[3], match[4:]),
    ):
        px, py = x + a * u + b * v, y + c * u + d * v
        if px.min() < 0 or py.min() < 0 or px.max() >= width - 1.001 or py.max() >= height - 1.001:
            return None
        found.append(sample(image, px, py))
    return found[0], found[1]


def correlation_of(first: Patch, second: Patch) -> float:
    if first.std() < 1e-9 or second.std() < 1e-9:
        return -1.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def wide_patch(image: Image, match: NDArray[np.float64], radius: int) -> Patch | None:
    """The first patch with the rim of a pixel that its derivatives need."""
    both = patches(image, np.r_[match[:2], match[:2], np.eye(2).ravel()], radius + 1)
    return None if both is None else both[0]


def plain_agreement(image: Image, matches: Matches, radius: int) -> NDArray[np.float64]:
    expected = np.full(len(matches), -1.0)
    for n, match in enumerate(matches):
        pair = patches(image, match, radius)
        if pair is not None and wide_patch(image, match, radius) is not None:
            expected[n] = correlation_of(*pair)
    return expected


def agreement(image: Image, matches: Matches, *, radius: int = 8) -> NDArray[np.float32]:
    """The correlation of the patches as they are."""
    return refine(image, matches, radius=radius, steps=0)[1]


def plain_step(image: Image, match: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """One inverse-compositional Gauss-Newton step, by least squares over the whole Jacobian."""
    wide = wide_patch(image, match, radius)
    both = patches(image, match, radius)
    assert wide is not None
    assert both is not None
    gain = both[0].std() * both[0].size ** 0.5
    inner, other = ((patch - patch.mean()) / patch.std() / patch.size**0.5 for patch in both)
    dy, dx = (part[1:-1, 1:-1] / gain for part in np.gradient(wide))
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    jacobian = np.stack([dx * u, dx * v, dx, dy * u, dy * v, dy], axis=-1).reshape(-1, 6)
    jacobian -= jacobian.mean(axis=0)
    gram = jacobian.T @ jacobian
    damped = gram + 0.001 * np.diag(np.diag(gram))
    p = np.linalg.solve(damped, jacobian.T @ (other - inner).ravel())
    step = np.array([[1 + p[0], p[1], p[2]], [p[3], 1 + p[4], p[5]], [0, 0, 1]])
    warp = np.array([[*match[4:6], match[2]], [*match[6:8], match[3]], [0, 0, 1]])
    warp = warp @ np.linalg.inv(step)
    return np.r_[match[:2], warp[0, 2], warp[1, 2], warp[0, :2], warp[1, :2]]


@few
@given(images_and_matches(), st.sampled_from([0, 1, 3, 8]))
def test_without_steps_it_is_the_correlation_of_the_two_patches(
    drawn: tuple[Image, Matches], radius: int
) -> None:
    image, matches = drawn
    found = agreement(image, matches, radius=radius)
    assert found.dtype == np.float32
    assert found.shape == (len(matches),)
    np.testing.assert_allclose(found, plain_agreement(image, matches, radius), atol=2e-4)


@few
@given(images_and_matches(), st.sampled_from([1, 4, 8]), st.sampled_from([-2.0, 0.2]))
def test_refine_gives_the_agreement_of_the_map_it_returns(
    drawn: tuple[Image, Matches], radius: int, hopeless: float
) -> None:
    image, matches = drawn
    given_matches = matches.copy()
    refined, correlation, contrast = refine(image, matches, radius=radius, hopeless=hopeless)
    np.testing.assert_array_equal(matches, given_matches)
    assert (refined.dtype, correlation.dtype, contrast.dtype) == (
        np.float64,
        np.float32,
        np.float32,
    )
    assert np.isfinite(refined).all()
    assert np.isfinite(correlation).all()
    assert np.isfinite(contrast).all()
    np.testing.assert_array_equal(refined[:, :2], matches[:, :2])
    for before, after, score, spread in zip(matches, refined, correlation, contrast, strict=True):
        start = patches(image, before, radius)
        wide = wide_patch(image, before, radius)
        if start is None or wide is None or min(start[0].std(), start[1].std()) < 1e-9:
            assert score == -1
            assert spread == 0
            np.testing.assert_array_equal(after, before)
            continue
        end = patches(image, after, radius)
        assert end is not None
        assert score == pytest.approx(correlation_of(*end), abs=2e-4)
        assert spread == pytest.approx(min(end[0].std(), end[1].std()), rel=1e-3, abs=1e-3)
        assert score >= correlation_of(*start) - 2e-4


def test_one_step_is_the_step_of_least_squares() -> None:
    image = texture((80, 90), seed=4, sigma=3.0)
    near = linear(3, 1.02, mirrored=False)
    # Each starts a little off the identity, where one step is sure to be for the better.
    starts = np.concatenate(
        [match_of((x, y), (x + 0.7, y - 0.5), near) for x, y in [(30, 30), (41.5, 28.25), (50, 45)]]
    )
    refined, correlation, _ = refine(image, starts, radius=8, steps=1)
    assert (correlation > agreement(image, starts, radius=8)).all()
    for start, end in zip(starts, refined, strict=True):
        np.testing.assert_allclose(end, plain_step(image, start, 8), atol=1e-4)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0.0, 33.0, 180.0])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.5, 40.0)])
def test_refine_finds_the_map_of_a_warped_copy(
    turn: float, mirrored: bool, gain: float, offset: float
) -> None:
    scene = texture((100, 100), seed=7, sigma=2.0)
    matrix = linear(turn, 1.1, mirrored)
    centre = np.array([50.0, 50.0])
    inverse = np.linalg.inv(matrix)
    rows, columns = np.mgrid[:100, :100].astype(np.float64)
    back = np.stack([columns - 50.4, rows - 49.7], axis=-1) @ inverse.T + centre
    copy = sample(scene, back[..., 0], back[..., 1]) * gain + offset
    image = np.ascontiguousarray(np.hstack([scene, copy]), dtype=np.float32)
    off = linear(4, 0.97, mirrored=False) @ matrix
    start = match_of((50, 50), (151.6, 48.9), off)
    refined, correlation, _ = refine(image, start)
    assert correlation[0] > 0.99
    np.testing.assert_allclose(refined[0, 2:4], [150.4, 49.7], atol=0.1)
    np.testing.assert_allclose(refined[0, 4:].reshape(2, 2), matrix, atol=0.02)


def test_a_hopeless_match_is_left_as_it_is() -> None:
    image = texture((60, 120), seed=1)
    start = match_of((30, 30), (90, 30), np.eye(2))
    score = agreement(image, start)[0]
    refined, correlation, contrast = refine(image, start, hopeless=float(score) + 0.01)
    np.testing.assert_array_equal(refined, start)
    assert correlation[0] == pytest.approx(score)
    assert contrast[0] > 0


def test_along_a_straight_edge_the_match_stays_finite() -> None:
    image = np.zeros((60, 60), np.float32)
    image[:, 30:] = 100  # every patch holds the same edge: the fit has no unique solution
    start = match_of((30, 25), (30.4, 40), np.eye(2))
    refined, correlation, _ = refine(image, start)
    assert np.isfinite(refined).all()
    assert 0 < correlation[0] <= 1.0001


@pytest.mark.parametrize("x", [8.0, 7.999, 51.0 - 0.002, 51.0])
def test_the_last_patch_inside_the_image_counts_and_the_next_does_not(x: float) -> None:
    image = texture((60, 60), seed=2)
    match = match_of((30, 30), (x, 30), np.eye(2))
    inside = x >= 8 and x + 8 < 59 - 0.001
    assert (agreement(image, match, radius=8)[0] > -1) == inside


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300])
@pytest.mark.parametrize("column", range(8))
def test_a_match_that_is_not_finite_is_outside(column: int, value: float) -> None:
    image = texture((60, 60), seed=2)
    match = match_of((30, 30), (30, 30), np.eye(2))
    match[0, column] = value
    assert agreement(image, match)[0] == -1
    assert refine(image, match)[1][0] == -1


def test_wrong_arrays_are_refused() -> None:
    image = texture((40, 40), seed=0)
    match = match_of((20, 20), (20, 20), np.eye(2))
    with pytest.raises(ValueError, match=r"matches are \(n, 8\)\. Got: \(1, 6\)"):
        refine(image, match[:, :6])
    for wrong in (image.astype(np.float64), np.asfortranarray(image), image[::2, ::2]):
        with pytest.raises(TypeError):
            refine(wrong, match)
    with pytest.raises(TypeError):
        refine(image, np.repeat(match, 2, axis=0)[:, ::-1])


def scattered(count: int, seed: int) -> tuple[Image, Matches]:
    """An image and matches in it that lie a little off the identity."""
    image = texture((200, 200), seed=5)
    random = np.random.default_rng(seed)
    points = random.uniform(10, 190, (count, 2))
    maps = np.tile(linear(2, 1.01, mirrored=False).ravel(), (count, 1))
    return image, np.column_stack((points, points + random.normal(0, 1, (count, 2)), maps))


def test_matches_of_one_point_do_not_know_of_each_other() -> None:
    image, matches = scattered(60, seed=1)
    matches[:, :2] = np.repeat(matches[::3, :2], 3, axis=0)
    matches[:, 2:4] = matches[:, :2] + np.random.default_rng(2).normal(0, 2, (60, 2))
    matches[7, 2:4] = -50  # one outside of the image among them
    together = refine(image, matches)
    for n, match in enumerate(matches):
        for one, all_of_them in zip(refine(image, match[None]), together, strict=True):
            np.testing.assert_array_equal(one[0], all_of_them[n])


def test_what_does_not_promise_is_given_up_after_two_steps() -> None:
    image, matches = scattered(200, seed=3)
    matches[:, 2:4] += np.random.default_rng(4).normal(0, 3, (200, 2))
    two = refine(image, matches, hopeless=-2, steps=2)
    eight = refine(image, matches, hopeless=-2)
    given_up = two[1] < 0.6
    assert 20 < given_up.sum() < 180
    assert (eight[1] > two[1] + 0.05)[given_up].any()
    found = refine(image, matches, hopeless=-2, promising=0.6)
    for some, after_two, after_eight in zip(found, two, eight, strict=True):
        np.testing.assert_array_equal(some[given_up], after_two[given_up])
        np.testing.assert_array_equal(some[~given_up], after_eight[~given_up])


def test_threads_do_not_change_the_result() -> None:
    image, matches = scattered(500, seed=0)
    with threads(1):
        alone = refine(image, matches)
    with threads(2):
        together = refine(image, matches)
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)
