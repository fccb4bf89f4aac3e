from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from forgecli.synth.figure import Cell, cell_map, compose, cut, grid, render, seen_part
from forgecli.synth.library import Library, alike, is_blot, jpeg, prepare
from forgecli.synth.recipe import Figure, Recipe
from forgecli.synth.strips import compose_strips
from tests.synth.pictures import blot, chart, nuclei, tissue
from tests.synth.recipes import AS_IT_IS

RECIPE = dataclasses.replace(Recipe(), finish=AS_IT_IS)


@pytest.mark.parametrize("seed", range(20))
def test_panels_lie_inside_the_figure_and_apart(seed: int) -> None:
    cells, (height, width) = grid(np.random.default_rng(seed), RECIPE)
    count = np.zeros((height, width), int)
    for cell in cells:
        assert cell.x >= 0 and cell.y >= 0
        assert cell.x + cell.width <= width and cell.y + cell.height <= height
        count[cell.y : cell.y + cell.height, cell.x : cell.x + cell.width] += 1
    assert count.max() == 1
    assert 2 <= len(cells) <= RECIPE.figure.max_panels


def test_a_figure_shows_each_source_once() -> None:
    sources = [*(nuclei(seed) for seed in range(10)), *(tissue(seed) for seed in range(10))]
    library = Library(sources, ["nuclei"] * 10 + ["tissue"] * 10)
    recipe = dataclasses.replace(RECIPE, figure=Figure(same_kind=1, chart=0, max_panels=9))
    for seed in range(3):
        made = compose(np.random.default_rng(seed), library, recipe)
        assert made is not None
        canvas, used = made
        assert len(set(used)) == len(used) == len(canvas.panels)
        assert len({library.kinds[index] for index in used}) == 1
        assert np.array_equal(canvas.image, canvas.twin)
        for panel in canvas.panels:
            shown = canvas.twin[panel.box]
            assert np.array_equal(shown, render(panel.field, panel.to_canvas, panel))
            assert shown.shape[:2] == (panel.height, panel.width)


def test_frames_of_one_film_are_not_put_side_by_side() -> None:
    first = nuclei(1)
    later = np.clip(first.astype(int) + 6, 0, 255).astype(np.uint8)
    assert alike(first, later) and not alike(first, nuclei(2))
    library = Library([first, later, first[::-1].copy()])
    assert library.draw(np.random.default_rng(0), unlike=[first]) is not None
    for seed in range(10):
        got = library.draw(np.random.default_rng(seed), unlike=[first])
        assert got is not None and got[0] == 2


def test_charts_and_micrographs_are_drawn_apart() -> None:
    library = Library([chart(0), nuclei(0), chart(1)])
    for seed in range(5):
        plot = library.draw(np.random.default_rng(seed), drawn=True)
        cells = library.draw(np.random.default_rng(seed))
        assert plot is not None and plot[0] in (0, 2)
        assert cells is not None and cells[0] == 1
    assert Library([chart()]).draw(np.random.default_rng(0)) is None
    assert Library([nuclei()[:40]]).draw(np.random.default_rng(0)) is None  # too small


def test_a_panel_at_full_scale_is_cut_out_as_it_is() -> None:
    field = tissue(2)
    cell = Cell(30, 40, 100, 80)
    onto = cell_map(17, 23, 1.0, cell)
    assert np.array_equal(render(field, onto, cell), field[23:103, 17:117])


@pytest.mark.parametrize("seed", range(6))
def test_the_part_that_a_panel_shows_is_known(seed: int) -> None:
    field = tissue(4)
    rng = np.random.default_rng(seed)
    panel = cut(rng, field, Cell(5, 7, 160, 120), "tissue")
    part = field[seen_part(panel)]
    shown = render(field, panel.to_canvas, panel)
    assert abs(part.shape[1] * panel.to_canvas[0, 0] - 160) <= 2
    assert np.abs(part.mean(axis=(0, 1)) - shown.mean(axis=(0, 1))).max() < 2


def test_strips_show_rows_of_bands() -> None:
    library = Library([blot(seed) for seed in range(8)], ["blot"] * 8)
    made = compose_strips(np.random.default_rng(3), library, RECIPE, "blot")
    assert made is not None
    canvas, used = made
    assert canvas.layout == "strips" and len(set(used)) == len(canvas.panels) >= 2
    for panel in canvas.panels:
        assert canvas.twin[panel.box].min() < 120  # bands
        assert panel.width > 2 * panel.height
    assert compose_strips(np.random.default_rng(0), Library([tissue()]), RECIPE, None) is None


def test_sources_are_reduced_and_compressed_as_asked() -> None:
    finish = dataclasses.replace(AS_IT_IS, jpeg_before=1, jpeg_before_range=(60, 60))
    pixels, done = prepare(np.random.default_rng(0), tissue(0), finish, 150)
    assert max(pixels.shape[:2]) == 150 and done == {"jpeg_before": 60}
    same, done = prepare(np.random.default_rng(0), tissue(0), AS_IT_IS, 1000)
    assert np.array_equal(same, tissue(0)) and done == {}
    assert np.abs(jpeg(tissue(0), 95).astype(int) - tissue(0)).mean() < 6


def test_kinds_that_hold_bands_are_known_by_name() -> None:
    assert is_blot("western-blots") and is_blot("Gel") and not is_blot("nuclei")
    assert Library([nuclei(), blot()], ["cells", "blots"]).blot_kinds() == ["blots"]
