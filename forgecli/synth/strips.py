"""Compose blot figures: strips cut around rows of bands, stacked."""

from __future__ import annotations

import cv2
import numpy as np

from forgecli.synth.blots import find_bands, is_grey, rows_of
from forgecli.synth.canvas import Canvas, Panel, Pixels
from forgecli.synth.figure import Cell, cell_map, drawn_figure
from forgecli.synth.library import Library, prepare
from forgecli.synth.outline import Mask, outline_of
from forgecli.synth.recipe import Recipe
from forgecli.synth.texture import is_text

_FIELD_SIDE = 1600


def compose_strips(
    rng: np.random.Generator, library: Library, recipe: Recipe, kind: str | None
) -> tuple[Canvas, list[int]] | None:
    """A blot figure: strips cut around rows of bands, one under the other, names on the left.

    Returns None if no image with rows of bands came up.
    """
    wanted = int(rng.integers(2, min(6, recipe.figure.max_panels) + 1))
    width = round(float(np.exp(rng.uniform(np.log(320), np.log(1000)))))
    gap = int(rng.integers(3, 16))
    names = round(width * float(rng.uniform(0.15, 0.3))) if rng.random() < 0.8 else gap
    y = int(rng.integers(8, 40))
    panels: list[Panel] = []
    used: list[int] = []
    for _ in range(4 * wanted):
        if len(panels) == wanted:
            break
        got = library.draw(rng, kind=kind, besides=used)
        if got is None:
            break
        field, _ = prepare(rng, got[1], recipe.finish, _FIELD_SIDE)
        strip = _strip(rng, field)
        if strip is None:
            continue
        left, top, wide, tall = strip
        scale = width / wide
        if scale > 3 or scale < 0.25:
            continue
        cell = Cell(names, y, width, max(16, round(tall * scale)))
        onto = cell_map(left, top, scale, cell)
        panels.append(
            Panel(cell.x, cell.y, cell.width, cell.height, field, onto, library.kinds[got[0]])
        )
        used.append(got[0])
        y += cell.height + gap
    if len(panels) < 2:
        return None
    canvas = drawn_figure(panels, (y + 8, names + width + gap), 255)
    canvas.layout = "strips"
    if rng.random() < 0.5:
        for panel in panels:
            for picture in (canvas.twin, canvas.image):
                _outline_box(picture, panel)
    return canvas, used


def _strip(rng: np.random.Generator, field: Pixels) -> tuple[int, int, int, int] | None:
    """left, top, width, height of a crop around one row of three bands or more."""
    rows = [row for row in rows_of(find_bands(field)) if len(row) >= 3]
    if not rows or not is_grey(field):
        return None
    row = rows[int(rng.integers(len(rows)))]
    whole: Mask = np.logical_or.reduce([band.full(field.shape[:2]) for band in row])
    box = outline_of(whole)
    if box is None:
        return None
    tall, wide = box.mask.shape
    pad = round(tall * float(rng.uniform(0.4, 1.5))) + 2
    side = round(wide * float(rng.uniform(0.02, 0.1))) + 2
    left, top = max(0, box.x - side), max(0, box.y - pad)
    right = min(field.shape[1], box.x + wide + side)
    bottom = min(field.shape[0], box.y + tall + pad)
    if is_text(np.ascontiguousarray(field[top:bottom, left:right])):
        return None
    return left, top, right - left, bottom - top


def _outline_box(picture: Pixels, panel: Panel) -> None:
    """A thin black frame around a strip, outside of it."""
    corner = (panel.x + panel.width, panel.y + panel.height)
    cv2.rectangle(picture, (panel.x - 1, panel.y - 1), corner, (0, 0, 0), 1)
