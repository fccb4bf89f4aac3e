"""The comparing and verifying kernels on a device against those of the CPU."""

from __future__ import annotations

from random import Random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.affine_map import mark_outside
from kernels.correlate import refine
from kernels.cuda import local_correlation as local_correlation_cuda
from kernels.cuda import moved, nearest, verification, windows
from kernels.cuda.correlate import starts_of
from kernels.cuda.device import Device
from kernels.cuda.verification import Verification
from kernels.extent import extent
from kernels.local_correlation import local_correlation
from kernels.moved import correlations
from kernels.nearest import most_similar
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.kernels.local_matches import Image, Matches, images_and_matches, linear, texture
from tests.kernels.test_local_correlation import plain as every_box
from tests.kernels.test_nearest import SWAP, whole_numbers

few = settings(max_examples=40, deadline=None)

CORRELATION = 1e-4
"""Rounding of float32 sums over a patch or a window, of images of contrast 20 and level 100."""


def copies(shape: tuple[int, int], count: int, seed: int) -> tuple[Image, Matches]:
    """An image beside its own turned copy, and matches near the true ones."""
    random = np.random.default_rng(seed)
    height, width = shape
    matrix = linear(float(random.uniform(0, 360)), float(random.uniform(0.8, 1.25)), seed % 2 == 1)
    goal = np.array([width / 2, height / 2])
    there = np.column_stack((matrix, goal - matrix @ goal))
    left = texture(shape, seed)
    right = cv2.warpAffine(left, there, (width, height), borderMode=cv2.BORDER_REFLECT)
    image = np.ascontiguousarray(np.hstack((left, right)), np.float32)
    points = np.column_stack((random.uniform(0, width, count), random.uniform(0, height, count)))
    ends = points @ there[:, :2].T + there[:, 2] + (width, 0) + random.normal(0, 0.8, (count, 2))
    maps = np.tile(matrix.ravel(), (count, 1)) * random.normal(1, 0.02, (count, 4))
    return image, np.column_stack((points, ends, maps))


# --- the most similar descriptors


