"""Bands and lanes are found where they were drawn, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from forgecli.match.agreement import Window
from forgecli.match.bands import FloatImage
from forgecli.match.lanes import Band, find_bands, find_lanes
from forgecli.match.settings import MatchSettings
from tests.match.drawn_blots import blot

SETTINGS = MatchSettings()


def whole(grey: FloatImage) -> Window:
    return Window(0, 0, grey.shape[1], grey.shape[0])


def found_at(bands: list[Band], centres: np.ndarray) -> np.ndarray:
    """Distance of the nearest band to every centre, (rows, columns)."""
    points = np.array([(band.x, band.y) for band in bands])
    return np.asarray(np.linalg.norm(centres[..., None, :] - points, axis=-1).min(axis=-1))


@pytest.mark.parametrize("light", [False, True])
def test_every_band_is_found_once(light: bool) -> None:
    drawn = blot(1, rows=2, columns=6)
    grey = 255 - drawn.grey if light else drawn.grey
    bands = find_bands(grey, whole(grey), SETTINGS)
    assert len(bands) == 12
    assert found_at(bands, drawn.centres).max() < 3.5
    assert {band.light for band in bands} == {light}
    for band in bands:
        assert band.window.left <= band.x < band.window.right
        assert band.window.top <= band.y < band.window.bottom


@examples(max_examples=12, deadline=None)
@given(
    gain=st.floats(0.4, 1.2),
    offset=st.floats(-20, 20),
    seed=st.integers(0, 3),
    inverted=st.booleans(),
)
def test_brightness_contrast_and_sign_change_nothing(
    gain: float, offset: float, seed: int, inverted: bool
) -> None:
    grey = blot(seed, rows=1, columns=4).grey
    other = np.asarray((128 + gain * (128 - grey if inverted else grey - 128) + offset), np.float32)
    before, after = (find_bands(image, whole(image), SETTINGS) for image in (grey, other))
    assert len(before) == len(after) == 4
    for one, two in zip(before, after, strict=True):
        assert abs(one.x - two.x) < 0.2 and abs(one.y - two.y) < 0.2
        assert one.spread_x == pytest.approx(two.spread_x, rel=0.03)
        assert two.peak == pytest.approx(gain * one.peak, rel=0.03)


def test_bands_that_touch_are_told_apart() -> None:
    drawn = blot(3, rows=1, columns=6, pitch=(44, 60), size=(18.0, 5.0))
    bands = find_bands(drawn.grey, whole(drawn.grey), SETTINGS)
    assert len(bands) == 6
    assert found_at(bands, drawn.centres).max() < 3.5


def test_a_smeared_lane_does_not_hide_its_band() -> None:
    drawn = blot(4, rows=1, columns=5, depth=60)
    grey = drawn.grey.copy()
    x = round(float(drawn.centres[0, 2, 0]))
    grey[:, x - 20 : x + 20] -= 60
    bands = find_bands(grey, whole(grey), SETTINGS)
    assert found_at(bands, drawn.centres).max() < 3.5


@pytest.mark.parametrize("kind", ["noise", "edge", "stripe down", "flat", "ramp"])
def test_no_bands_where_there_are_none(kind: str) -> None:
    grey = np.full((200, 300), 180, np.float32)
    if kind == "noise":
        grey += np.random.default_rng(0).normal(0, 6, grey.shape).astype(np.float32)
    elif kind == "edge":
        grey[:, 150:] = 60
    elif kind == "stripe down":
        grey[:, 140:160] = 60
    elif kind == "ramp":
        grey += np.linspace(-100, 60, 200, dtype=np.float32)[:, None]
    assert find_bands(grey, whole(grey), SETTINGS) == []


def test_places_are_those_of_the_figure_not_of_the_panel_or_its_reduced_copy() -> None:
    drawn = blot(5, rows=2, columns=5)
    figure = np.full((400, 700), 255, np.float32)
    height, width = drawn.grey.shape
    figure[70 : 70 + height, 130 : 130 + width] = drawn.grey
    panel = Window(130, 70, 130 + width, 70 + height)
    at = drawn.centres + np.array([130, 70])
    assert found_at(find_bands(figure, panel, SETTINGS, number=2), at).max() < 3.5
    reduced = replace(SETTINGS, band_pixels=height * width)
    bands = find_bands(figure, panel, reduced, number=2)
    assert found_at(bands, at).max() < 3.5
    assert {band.panel for band in bands} == {2}


def test_the_strongest_bands_are_kept() -> None:
    drawn = blot(6, rows=2, columns=6)
    every = find_bands(drawn.grey, whole(drawn.grey), SETTINGS)
    few = find_bands(drawn.grey, whole(drawn.grey), replace(SETTINGS, max_bands=5))
    assert few == every[:5]
    assert [band.strength for band in every] == sorted((b.strength for b in every), reverse=True)


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3), (16, 16)])
def test_panels_too_small_for_a_band_hold_none(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(1).normal(128, 30, shape).astype(np.float32)
    grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 2.0), np.float32).reshape(shape)
    assert find_bands(grey, whole(grey), SETTINGS) == []


def test_lanes_are_columns_from_left_to_right_and_top_to_bottom() -> None:
    drawn = blot(7, rows=3, columns=5)
    panel = whole(drawn.grey)
    bands = find_bands(drawn.grey, panel, SETTINGS)
    lanes = find_lanes(bands, (panel,))
    assert len(lanes) == 5
    assert [lane.window.left for lane in lanes] == sorted(lane.window.left for lane in lanes)
    for column, lane in enumerate(lanes):
        assert [bands[i].y for i in lane.bands] == sorted(bands[i].y for i in lane.bands)
        for row, index in enumerate(lane.bands):
            assert abs(bands[index].x - drawn.centres[row, column, 0]) < 3.5
        assert (lane.window.top, lane.window.bottom) == (panel.top, panel.bottom)


def test_lanes_of_two_panels_stay_apart() -> None:
    drawn = blot(8, rows=2, columns=4)
    height, width = drawn.grey.shape
    panels = (Window(0, 0, width, height // 2), Window(0, height // 2, width, height))
    bands = [
        band
        for number, panel in enumerate(panels)
        for band in find_bands(drawn.grey, panel, SETTINGS, number=number)
    ]
    lanes = find_lanes(bands, panels)
    assert [lane.panel for lane in lanes] == [0] * 4 + [1] * 4
    assert sorted(i for lane in lanes for i in lane.bands) == list(range(len(bands)))


def test_dark_slots_do_not_turn_a_gel_into_a_blot() -> None:
    """The wells above the lanes skew them the other way than the bands do."""
    drawn = blot(5, rows=2, columns=5, ground=195.0, depth=25.0)
    gel = np.asarray(255 - drawn.grey, np.float32)
    figure = np.full((gel.shape[0] + 60, gel.shape[1]), np.median(gel), np.float32)
    figure[60:] = gel
    for column in range(5):
        figure[14:44, 20 + 60 * column : 60 + 60 * column] = 2.0
    bands = find_bands(figure, whole(figure), SETTINGS)
    assert {band.light for band in bands} == {True}
    assert found_at(bands, drawn.centres + np.array([0, 60])).max() < 3.5


def test_white_patches_do_not_turn_a_blot_into_a_gel() -> None:
    drawn = blot(6, rows=1, columns=5, ground=208.0, depth=20.0)
    below = np.full((60, drawn.grey.shape[1]), 208, np.float32)
    figure = np.asarray(np.vstack((drawn.grey, below)), np.float32)
    for x in range(20, figure.shape[1] - 40, 55):
        figure[-50:-20, x : x + 40] = 255
    bands = find_bands(figure, whole(figure), SETTINGS)
    assert {band.light for band in bands} == {False}
    assert found_at(bands, drawn.centres).max() < 3.5
