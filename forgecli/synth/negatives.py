"""Authentic images that look as if something were copied: what a detector must not flag."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.annotate import frame
from forgecli.synth.canvas import Canvas, Panel, Pixels, single
from forgecli.synth.figure import Cell, cell_map, compose, cut, drawn_figure, grid, render
from forgecli.synth.library import Library, prepare
from forgecli.synth.lookalikes import draw_lookalikes
from forgecli.synth.recipe import Recipe

Made = tuple[Canvas, list[int]]
_FIELD_SIDE = 1600


def draw_negative(
    rng: np.random.Generator, library: Library, recipe: Recipe, name: str
) -> Made | None:
    """Draw an authentic image of a kind named in the recipe's table of negatives.

    Returns:
        the canvas, without groups, and the indices of its sources; None if that came to nothing.
    """
    if name == "channels":
        return _channels(rng, library, recipe)
    if name == "replicates":
        return _replicates(rng, library, recipe)
    if name == "lookalikes":
        return single(draw_lookalikes(rng), "lookalikes"), []
    if name == "inset":
        return _inset(rng, library, recipe)
    return _plain(rng, library, recipe)


def _plain(rng: np.random.Generator, library: Library, recipe: Recipe) -> Made | None:
    """An image or a compound figure as it is; sometimes a chart."""
    if rng.random() < 0.5:
        return compose(rng, library, recipe)
    got = library.draw(rng, drawn=bool(rng.random() < 0.2)) or library.draw(rng)
    if got is None:
        return None
    pixels, _ = prepare(rng, got[1], recipe.finish, _FIELD_SIDE)
    return single(pixels, library.kinds[got[0]]), [got[0]]


def _field(rng: np.random.Generator, library: Library, recipe: Recipe) -> tuple[int, Pixels] | None:
    got = library.draw(rng)
    if got is None:
        return None
    return got[0], prepare(rng, got[1], recipe.finish, _FIELD_SIDE)[0]


def _channels(rng: np.random.Generator, library: Library, recipe: Recipe) -> Made | None:
    """One field in two or three channels, each in its colour, and their merge.

    Where the source has one channel only, the others are made from it: another stain follows the
    same cells, so it shares their outlines but neither their grey levels nor their noise.
    """
    got = _field(rng, library, recipe)
    if got is None:
        return None
    index, field = got
    cells, shape = _row_of(rng, int(rng.integers(3, 5)))
    base = cut(rng, field, cells[0], "channels")
    seen = render(field, base.to_canvas, base).astype(np.float32)
    stains = [_stain(rng, seen) for _ in cells[:-1]]
    colours = [np.eye(3)[i % 3] for i in rng.permutation(3)]
    tinted = [
        np.clip(stain[:, :, None] * colour, 0, 255)
        for stain, colour in zip(stains, colours, strict=False)
    ]
    tinted.append(np.clip(np.sum(tinted, axis=0), 0, 255))
    if rng.random() < 0.3:  # single channels are often printed in grey
        tinted[:-1] = [np.repeat(stain[:, :, None], 3, axis=2) for stain in stains]
    panels = [
        _shown(np.rint(picture).astype(np.uint8), cell, "channels")
        for picture, cell in zip(tinted, cells, strict=True)
    ]
    return drawn_figure(panels, shape, 255 if rng.random() < 0.8 else 0), [index]


def _stain(rng: np.random.Generator, seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """What another fluorophore might show of a field, float32 (h, w), 0 to 255."""
    grey = seen @ rng.dirichlet(np.ones(3)).astype(np.float32)
    if grey.mean() > 127:
        grey = 255 - grey
    grey = grey - grey.min()
    grey = grey / max(1.0, float(np.quantile(grey, 0.999)))
    grey = np.clip(grey, 0, 1) ** float(rng.uniform(0.5, 2.0))
    patchy = rng.random((6, 6)).astype(np.float32) * 1.2 + 0.2
    grey = grey * cv2.resize(patchy, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_CUBIC)
    sigma = float(rng.uniform(0.5, 3.0))
    if rng.random() < 0.6:
        grey = cv2.GaussianBlur(grey, (0, 0), sigma)
    noisy = grey * 230 + rng.normal(0, rng.uniform(1, 6), grey.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.float32)


def _replicates(rng: np.random.Generator, library: Library, recipe: Recipe) -> Made | None:
    """Panels cut from one field side by side: alike in everything, and nothing is shown twice."""
    for _ in range(4):
        got = _field(rng, library, recipe)
        if got is None:
            return None
        index, field = got
        if max(field.shape[:2]) < 300:
            continue
        cells, shape = grid(rng, recipe)
        cells = cells[: int(rng.integers(2, 7))]
        height, width = field.shape[:2]
        across = 2 if len(cells) <= 4 else 3
        down = -(-len(cells) // across)
        wide, tall = width // across, height // down
        order = rng.permutation(across * down)
        panels = []
        for cell, place in zip(cells, order, strict=False):
            x, y = int(place % across) * wide, int(place // across) * tall
            piece = np.ascontiguousarray(field[y : y + tall, x : x + wide])
            panels.append(cut(rng, piece, cell, "replicates"))
        bottom = max(panel.y + panel.height for panel in panels) + panels[0].x
        right = max(panel.x + panel.width for panel in panels) + panels[0].x
        size = (min(shape[0], bottom), min(shape[1], right))
        return drawn_figure(panels, size, 255), [index]
    return None


def _inset(rng: np.random.Generator, library: Library, recipe: Recipe) -> Made | None:
    """An image, a box on it, and the boxed part magnified, beside it or in a corner."""
    got = _field(rng, library, recipe)
    if got is None:
        return None
    index, field = got
    height, width = field.shape[:2]
    zoom = float(rng.uniform(2.0, 4.0))
    inside = rng.random() < 0.5
    side = round(min(height, width) * (float(rng.uniform(0.3, 0.45)) if inside else 1.0))
    part = max(12, round(side / zoom))
    if inside:
        corner_x, corner_y = width - side, height - side
        x = int(rng.integers(2, max(3, width - side - part - 4)))
        y = int(rng.integers(2, max(3, height - part - 4)))
        shape, panels = (height, width), [_shown(field, Cell(0, 0, width, height), "inset")]
    else:
        gap = int(rng.integers(4, 20))
        corner_x, corner_y = width + gap, 0
        x = int(rng.integers(2, width - part - 2))
        y = int(rng.integers(2, height - part - 2))
        shape = (height, width + gap + side)
        panels = [_shown(field, Cell(0, 0, width, height), "inset")]
    cell = Cell(corner_x, corner_y, side, side)
    onto = cell_map(x, y, side / part, cell)
    # As a drawing, it gets no scale bar of its own.
    panels.append(Panel(corner_x, corner_y, side, side, field, onto, "inset", drawn=True))
    canvas = drawn_figure(panels, shape, 255)
    canvas.layout = "single"
    light = float(field.mean()) < 128
    ink = (255, 255, 255) if light else (0, 0, 0)
    dashed = bool(rng.random() < 0.4)
    for stroke in (
        frame(x - 1, y - 1, part + 2, part + 2, ink, dashed=dashed),
        frame(corner_x, corner_y, side, side, ink),
    ):
        stroke(canvas.twin)
        stroke(canvas.image)
    return canvas, [index]


def _row_of(rng: np.random.Generator, number: int) -> tuple[list[Cell], tuple[int, int]]:
    """Square places in one row, or in two where there are four."""
    side = round(float(np.exp(rng.uniform(np.log(180), np.log(480)))))
    gap = int(rng.integers(0, 14))
    across = 2 if number == 4 and rng.random() < 0.5 else number
    cells = [
        Cell(gap + (i % across) * (side + gap), gap + (i // across) * (side + gap), side, side)
        for i in range(number)
    ]
    down = -(-number // across)
    return cells, (gap + down * (side + gap), gap + across * (side + gap))


def _shown(pixels: Pixels, cell: Cell, kind: str) -> Panel:
    """A panel that shows all of a picture, which has its size."""
    onto = cell_map(0, 0, 1.0, cell)
    return Panel(cell.x, cell.y, cell.width, cell.height, pixels, onto, kind)
