from __future__ import annotations

import numpy as np
import pytest

from forgecli.match.agreement import Placed, Window
from forgecli.match.candidates import Candidate
from forgecli.match.kinds import Kind
from forgecli.match.panels import Layout
from forgecli.match.settings import MatchSettings
from forgecli.match.whole_panels import regions_of
from tests.match.test_empty_ground import (
    CELLS,
    LEFT,
    RIGHT,
    SHAPE,
    SHIFT,
    Grey,
    cells_of,
    figure,
    film,
)

SETTINGS = MatchSettings()


def layout(panels: tuple[Window, ...], kinds: tuple[Kind, ...]) -> Layout:
    index = np.full(SHAPE, -1, np.int32)
    for number, panel in enumerate(panels):
        index[panel.top : panel.bottom, panel.left : panel.right] = number
    return Layout(panels, index >= 0, index, kinds, np.zeros(SHAPE, bool))


def pair() -> Candidate:
    cells = cells_of(*CELLS)
    return Candidate(cells, Placed(RIGHT, cells.mask), SHIFT, support=9, rivals=0, rank_score=1.0)


GREY = figure(film(*CELLS), film(*CELLS, seed=1))


def grey() -> Grey:
    return GREY


def not_needed() -> Grey:
    raise AssertionError("nobody needs the image here")


def test_two_photographs_as_far_as_they_agree() -> None:
    two = layout((LEFT, RIGHT), ("photograph", "photograph"))
    first, second = regions_of(pair(), two, SETTINGS, grey=grey)
    assert first.mask.all() and second.mask.mean() > 0.98
    first, second = regions_of(pair(), two, SETTINGS)
    assert first.area == second.area == cells_of(*CELLS).area


@pytest.mark.parametrize("kinds", [("blot", "blot"), ("photograph", "blot")])
def test_bands_are_copied_alone(kinds: tuple[Kind, Kind]) -> None:
    first, _ = regions_of(pair(), layout((LEFT, RIGHT), kinds), SETTINGS, grey=not_needed)
    assert first.area == cells_of(*CELLS).area


def test_nothing_reaches_over_ground_within_one_panel() -> None:
    whole = Window(0, 0, SHAPE[1], SHAPE[0])
    first, _ = regions_of(pair(), layout((whole,), ("photograph",)), SETTINGS, grey=not_needed)
    assert first.area == cells_of(*CELLS).area
    both = (Window(0, 0, 355, SHAPE[0]), Window(355, 0, 360, SHAPE[0]))
    first, _ = regions_of(
        pair(), layout(both, ("photograph", "photograph")), SETTINGS, grey=not_needed
    )
    assert first.area == cells_of(*CELLS).area


def test_a_picture_on_a_panel_is_the_panel() -> None:
    """The right picture stands on a drawing that is as large as the figure."""
    whole = Window(0, 0, SHAPE[1], SHAPE[0])
    panels = layout((whole, LEFT, RIGHT), ("drawing", "photograph", "photograph"))
    assert regions_of(pair(), panels, SETTINGS, grey=grey)[0].mask.all()


def test_no_gutter_is_part_of_a_region() -> None:
    wide = Window(LEFT.left, LEFT.top, LEFT.right + 8, LEFT.bottom)
    over = Placed(wide, np.ones((wide.height, wide.width), bool))
    candidate = Candidate(over, over, SHIFT, support=9, rivals=0, rank_score=1.0)
    first, _ = regions_of(candidate, layout((LEFT, RIGHT), ()), SETTINGS)
    assert first.area == LEFT.width * LEFT.height
