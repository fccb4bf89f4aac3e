from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from forgecli.match.keypoints import Keypoints, find_keypoints, most_keypoints, upscale_factor
from forgecli.match.settings import MatchSettings
from tests.match.pictures import cells, mask_of_disc, tissue

SETTINGS = MatchSettings()
PLAIN = MatchSettings(upscale_below=1)


def keypoints_of(grey: np.ndarray, settings: MatchSettings = PLAIN) -> Keypoints:
    return find_keypoints(grey.astype(np.float32), np.ones(grey.shape, bool), settings)


def test_what_a_keypoint_holds() -> None:
    found = keypoints_of(tissue((120, 150), seed=1))
    count = len(found)
    assert count > 100
    assert found.points.shape == (count, 2)
    assert found.sizes.shape == found.angles.shape == (count,)
    assert found.descriptors.shape == (count, 128)
    assert (found.points.dtype, found.descriptors.dtype) == (np.float64, np.float32)
    assert (found.points >= -0.5).all()
    assert (found.points <= np.array([149.5, 119.5])).all()
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)


def test_mirrored_descriptors_are_those_of_the_mirrored_picture() -> None:
    grey = cells((200, 240), seed=2, count=40)
    found, flipped = keypoints_of(grey), keypoints_of(grey[:, ::-1])
    there = np.column_stack((239 - flipped.points[:, 0], flipped.points[:, 1]))
    distance, index = cKDTree(there).query(found.points)
    turned = np.pi - flipped.angles[index]
    # Of the keypoints at one place, those whose orientation is the mirrored one.
    same = (distance < 0.7) & (np.abs(np.angle(np.exp(1j * (turned - found.angles)))) < 0.1)
    same &= np.abs(np.log(flipped.sizes[index] / found.sizes)) < 0.1
    assert same.sum() > 0.3 * len(found)
    mirrored = found.mirrored()[same]
    really = flipped.descriptors[index[same]]
    similarity = (mirrored * really).sum(axis=1)
    assert np.median(similarity) > 0.97
    unmirrored = (found.descriptors[same] * really).sum(axis=1)
    assert np.median(unmirrored) < 0.9


def test_to_mirror_twice_changes_nothing() -> None:
    found = keypoints_of(tissue((80, 80), seed=3))
    again = Keypoints(found.points, found.sizes, found.angles, found.mirrored()).mirrored()
    np.testing.assert_array_equal(again, found.descriptors)


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((1024, 700), 1), ((1023, 1023), 2), ((512, 512), 2), ((300, 511), 3), ((40, 60), 4)],
)
def test_small_pictures_are_enlarged(shape: tuple[int, int], factor: int) -> None:
    settings = MatchSettings(upscale_below=1024, max_upscale=4, halve_above=2000)
    assert upscale_factor(shape, settings) == factor


@pytest.mark.parametrize(
    ("shape", "factor"), [((900, 901), 0.5), ((1, 901), 0.5), ((900, 900), 1), ((300, 300), 2)]
)
def test_large_pictures_are_halved(shape: tuple[int, int], factor: float) -> None:
    settings = MatchSettings(upscale_below=400, max_upscale=2, halve_above=900)
    assert upscale_factor(shape, settings) == factor


@pytest.mark.parametrize("shape", [(120, 150), (121, 150), (120, 151), (121, 151)])
def test_points_of_a_halved_picture_are_in_its_own_pixels(shape: tuple[int, int]) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    grey = 60 + 150 * np.exp(-((x - 81.0) ** 2 + (y - 73.0) ** 2) / (2 * 8.0**2))
    found = keypoints_of(grey, MatchSettings(halve_above=100))
    away = np.abs(found.points - (81.0, 73.0)).max(axis=1)
    assert (
        away.min() < 0.7
    )  # OpenCV's doubling moves points by a quarter of its pixels, here a half
    assert found.sizes[away.argmin()] == pytest.approx(15, rel=0.2)