@few
@given(
    st.integers(0, 150),
    st.sampled_from([0.0, 5.0, 100.0]),
    st.sampled_from([1, 2, 4, 70]),
    st.sampled_from([1, 30]),
    st.sampled_from([-np.inf, 0.0, 3.0]),
    st.sampled_from([1, 3, 2048]),
    st.integers(0, 2**32 - 1),
)
def test_neighbours_are_those_of_the_cpu(
    device: Device, n: int, apart: float, k: int, levels: int, least: float, blocks: int, seed: int
) -> None:
    descriptors, points = whole_numbers(n, levels, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "_BLOCKS", blocks)
        found = Verification(device).most_similar(
            descriptors, SWAP, points, apart=apart, k=k, least=least
        )
    expected = most_similar(descriptors, SWAP, points, apart=apart, k=k, least=least)
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("fixed", [0, 1, 2, 3])
def test_descriptors_of_128_entries(device: Device, fixed: int) -> None:
    random = np.random.default_rng(fixed)
    width = 128 - 4 * (fixed > 0)
    mirror = np.arange(width)
    pairs = random.permutation(width)[: (width - fixed) // 2 * 2].reshape(-1, 2)
    mirror[pairs[:, 0]], mirror[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    descriptors = np.sqrt(random.dirichlet(np.ones(width) / 4, 200)).astype(np.float32)
    descriptors[100:] = descriptors[:100] + random.normal(0, 0.02, (100, width))
    points = random.uniform(0, 400, (200, 2))
    ours = Verification(device).most_similar(descriptors, mirror, points, apart=12.0, k=4)
    theirs = most_similar(descriptors, mirror, points, apart=12.0, k=4)
    for (index, value), (other_index, other_value) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(value, other_value, atol=2e-6)
        # Those that are well ahead of the next are the same.
        clear = other_value[:, 0] - other_value[:, 1] > 1e-5
        assert clear.sum() > 150
        np.testing.assert_array_equal(index[clear, 0], other_index[clear, 0])


@pytest.mark.parametrize(
    ("count", "slices"), [(0, 1), (1, 1), (32, 1), (33, 2), (5000, 14), (60_000, 2), (10**6, 1)]
)
def test_the_work_is_shared_out(count: int, slices: int) -> None:
    how = nearest.plan(count, 4)
    assert how.slices == slices
    assert how.span % 32 == 0
    assert how.span * how.slices >= count > how.span * (how.slices - 1) - (count == 0)
    assert how.work_bytes <= 16 * 4 * (2 * count + 65_536 + 32)


# --- refinement


@few
@given(images_and_matches(), st.sampled_from([1, 3, 8, 10]), st.sampled_from([-2.0, 0.2]))
def test_correlations_before_the_first_step(
    device: Device, drawn: tuple[Image, Matches], radius: int, hopeless: float
) -> None:
    image, matches = drawn
    if not image.size:
        return
    ours = Verification(device).refine(image, matches, radius=radius, steps=0, hopeless=hopeless)
    theirs = refine(image, matches, radius=radius, steps=0, hopeless=hopeless)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1] == -1, theirs[1] == -1)
    np.testing.assert_allclose(ours[1], theirs[1], atol=CORRELATION)
    np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_matches_end_where_those_of_the_cpu_do(device: Device, seed: int) -> None:
    image, matches = copies((90, 100), 80, seed)
    ours = Verification(device).refine(image, matches)
    theirs = refine(image, matches)
    inside = theirs[1] > -1
    np.testing.assert_array_equal(ours[1] > -1, inside)
    np.testing.assert_array_equal(ours[0][:, :2], matches[:, :2])
    good = theirs[1] > 0.9
    assert good.sum() > 20
    assert (theirs[1] - refine(image, matches, steps=0)[1])[good].max() > 0.1  # there was a way
    # Whether a step is the last may hang on rounding, of few, and the next would be short.
    np.testing.assert_allclose(ours[1][good], theirs[1][good], atol=2e-3)
    near = np.abs(ours[0][:, 2:4] - theirs[0][:, 2:4]).max(axis=1)
    assert np.quantile(near[good], 0.95) < 1e-3
    assert near[good].max() < 0.1


@few
@given(images_and_matches(), st.integers(1, 8))
def test_steps_never_make_a_match_worse(
    device: Device, drawn: tuple[Image, Matches], steps: int
) -> None:
    image, matches = drawn
    if not image.size:
        return
    before = refine(image, matches, steps=0)[1]
    refined, correlation, contrast = Verification(device).refine(image, matches, steps=steps)
    assert (correlation >= before - CORRELATION).all()
    assert (correlation <= 1 + 1e-5).all()
    assert np.isfinite(refined).all()
    # What is said of the place is true of it.
    again = refine(image, refined, steps=0)
    np.testing.assert_allclose(correlation, again[1], atol=CORRELATION)
    np.testing.assert_allclose(contrast, again[2], rtol=1e-4, atol=1e-6)


def test_matches_of_one_point_do_not_depend_on_each_other(device: Device) -> None:
    image, matches = copies((90, 100), 30, 5)
    matches[:, :2] = (50, 45)
    matches[10:20, :2] = (48.5, 40)
    together = Verification(device).refine(image, matches)
    for n in range(30):
        alone = Verification(device).refine(image, matches[n : n + 1])
        for one, some in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], some[n])
    assert starts_of(matches).tolist() == [0, 10, 20, 30]
    assert starts_of(matches[:0]).tolist() == [0]


