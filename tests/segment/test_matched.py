"""Regions that show the same content are found to do so."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from forgecli.segment.matched import same_content
from kernels.rle import encode
from tests.match.pictures import photograph, tissue

SIDE = 320
Place = tuple[int, int]


def disc(centre: Place, radius: int = 32) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, centre, radius, 1, -1)
    return mask


def paste(image: np.ndarray, source: Place, goal: Place, *, angle: float, mirrored: bool) -> None:
    """Copy a disc of 34 px around `source` to `goal`, turned and mirrored."""
    turn = np.deg2rad(angle)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    affine = np.column_stack((linear, np.array(goal) - linear @ source))
    moved = cv2.warpAffine(image, affine, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
    inside = disc(goal, 34) > 0
    image[inside] = moved[inside]


@pytest.fixture(scope="module")
def figure() -> np.ndarray:
    """Two groups: 0 with its mirrored copy 1, and 2 with its turned copy 3; 4 is alone."""
    grey = tissue((SIDE, SIDE), seed=4)
    paste(grey, CENTRES[0], CENTRES[1], angle=0, mirrored=True)
    paste(grey, CENTRES[2], CENTRES[3], angle=35, mirrored=False)
    return photograph(grey, noise=1.0)


CENTRES = ((60, 60), (250, 70), (70, 250), (240, 240), (155, 155))


def test_groups_by_content(figure: np.ndarray) -> None:
    regions = [encode(disc(centre)) for centre in CENTRES]
    assert same_content(figure, regions) == [[0, 1], [2, 3], [4]]


def test_inexact_outlines_and_another_order(figure: np.ndarray) -> None:
    order = [3, 4, 1, 2, 0]
    regions = [
        encode(disc((CENTRES[n][0] + 4, CENTRES[n][1] - 5), radius))
        for n, radius in zip(order, (38, 34, 30, 28, 26), strict=True)
    ]
    groups = same_content(figure, regions)
    assert [sorted(order[i] for i in group) for group in groups] == [[2, 3], [0, 1], [4]]


def test_regions_that_match_nothing_are_one_group() -> None:
    pixels = photograph(tissue((SIDE, SIDE), seed=9), noise=1.0)
    regions = [encode(disc(centre)) for centre in CENTRES]
    assert same_content(pixels, regions) == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (5, 5), (64, 64)])
def test_strange_pictures(shape: tuple[int, int]) -> None:
    for pixels in (
        np.zeros((*shape, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8),
    ):
        mask = np.zeros(shape, bool)
        mask.flat[0] = True
        other = np.zeros(shape, bool)
        other.flat[-1] = True
        assert same_content(pixels, [encode(mask), encode(other)]) == [[0, 1]]


def test_more_regions_than_are_looked_at(figure: np.ndarray) -> None:
    regions = [encode(disc(centre)) for centre in CENTRES[:2]]
    specks = []
    for number in range(40):
        speck = np.zeros((SIDE, SIDE), bool)
        speck[160, 4 * number] = True
        specks.append(encode(speck))
    groups = same_content(figure, [*regions, *specks])
    assert groups == [[0, 1], list(range(2, 42))]
