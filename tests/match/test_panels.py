from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.match.agreement import Window
from forgecli.match.bands import FloatImage
from forgecli.match.panels import Layout, find_layout, panel_outline
from forgecli.match.seams import seams_of
from forgecli.match.settings import MatchSettings
from tests.match.pictures import cells, photograph, tissue
from tests.match.test_kinds import graph

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


@pytest.mark.parametrize("width", [0, 1, 2])
@pytest.mark.parametrize("level", [0.0, 255.0])
def test_panels_that_touch_or_share_a_thin_frame(width: int, level: float) -> None:
    panels = (Window(0, 0, 100, 90), Window(100 + width, 0, 240, 90))
    near(layout_of(figure(panels, level, shape=(90, 240))).panels, panels, 2)
    turned = tuple(Window(w.top, w.left, w.bottom, w.right) for w in panels)
    near(layout_of(figure(turned, level, shape=(240, 90))).panels, turned, 2)


def test_touching_panels_of_a_grid_are_all_found() -> None:
    panels = tuple(Window(x, y, x + 120, y + 100) for y in (0, 100, 200) for x in (0, 120, 240))
    near(layout_of(figure(panels, 0.0, shape=(300, 360))).panels, panels, 1)


@pytest.mark.parametrize("quality", [95, 80, 65])
@pytest.mark.parametrize("width", [4, 6, 9, 11])
def test_thin_black_gutters_under_jpeg(width: int, quality: int) -> None:
    panels = (
        Window(0, 0, 150, 120),
        Window(150 + width, 0, 320, 120),
        Window(0, 120 + width, 150, 280),
        Window(150 + width, 120 + width, 320, 280),
    )
    near(layout_of(figure(panels, 0.0), quality).panels, panels, 8)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_grid_is_found(data: st.DataObject) -> None:
    margin = data.draw(st.sampled_from([0, 3, 10, 20]))

    def edges(most: int) -> list[tuple[int, int]]:
        sides = data.draw(st.lists(st.integers(40, 110), min_size=1, max_size=most))
        at, spans = margin, []
        for side in sides:
            spans.append((at, at + side))
            at += side + data.draw(st.integers(3, 20))
        return spans

    rows, columns = edges(3), edges(3)
    panels = tuple(Window(a, top, b, bottom) for top, bottom in rows for a, b in columns)
    shape = (rows[-1][1] + margin, columns[-1][1] + margin)
    ground = data.draw(st.sampled_from([0.0, 60.0, 190.0, 255.0]))
    near(layout_of(figure(panels, ground, shape=shape)).panels, panels, 0)


def test_writing_between_panels_is_no_panel_and_hides_none() -> None:
    canvas = np.full((300, 340), 255, np.uint8)
    panels = (Window(10, 40, 160, 150), Window(176, 40, 330, 150), Window(10, 190, 330, 290))
    for number, panel in enumerate(panels):
        size = (panel.height, panel.width)
        canvas[panel.top : panel.bottom, panel.left : panel.right] = tissue(size, seed=number)
    for text, place in (("A", (10, 36)), ("Vehicle 10 nM", (110, 30)), ("B Day 7", (10, 186))):
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 0, 2)
    cv2.putText(canvas, "siRNA", (140, 148), cv2.FONT_HERSHEY_SIMPLEX, 0.3, 0, 1)
    near(layout_of(canvas.astype(np.float32)).panels, panels, 1)


def test_a_strip_lower_than_a_panel_counts_if_it_is_full() -> None:
    panels = (Window(60, 10, 300, 30), Window(60, 40, 300, 66))
    near(layout_of(figure(panels, 255.0, shape=(80, 320))).panels, panels, 0)


@pytest.mark.parametrize("scene", ["tissue", "cells"])
def test_one_photograph_is_one_panel(scene: str) -> None:
    grey = tissue((200, 260), 1) if scene == "tissue" else cells((200, 260), 1, 12)
    found = layout_of(grey)
    assert found.panels == (Window(0, 0, 260, 200),)
    assert (found.index == 0).all()


def test_dark_ground_between_cells_does_not_cut() -> None:
    grey = cells((200, 260), 3, 40)
    gap = np.ones((1, 260), np.float32)
    gap[:, 110:150] = 0.0
    noise = np.random.default_rng(0).normal(0, 2, (200, 260))
    # Nearly black, but a photograph's black; no cell lies in a strip from end to end.
    shown = np.maximum(grey - 40, 0) * cv2.GaussianBlur(gap, (0, 0), 4.0)
    grey = (8 + shown + noise).astype(np.float32)
    assert layout_of(grey).panels == (Window(0, 0, 260, 200),)


