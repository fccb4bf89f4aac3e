"""Compose compound figures of panels cut from authentic images."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.canvas import Canvas, Panel, Pixels
from forgecli.synth.library import Library, prepare
from forgecli.synth.recipe import Recipe
from forgecli.synth.texture import has_texture, is_drawn, noise_level, strongest_channel
from forgecli.synth.transform import Affine, warp

_GRIDS = {
    (1, 2): 1, (2, 1): 1, (1, 3): 2, (2, 2): 4, (3, 1): 1, (2, 3): 6, (1, 4): 2, (3, 2): 4,
    (2, 4): 5, (3, 3): 6, (4, 2): 2, (3, 4): 5, (2, 5): 3, (4, 3): 4, (4, 4): 3, (3, 5): 2,
}  # fmt: skip
"""Rows and columns, and how often they are seen."""
_WIDTHS = (500.0, 2200.0)
"""Least and largest width of a figure, in pixels; small panels are drawn narrower."""
_MOST_ENLARGED = 2.2
_FIELD_SIDE = 1600


@dataclass(frozen=True, slots=True)
class Cell:
    """A place for a panel: left, top, width, height in pixels."""

    x: int
    y: int
    width: int
    height: int


def grid(
    rng: np.random.Generator, recipe: Recipe, *, at_least: int = 2
) -> tuple[list[Cell], tuple[int, int]]:
    """Draw the places of the panels of a figure, row by row, and the figure's (H, W)."""
    fitting = [
        size for size in _GRIDS if at_least <= size[0] * size[1] <= recipe.figure.max_panels
    ] or [(1, max(2, at_least))]
    weights = np.array([_GRIDS.get(size, 1) for size in fitting], np.float64)
    rows, columns = fitting[int(rng.choice(len(fitting), p=weights / weights.sum()))]
    low, high = np.log(_WIDTHS)
    width = float(np.exp(rng.uniform(low, high)))
    width = min(max(width, 120.0 * columns), recipe.finish.max_side)
    gutter = round(width * float(rng.uniform(*recipe.figure.gutter_range)))
    margin = gutter if rng.random() < 0.5 else round(width * float(rng.uniform(0, 0.03)))
    aspect = float(rng.choice([1.0, 4 / 3, 3 / 2, 3 / 4], p=[0.5, 0.28, 0.14, 0.08]))
    side = int((width - 2 * margin - gutter * (columns - 1)) / columns)
    tall = max(60, round(side / aspect))
    uneven = columns > 1 and rng.random() < 0.15
    letters = round(rng.uniform(0, 0.35) * min(80, tall)) if rng.random() < 0.4 else 0
    cells, y = [], margin
    for _ in range(rows):
        y += letters
        shares = rng.uniform(0.7, 1.3, columns) if uneven else np.ones(columns)
        widths = np.floor(shares / shares.sum() * side * columns).astype(int)
        x = margin
        for one in widths:
            cells.append(Cell(x, y, int(one), tall))
            x += int(one) + gutter
        y += tall + gutter
    height = y - gutter + margin
    total = margin * 2 + side * columns + gutter * (columns - 1)
    return cells, (height, total)


def compose(
    rng: np.random.Generator, library: Library, recipe: Recipe, *, kind: str | None = None
) -> tuple[Canvas, list[int]] | None:
    """A figure of authentic panels, each from a source of its own.

    Args:
        kind: of the panels; None draws one.

    Returns:
        the canvas and the indices of the sources; None if the library holds too little.
    """
    cells, shape = grid(rng, recipe)
    first = library.draw(rng, kind=kind)
    if first is None:
        return None
    kind = library.kinds[first[0]]
    same = rng.random() < recipe.figure.same_kind
    chart = -1
    if len(cells) > 2 and rng.random() < recipe.figure.chart:
        chart = int(rng.integers(len(cells)))
    waiting: tuple[int, Pixels] | None = first
    panels: list[Panel] = []
    used: list[int] = []
    for number, cell in enumerate(cells):
        got = library.draw(rng, drawn=True, besides=used) if number == chart else None
        drawn = got is not None
        if got is None:
            shown = [panel.field for panel in panels if not panel.drawn]
            among = kind if same else None
            got = waiting or library.draw(rng, kind=among, besides=used, unlike=shown)
            waiting = None
        if got is None:
            break
        used.append(got[0])
        pixels, _ = prepare(rng, got[1], recipe.finish, _FIELD_SIDE)
        panel = cut(rng, pixels, cell, library.kinds[got[0]], drawn=drawn)
        if not drawn and is_drawn(np.ascontiguousarray(pixels[seen_part(panel)])):
            panel = dataclasses.replace(panel, drawn=True)  # the chart in a figure of both
        panels.append(panel)
    if len(panels) < 2:
        return None
    shape = _trimmed(panels, shape)
    ground = 0 if rng.random() < recipe.figure.black_gutter else 255
    return drawn_figure(panels, shape, ground), used