def test_given_up_after_two_steps(device: Device) -> None:
    image, matches = copies((90, 100), 60, 6)
    matches[:, 2:4] += np.random.default_rng(4).normal(0, 3, (60, 2))
    verification = Verification(device)
    two = verification.refine(image, matches, hopeless=-2, steps=2)
    eight = verification.refine(image, matches, hopeless=-2)
    found = verification.refine(image, matches, hopeless=-2, promising=0.6)
    given_up = two[1] < 0.6
    assert 5 < given_up.sum() < 55
    for some, after_two, after_eight in zip(found, two, eight, strict=True):
        np.testing.assert_array_equal(some[given_up], after_two[given_up])
        np.testing.assert_array_equal(some[~given_up], after_eight[~given_up])


# --- extents


@few
@given(
    images_and_matches(longest=60),
    st.sampled_from([0, 1, 9, 24, 31]),
    st.sampled_from([1, 3, 7]),
    st.sampled_from([0.0, 0.5, 0.75]),
)
def test_extents_are_those_of_the_cpu(
    device: Device, drawn: tuple[Image, Matches], radius: int, window: int, threshold: float
) -> None:
    image, matches = drawn
    if not image.size:
        return
    if len(matches):  # make some of them true: nearly the identity
        matches[::2, 4:] = linear(1, 1.01, mirrored=False).ravel()
        matches[::2, 2:4] = matches[::2, :2] + 0.3
    check_extents(device, image, matches, radius, window, threshold)


@pytest.mark.parametrize("seed", range(3))
def test_extents_of_copies(device: Device, seed: int) -> None:
    image, matches = copies((90, 100), 60, seed)
    found = check_extents(device, image, refine(image, matches)[0], 24, 7, 0.75)
    assert (found[:, 0] > 300).sum() > 10


def check_extents(
    device: Device, image: Image, matches: Matches, radius: int, window: int, threshold: float
) -> NDArray[np.float32]:
    fine = (image - cv2.GaussianBlur(image, (0, 0), 1.0)).astype(np.float32)
    low, theirs, high = (
        extent(image, fine, matches, radius=radius, window=window, threshold=threshold + shift)
        for shift in (-CORRELATION, 0.0, CORRELATION)
    )
    ours = Verification(device).extent(
        image, fine, matches, radius=radius, window=window, threshold=threshold
    )
    sure = low[:, 0] == high[:, 0]  # elsewhere rounding decides
    np.testing.assert_array_equal(ours[sure][:, [0, 4]], theirs[sure][:, [0, 4]])
    np.testing.assert_allclose(ours[sure, 1], theirs[sure, 1], atol=CORRELATION)
    np.testing.assert_allclose(ours[sure, 2], theirs[sure, 2], atol=5e-3)
    assert (np.abs(ours[sure, 3] - theirs[sure, 3]) <= 1.01 / 64).all()
    assert (ours[:, 0] >= high[:, 0]).all()
    assert (ours[:, 0] <= low[:, 0]).all()
    return theirs


def test_a_winding_area_is_flooded_to_its_end(device: Device) -> None:
    """The flood goes up and down again, along passages of a pixel."""
    agrees = np.zeros((33, 33), bool)
    agrees[1::4] = True
    agrees[3::8, -2] = agrees[2::8, -2] = agrees[4::8, -2] = True
    agrees[7::8, 1] = agrees[6::8, 1] = agrees[8::8, 1] = True
    random = np.random.default_rng(0)
    left = random.normal(0, 20, (33, 33)).astype(np.float32)
    right = np.where(agrees, left, random.normal(0, 20, left.shape)).astype(np.float32)
    image = np.ascontiguousarray(np.hstack((np.pad(left, 4), np.pad(right, 4))))
    match = np.array([[20.0, 20.0, 61.0, 20.0, 1.0, 0.0, 0.0, 1.0]])
    for radius in (8, 16, 20):
        # Windows of one row: three pixels correlate well by chance too, which makes it wind.
        for threshold in (0.2, 0.5, 0.9):
            check_extents(device, image, match, radius, 3, threshold)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300, 3e9])