def test_clipped_ground_between_cells_does_not_cut() -> None:
    for seed in range(6):
        grey = np.clip((cells((260, 300), seed, 14) - 60) * 2, 0, 255)
        assert (grey == 0).mean() > 0.5
        assert layout_of(grey.astype(np.float32)).panels == (Window(0, 0, 300, 260),)


@pytest.mark.parametrize("ground", [255.0, 250.0])
def test_rows_of_bands_are_one_panel(ground: float) -> None:
    """White between two rows of bands is the blot's own ground."""
    bands = np.zeros((220, 420), np.float32)
    for y in (60, 150):
        for x in (60, 160, 260, 360):
            cv2.rectangle(bands, (x - 40, y - 9), (x + 40, y + 9), 1.0, -1)
    grey = np.minimum(ground, ground + 8 - 220 * cv2.GaussianBlur(bands, (0, 0), 4.0))
    assert len(layout_of(grey.astype(np.float32)).panels) == 1


def test_one_contour_is_no_seam() -> None:
    """Half of the picture is darker, behind an edge that is sharp but not straight."""
    grey = tissue((300, 300), 2)
    y, x = np.mgrid[:300, :300]
    grey[x > 150 + 6 * np.sin(y / 30)] -= 60
    assert len(layout_of(grey).panels) == 1


def test_an_inset_is_a_panel_and_a_marked_place_is_none() -> None:
    grey = tissue((300, 360), 4)
    zoom = cv2.resize(grey[40:85, 50:100], (150, 135), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(grey, (50, 40), (100, 85), 255.0, 1)
    grey[165:300, 210:360] = zoom
    cv2.rectangle(grey, (208, 163), (359, 299), 255.0, 2)
    found = layout_of(grey)
    inset = Window(210, 165, 358, 298)
    near(found.panels, (Window(0, 0, 360, 300), inset), 3)
    assert found.index[230, 280] == 1 and found.index[100, 100] == 0
    assert len(found.kinds) == 2


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
    sliver = Window(0, 0, 200, SETTINGS.strip_height - 1)
    panels = (sliver, Window(0, 60, 200, 160))
    assert layout_of(figure(panels, 255.0, shape=(160, 200))).panels == panels[1:]


def test_a_panel_as_a_mask() -> None:
    mask = panel_outline(Window(2, 3, 7, 5), (10, 12))
    assert mask.sum() == 10
    assert mask[3:5, 2:7].all()


def test_a_photograph_on_a_drawing_is_evidence() -> None:
    pixels = graph((300, 420), 3)
    photo = Window(120, 90, 250, 200)
    pixels[90:200, 120:250] = tissue((110, 130), 3)[:, :, None]
    cv2.line(pixels, (60, 20), (180, 150), (255, 0, 0), 2)  # as arrows point to what is meant
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    found = find_layout(grey, SETTINGS, pixels)
    number = found.kinds.index("photograph")
    near(found.panels[number : number + 1], (photo,), 5)
    assert found.usable[160:190, 190:240].mean() > 0.9
    assert not found.usable[:80].any()


def test_the_black_of_a_dark_micrograph_is_no_margin() -> None:
    """Only the white around the panels is their margin."""
    canvas = np.full((200, 340), 255, np.float32)
    panels = (Window(10, 10, 160, 190), Window(180, 10, 330, 190))
    for number, panel in enumerate(panels):
        spots = np.clip(cells((180, 150), number, 3) - 60, 0, 255)
        canvas[panel.top : panel.bottom, panel.left : panel.right] = spots
    near(layout_of(canvas).panels, panels, 0)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_row_of_bands_is_no_frame(axis: int) -> None:
    noise = np.random.default_rng(0).normal(0, 2, (200, 300))
    rows = np.full((200, 300), 215.0)
    rows[100:109] = 60
    framed = np.clip(rows + noise, 0, 255).astype(np.uint8)
    for gap in range(8):
        rows[100:109, gap::50] = 215  # between bands
    bands = np.clip(rows + noise, 0, 255).astype(np.uint8)
    if axis == 1:
        framed, bands = framed.T.copy(), bands.T.copy()
    assert len(seams_of(framed, axis, SETTINGS, among_bands=True)) == 2
    assert len(seams_of(bands, axis, SETTINGS)) == 2
    assert seams_of(bands, axis, SETTINGS, among_bands=True) == []


def test_whoever_knows_the_kinds_may_tell_them() -> None:
    asked: list[Window] = []

    def answer(views: object, window: Window) -> str:
        asked.append(window)
        return "blot"

    grey = figure(GRID, 255.0)
    found = find_layout(grey, SETTINGS, None, answer)  # type: ignore[arg-type]
    assert set(found.kinds) == {"blot"} and set(found.panels) <= set(asked)