def test_a_halved_picture_has_fewer_keypoints_where_it_may_have_them() -> None:
    grey = tissue((161, 201), seed=1)
    usable = mask_of_disc((161, 201), (70, 60), 40)
    whole = find_keypoints(grey.astype(np.float32), usable, PLAIN)
    half = find_keypoints(
        grey.astype(np.float32), usable, MatchSettings(upscale_below=1, halve_above=100)
    )
    assert 20 < len(half) < 0.6 * len(whole)
    # The mask is halved too, and a keypoint lies on the nearest of its pixels.
    assert np.hypot(*(half.points - (70, 60)).T).max() < 40 + 2


@pytest.mark.parametrize("shape", [(1, 120), (120, 1), (2, 121)])
def test_a_strip_may_be_halved(shape: tuple[int, int]) -> None:
    assert len(keypoints_of(np.full(shape, 90.0), MatchSettings(halve_above=100))) == 0


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_points_are_in_pixels_of_the_picture_whatever_the_enlargement(factor: int) -> None:
    """Around a spot that is symmetric the keypoint lies at its middle."""
    y, x = np.mgrid[:80, :80]
    grey = 60 + 150 * np.exp(-((x - 41.2) ** 2 + (y - 33.3) ** 2) / (2 * 4.0**2))
    settings = MatchSettings(upscale_below=80 * factor, max_upscale=factor)
    assert upscale_factor(grey.shape, settings) == factor
    found = keypoints_of(grey, settings)
    away = np.abs(found.points - (41.2, 33.3)).max(axis=1)
    assert away.min() < 0.35
    assert found.sizes[away.argmin()] == pytest.approx(7.5, rel=0.2)  # twice the blob's scale


def test_enlarged_pictures_have_more_keypoints() -> None:
    grey = cells((150, 150), seed=2, count=20)
    enlarged = MatchSettings(upscale_below=600, max_upscale=4)
    assert len(keypoints_of(grey, enlarged)) > 1.5 * len(keypoints_of(grey))


def test_faint_pictures_are_stretched() -> None:
    grey = cells((150, 150), seed=2, count=20)
    faint = 100 + (grey - grey.mean()) * 0.1
    assert len(keypoints_of(faint)) > 0.7 * len(keypoints_of(grey))


def test_keypoints_lie_where_they_may() -> None:
    usable = mask_of_disc((120, 150), (70, 60), 30)
    found = find_keypoints(tissue((120, 150), seed=1), usable, PLAIN)
    assert len(found) > 20
    rows, columns = np.rint(found.points[:, ::-1]).astype(int).T
    allowed = cv2.dilate(usable.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert allowed[rows, columns].all()


def test_the_strongest_are_kept() -> None:
    grey = np.hstack([tissue((120, 120), seed=1, contrast=40), tissue((120, 120), 2, contrast=8)])
    few = keypoints_of(grey, MatchSettings(upscale_below=1, max_keypoints=50))
    assert len(few) == 50
    assert np.mean(few.points[:, 0] < 120) > 0.9


def test_larger_pictures_have_more_by_the_root_of_their_area() -> None:
    settings = MatchSettings(max_keypoints=100)
    counts = [most_keypoints(shape, settings) for shape in ((1, 1), (1000, 1000), (2000, 4500))]
    assert counts == [100, 100, 300]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (30, 30)])
def test_no_keypoints(shape: tuple[int, int]) -> None:
    found = keypoints_of(np.full(shape, 90.0), SETTINGS)
    assert len(found) == 0
    assert found.descriptors.shape == (0, 128)
    assert found.mirrored().shape == (0, 128)


def test_threads_do_not_change_the_keypoints() -> None:
    grey = tissue((200, 200), seed=5)
    before = cv2.getNumThreads()
    found = []
    for count in (1, 2):
        cv2.setNumThreads(count)
        found.append(keypoints_of(grey, SETTINGS))
    cv2.setNumThreads(before)
    np.testing.assert_array_equal(found[0].points, found[1].points)
    np.testing.assert_array_equal(found[0].descriptors, found[1].descriptors)
