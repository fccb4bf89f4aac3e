from __future__ import annotations

import cv2
import numpy as np
import pytest

from forgecli.match.agreement import Window
from forgecli.match.bands import FloatImage
from forgecli.match.panels import Layout, find_layout, panel_outline
from forgecli.match.settings import MatchSettings
from tests.match.pictures import cells, photograph, tissue

SETTINGS = MatchSettings()
GRID = (
    Window(20, 15, 140, 115),
    Window(152, 15, 300, 115),
    Window(20, 127, 140, 260),
    Window(152, 127, 300, 260),
)
UNEVEN = (
    Window(0, 0, 320, 90),
    Window(0, 100, 100, 280),
    Window(110, 100, 320, 180),
    Window(110, 190, 200, 280),
    Window(210, 190, 320, 280),
)


def figure(
    panels: tuple[Window, ...], ground: float, *, shape: tuple[int, int] = (280, 320)
) -> FloatImage:
    grey = np.full(shape, ground, np.float32)
    for number, panel in enumerate(panels):
        size = (panel.height, panel.width)
        grey[panel.top : panel.bottom, panel.left : panel.right] = tissue(size, seed=number + 1)
    return grey


def layout_of(grey: FloatImage, quality: int | None = None) -> Layout:
    return find_layout(photograph(grey, quality=quality)[:, :, 0].astype(np.float32), SETTINGS)


def near(found: tuple[Window, ...], expected: tuple[Window, ...], tolerance: int) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        corners = [(w.left, w.top, w.right, w.bottom) for w in (one, other)]
        np.testing.assert_allclose(corners[0], corners[1], atol=tolerance)


@pytest.mark.parametrize("ground", [255.0, 0.0, 128.0])
@pytest.mark.parametrize("panels", [GRID, UNEVEN], ids=["grid", "uneven"])
def test_panels_are_found_in_reading_order(panels: tuple[Window, ...], ground: float) -> None:
    near(layout_of(figure(panels, ground)).panels, panels, 0)


@pytest.mark.parametrize("quality", [90, 60])
@pytest.mark.parametrize("ground", [255.0, 0.0, 128.0])
def test_jpeg_ripple_in_the_gutters_is_forgiven(ground: float, quality: int) -> None:
    panels = (
        Window(0, 0, 150, 120),
        Window(166, 0, 320, 120),
        Window(0, 136, 150, 280),
        Window(166, 136, 320, 280),
    )
    # A block of the coder that a panel reaches into is rippled all over.
    near(layout_of(figure(panels, ground), quality).panels, panels, 8)


@pytest.mark.parametrize("width", [3, 4, 6])
def test_thin_gutters_cut(width: int) -> None:
    panels = (Window(0, 0, 100, 90), Window(100 + width, 0, 240, 90))
    found = layout_of(figure(panels, 255.0, shape=(90, 240))).panels
    near(found, panels, 0)


def test_a_line_is_no_gutter() -> None:
    panels = (Window(0, 0, 100, 90), Window(101, 0, 240, 90))
    assert layout_of(figure(panels, 255.0, shape=(90, 240))).panels == (Window(0, 0, 240, 90),)


@pytest.mark.parametrize("scene", ["tissue", "cells"])
def test_one_photograph_is_one_panel(scene: str) -> None:
    grey = tissue((200, 260), 1) if scene == "tissue" else cells((200, 260), 1, 12)
    found = layout_of(grey)
    assert found.panels == (Window(0, 0, 260, 200),)
    assert (found.index == 0).all()


def test_dark_ground_between_cells_does_not_cut() -> None:
    grey = cells((200, 260), 3, 40)
    noise = np.random.default_rng(0).normal(0, 2, (200, 20))
    grey[:, 120:140] = 8 + noise  # nearly black, but a photograph's black
    assert layout_of(grey).panels == (Window(0, 0, 260, 200),)


@pytest.mark.parametrize("ground", [0.0, 100.0, 255.0])
def test_an_empty_figure_is_one_panel_without_evidence(ground: float) -> None:
    found = layout_of(np.full((100, 120), ground, np.float32))
    assert found.panels == (Window(0, 0, 120, 100),)
    assert not found.usable.any()


def test_the_index_and_the_usable_pixels_follow_the_panels() -> None:
    found = layout_of(figure(GRID, 255.0))
    expected = np.full((280, 320), -1)
    for number, panel in enumerate(GRID):
        expected[panel.top : panel.bottom, panel.left : panel.right] = number
    np.testing.assert_array_equal(found.index, expected)
    assert not found.usable[expected < 0].any()
    assert found.usable[expected >= 0].mean() > 0.9


def test_a_panel_that_is_a_graph_is_no_evidence() -> None:
    grey = figure(GRID, 255.0)
    graph = np.full((133, 148), 255, np.uint8)
    cv2.rectangle(graph, (0, 0), (147, 132), 0, 1)
    for line in range(12, 130, 12):
        cv2.line(graph, (2, line), (145, 132 - line), 0, 1)
        cv2.putText(graph, "p<0.05", (20, line), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 0, 1)
    grey[127:260, 152:300] = graph
    found = layout_of(grey)
    assert not found.usable[127:260, 152:300].any()
    assert found.usable[127:260, 20:140].mean() > 0.9


def test_slivers_are_no_panels() -> None:
    sliver = Window(0, 0, 200, SETTINGS.min_panel - 1)
    panels = (sliver, Window(0, 60, 200, 160))
    assert layout_of(figure(panels, 255.0, shape=(160, 200))).panels == panels[1:]


def test_a_panel_as_a_mask() -> None:
    mask = panel_outline(Window(2, 3, 7, 5), (10, 12))
    assert mask.sum() == 10
    assert mask[3:5, 2:7].all()
