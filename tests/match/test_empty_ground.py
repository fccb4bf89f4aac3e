from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Placed, Window
from forgecli.match.empty_ground import over_ground
from forgecli.match.settings import MatchSettings

SETTINGS = MatchSettings()
LEFT, RIGHT = Window(10, 10, 170, 130), Window(190, 10, 350, 130)
SHAPE = (140, 360)
CELLS = ((40, 40), (60, 90), (100, 55))
"""(x, y) in the panel: all in its left two thirds."""
OTHER = (140, 70)
Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]


def film(*cells: tuple[int, int], seed: int = 0) -> Grey:
    """A dark panel with round bright cells, each with its own texture, and noise."""
    rng = np.random.default_rng(seed)
    panel = rng.normal(12.0, 1.0, (LEFT.height, LEFT.width)).astype(np.float32)
    for x, y in cells:
        rough = np.random.default_rng((x, y)).normal(0, 12, (24, 24)).astype(np.float32)
        texture = np.asarray(cv2.GaussianBlur(rough, (0, 0), 1.5) * 3 + 110, np.float32)
        inside = cv2.circle(np.zeros((24, 24), np.uint8), (12, 12), 11, 1, -1) > 0
        panel[y - 12 : y + 12, x - 12 : x + 12][inside] = texture[inside]
    return panel


def figure(first: Grey, second: Grey) -> Grey:
    grey = np.full(SHAPE, 255, np.float32)
    grey[LEFT.top : LEFT.bottom, LEFT.left : LEFT.right] = first
    grey[RIGHT.top : RIGHT.bottom, RIGHT.left : RIGHT.right] = second
    return grey


def cells_of(*cells: tuple[int, int]) -> Placed:
    mask = np.zeros((LEFT.height, LEFT.width), np.uint8)
    for x, y in cells:
        cv2.circle(mask, (x, y), 11, 1, -1)
    return Placed(LEFT, mask > 0)


SHIFT = np.array([[1.0, 0, RIGHT.left - LEFT.left], [0, 1, 0]])
NO_MARKS = np.zeros(SHAPE, bool)


def filled(
    grey: Grey, region: Placed, affine: Affine = SHIFT, marks: Mask = NO_MARKS
) -> tuple[Placed, Placed]:
    found = over_ground(grey, marks, region, affine, (LEFT, RIGHT), SETTINGS)
    assert found is not None
    return found


def test_a_panel_of_cells_is_filled_to_its_edges() -> None:
    grey = figure(film(*CELLS), film(*CELLS, seed=1))
    first, second = filled(grey, cells_of(*CELLS))
    assert first.window == LEFT and first.mask.all()
    assert second.window == RIGHT and second.mask.mean() > 0.98


def test_it_ends_where_the_panels_differ() -> None:
    grey = figure(film(*CELLS), film(*CELLS, OTHER, seed=1))
    first, second = filled(grey, cells_of(*CELLS))
    columns = np.flatnonzero(first.mask.any(axis=0))
    assert columns[0] == 0
    assert columns[-1] == CELLS[-1][0] + 11  # how far it reaches beyond cannot be seen
    assert first.mask[:, columns].all()
    assert abs(first.area - second.area) < 0.02 * first.area


def test_cells_that_differ_between_those_that_agree() -> None:
    between = (70, 60)
    grey = figure(film(*CELLS), film(*CELLS, between, seed=1))
    assert over_ground(grey, NO_MARKS, cells_of(*CELLS), SHIFT, (LEFT, RIGHT), SETTINGS) is None


@pytest.mark.parametrize("told", [True, False])
def test_marks_may_differ(told: bool) -> None:
    first = film(*CELLS)
    label = np.s_[96:110, 120:150]
    first[label] = 250
    grey = figure(first, film(*CELLS, seed=1))
    marks = np.zeros(SHAPE, bool)
    if told:
        marks[LEFT.top : LEFT.bottom, LEFT.left : LEFT.right][label] = True
    whole, _ = filled(grey, cells_of(*CELLS), marks=marks)
    assert whole.mask.all() == told


def test_a_darker_copy_is_the_same() -> None:
    grey = figure(film(*CELLS), 0.6 * film(*CELLS, seed=1) + 20)
    assert filled(grey, cells_of(*CELLS))[0].mask.all()


def test_a_crop_shown_larger_fills_its_panel_only() -> None:
    panel = film(*CELLS)
    crop = np.ascontiguousarray(panel[15:105, 10:130])  # 4 : 3, as the panel is
    grey = figure(panel, np.asarray(cv2.resize(crop, (160, 120)), np.float32))
    scale = LEFT.width / 120
    move = (scale - 1) / 2
    affine = np.array(
        [
            [scale, 0, RIGHT.left + move - scale * (LEFT.left + 10)],
            [0, scale, RIGHT.top + move - scale * (LEFT.top + 15)],
        ]
    )
    first, second = filled(grey, cells_of(*CELLS), affine)
    expected = np.zeros_like(first.mask)
    expected[15:105, 10:130] = True
    assert np.count_nonzero(first.mask ^ expected) < 0.02 * expected.sum()
    assert second.mask.mean() > 0.97


def test_a_mirrored_copy() -> None:
    grey = figure(film(*CELLS), np.ascontiguousarray(film(*CELLS)[:, ::-1]))
    mirror = np.array([[-1.0, 0, LEFT.left + RIGHT.right - 1], [0, 1, 0]])
    first, second = filled(grey, cells_of(*CELLS), mirror)
    assert first.mask.all() and second.mask.mean() > 0.98


def test_one_small_cell_may_have_been_copied_alone() -> None:
    grey = figure(film(*CELLS), film(*CELLS))
    one = cells_of(CELLS[0])
    share = one.area / (LEFT.width * LEFT.height)
    for least, is_filled in ((0.9 * share, True), (1.1 * share, False)):
        settings = replace(SETTINGS, ground_least=least)
        found = over_ground(grey, NO_MARKS, one, SHIFT, (LEFT, RIGHT), settings)
        assert (found is not None) == is_filled


def test_a_cell_among_others_is_no_panel() -> None:
    around = ((80, 26), (80, 94), (46, 60), (114, 60))
    one, settings = cells_of((80, 60)), replace(SETTINGS, ground_least=0.01)
    for others, is_filled in ((around, False), ((), True)):
        grey = figure(film((80, 60)), film((80, 60), *others, seed=1))
        found = over_ground(grey, NO_MARKS, one, SHIFT, (LEFT, RIGHT), settings)
        assert (found is not None) == is_filled


def test_no_region_is_left_as_it_is() -> None:
    nothing = Placed(LEFT, np.zeros((LEFT.height, LEFT.width), bool))
    grey = figure(film(*CELLS), film(*CELLS))
    assert over_ground(grey, NO_MARKS, nothing, SHIFT, (LEFT, RIGHT), SETTINGS) is None