def _trimmed(panels: list[Panel], shape: tuple[int, int]) -> tuple[int, int]:
    """The figure's size without rows that stayed empty for want of images."""
    margin = min(panel.x for panel in panels)
    bottom = max(panel.y + panel.height for panel in panels)
    return min(shape[0], bottom + margin), shape[1]


def drawn_figure(panels: list[Panel], shape: tuple[int, int], ground: int) -> Canvas:
    """The canvas of some panels on a plain ground."""
    figure = np.full((*shape, 3), ground, np.uint8)
    for panel in panels:
        figure[panel.box] = render(panel.field, panel.to_canvas, panel)
    return Canvas(figure, figure.copy(), panels, np.zeros(shape, bool), layout="grid")


def cut(
    rng: np.random.Generator, field: Pixels, cell: Cell, kind: str, *, drawn: bool = False
) -> Panel:
    """Cut a panel out of a picture: some of it, where it is not flat; charts whole."""
    height, width = field.shape[:2]
    most = min(width / cell.width, height / cell.height)
    best: Panel | None = None
    for _ in range(4):
        step = most
        if not drawn:
            # Pixels of the picture per pixel of the panel: small means enlarged.
            least = max(most * 0.45, 1 / _MOST_ENLARGED)
            step = float(rng.uniform(least, most)) if least < most else most
            if least <= 1 <= most and rng.random() < 0.5:
                step = 1.0
        room_x, room_y = width - step * cell.width, height - step * cell.height
        left = float(np.floor(rng.uniform(0, max(0.0, room_x) + 1e-9)))
        top = float(np.floor(rng.uniform(0, max(0.0, room_y) + 1e-9)))
        onto = cell_map(left, top, 1 / step, cell)
        best = Panel(cell.x, cell.y, cell.width, cell.height, field, onto, kind, drawn)
        grey = strongest_channel(render(field, onto, best))
        whole = np.ones(grey.shape, bool)
        if drawn or has_texture(grey, whole, noise_level(grey), least=2.0):
            break
    assert best is not None
    return best


def seen_part(panel: Panel) -> tuple[slice, slice]:
    """Rows and columns of the picture that a panel shows, if it was cut without a turn."""
    step = 1 / float(panel.to_canvas[0, 0])
    left = round((panel.x - panel.to_canvas[0, 2]) * step)
    top = round((panel.y - panel.to_canvas[1, 2]) * step)
    wide, tall = round(panel.width * step), round(panel.height * step)
    return slice(max(0, top), top + tall), slice(max(0, left), left + wide)


def cell_map(left: float, top: float, scale: float, cell: Cell | Panel) -> Affine:
    """Maps a picture onto the canvas so that the edge (left, top) meets the cell's corner."""
    half = (scale - 1) / 2
    return np.array(
        [
            [scale, 0, cell.x - left * scale + half],
            [0, scale, cell.y - top * scale + half],
        ]
    )


def render(field: Pixels, to_canvas: Affine, cell: Cell | Panel) -> NDArray[np.uint8]:
    """What of a picture is seen in a panel, uint8 (h, w, 3)."""
    into = to_canvas - np.array([[0, 0, cell.x], [0, 0, cell.y]], np.float64)
    scale = float(np.sqrt(abs(np.linalg.det(into[:, :2]))))
    exact = scale == 1 and np.array_equal(into, np.rint(into))
    source: NDArray[np.uint8] | NDArray[np.float32] = field
    if scale < 0.8:  # warpAffine does not average over the pixels it skips
        sigma = 0.45 * float(np.sqrt(1 / scale**2 - 1))
        source = np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.uint8)
    kind = cv2.INTER_NEAREST if exact else (cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC)
    seen = warp(source, into, (cell.height, cell.width), kind)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)