@pytest.mark.parametrize("column", range(8))
def test_matches_that_are_nowhere(device: Device, column: int, value: float) -> None:
    image = texture((60, 60), seed=2)
    match = np.array([[30.0, 30.0, 30.0, 30.0, 1.0, 0.0, 0.0, 1.0]])
    match[0, column] = value
    verification = Verification(device)
    assert not verification.extent(image, image, match).any()
    ours, theirs = verification.refine(image, match), refine(image, match)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


# --- local correlation


@few
@given(
    st.integers(1, 45),
    st.integers(1, 45),
    st.sampled_from([1, 2, 3, 7, 15]),
    st.sampled_from([0.0, 1000.0]),
    st.sampled_from([0.0, 0.02]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_local_correlation_is_that_of_the_cpu(
    device: Device,
    height: int,
    width: int,
    side: int,
    level: float,
    unknown: float,
    flat: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    first = texture((height, width), seed % 1000) + np.float32(level)
    second = (0.7 * first + random.normal(0, 8, first.shape)).astype(np.float32)
    if flat:
        first[: height // 2] = 3
    second[random.random(second.shape) < unknown] = random.choice([np.nan, np.inf])
    ours = Verification(device).local_correlation(first, second, side)
    theirs = local_correlation(first, second, side)
    assert ours.dtype == np.float32
    check_locals(ours, theirs, first, second, side)


def check_locals(ours: Image, theirs: Image, first: Image, second: Image, side: int) -> None:
    differs = np.abs(ours - theirs) > 3 * CORRELATION
    if differs.any():  # only where a variance is about the least that counts
        assert np.isnan(every_box(first, second, side)[differs]).all()
        assert (np.minimum(ours, theirs)[differs] == -1).all()


@few
@given(
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5),
    st.sampled_from([1, 4, 7, 15]),
    st.integers(0, 2**32 - 1),
)
def test_views_are_those_of_opencv(
    device: Device, corners: list[tuple[float, float, float, float]], side: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    image = texture((70, 90), seed % 1000) + np.float32(100)
    boxes, affines = [], []
    for x0, y0, x1, y1 in corners:
        left, top = int(min(x0, x1) * 80), int(min(y0, y1) * 60)
        boxes.append(
            [left, top, left + 1 + int(abs(x1 - x0) * 70), top + 1 + int(abs(y1 - y0) * 50)]
        )
        boxes[-1][2:] = [min(boxes[-1][2], 90), min(boxes[-1][3], 70)]
        matrix = linear(
            float(random.uniform(0, 360)), float(random.uniform(0.6, 1.7)), bool(seed % 2)
        )
        middle, goal = np.array([45.0, 35.0]), random.uniform((20, 15), (70, 55))
        affines.append(np.column_stack((matrix, goal - matrix @ middle)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "PIXELS", 2000)
        found = Verification(device).view_correlations(
            image, np.array(boxes), np.array(affines), side
        )
    assert len(found) == len(boxes)
    for (seen, correlation), box, affine in zip(found, boxes, affines, strict=True):
        left, top, right, bottom = box
        moved = affine.copy()
        moved[:, 2] += affine[:, 0] * left + affine[:, 1] * top
        expected = cv2.warpAffine(
            image, moved, (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        ).reshape(bottom - top, right - left).astype(np.float32)  # fmt: skip
        mark_outside(expected, moved, image.shape)
        np.testing.assert_array_equal(np.isnan(seen), np.isnan(expected))
        np.testing.assert_allclose(seen, expected, atol=0.01)
        here = np.ascontiguousarray(image[top:bottom, left:right])
        check_locals(correlation, local_correlation(here, seen, side), here, seen, side)


# --- correlations of regions


@few
@given(
    st.lists(st.floats(0, 1), min_size=0, max_size=4),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.0, 20.0]),
    st.integers(0, 2**32 - 1),
)
def test_correlations_are_those_of_the_cpu(
    device: Device, shares: list[float], height: int, width: int, contrast: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    image = texture((height, width), seed % 1000, contrast=contrast) + np.float32(50)
    moves = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, -2.0], [0.25, 1.5], [1000.0, 0.0]])
    regions, affines = [], []
    for share in shares:
        rows, columns = np.nonzero(random.random((height, width)) < share)
        regions.append((rows, columns))
        matrix = linear(float(random.uniform(0, 360)), float(random.uniform(0.6, 1.7)), False)
        goal = random.uniform(0, 1, 2) * (width, height)
        affines.append(np.column_stack((matrix, goal - matrix @ (width / 2, height / 2))))
    maps = np.array(affines).reshape(-1, 2, 3)
    verification = Verification(device)
    found = verification.region_correlations(image, regions, maps, moves)
    assert found.shape == (len(shares), len(moves))
    for row, region, affine in zip(found, regions, maps, strict=True):
        expected = correlations(image, *region, affine, moves)
        np.testing.assert_allclose(row, expected, atol=1e-9)
        np.testing.assert_array_equal(verification.correlations(image, *region, affine, moves), row)


# --- all of them


def test_images_are_held_until_they_are_released(device: Device) -> None:
    image, matches = copies((90, 100), 5, 1)
    verification = Verification(device)
    first = verification.refine(image, matches, steps=0)[1]
    changed = image.copy()
    verification.hold(changed, changed)
    for _ in range(2):
        np.testing.assert_array_equal(verification.refine(changed, matches, steps=0)[1], first)
        changed[:] = 0  # against the rules, but it was waited for: what was uploaded is still used
    verification.release()
    assert (verification.refine(changed, matches, steps=0)[1] == -1).all()


def test_matches_in_parts(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    image, matches = copies((90, 100), 40, 2)
    matches[:, :2] = np.repeat(matches[::8, :2], 8, axis=0)
    verifier = Verification(device)
    whole = (*verifier.refine(image, matches), verifier.extent(image, image, matches))
    monkeypatch.setattr(verification, "MATCHES", 7)  # also within the matches of one point
    parts = (*verifier.refine(image, matches), verifier.extent(image, image, matches))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_windows_and_regions_in_parts(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    image, matches = copies((90, 100), 7, 2)
    corners = matches[:, :2].astype(np.int64)
    boxes = np.concatenate((corners // 2, corners // 2 + 20), axis=1)
    maps = np.concatenate((matches[:, 4:].reshape(-1, 2, 2), matches[:, 2:4, None]), axis=2)
    regions = [(np.arange(n, n + 40), np.arange(40)) for n in range(7)]
    moves = np.array([[0.0, 0.0], [2.0, 1.0]])
    whole, parts = Verification(device), Verification(device)
    views = whole.view_correlations(image, boxes, maps, 7)
    places = whole.region_correlations(image, regions, maps * 0.5, moves)
    monkeypatch.setattr(windows, "MOST", 3)
    monkeypatch.setattr(local_correlation_cuda, "MOST", 3)
    monkeypatch.setattr(moved, "MOST", 3)
    for ours, theirs in zip(
        parts.view_correlations(image, boxes, maps, 7), views, strict=True
    ):  # fmt: skip
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        parts.region_correlations(image, regions, maps * 0.5, moves), places
    )
    assert len(np.unique(places)) > 7


@needs_compiler
def test_the_order_of_blocks_does_not_matter() -> None:
    image, matches = copies((90, 100), 40, 3)
    descriptors, points = whole_numbers(100, 3, 0)
    results = []
    for seed in range(2):
        verifier = Verification(HostDevice(Random(seed)))
        best = verifier.most_similar(descriptors, SWAP, points, apart=1.0, k=3)
        results.append([
            *verifier.refine(image, matches), verifier.extent(image, image, matches),
            *best[0], *best[1],
        ])  # fmt: skip
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
