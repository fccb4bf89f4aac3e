"""Blots and gels: find bands, and copy a band, a row of bands or a lane."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from forgecli.synth.canvas import Canvas, Group, Panel, Pixels
from forgecli.synth.clone import box_card, draw_count, panel_room, textured, widened
from forgecli.synth.copying import copy_region, draw_edge
from forgecli.synth.outline import Outline, grown, outline_of, rectangle
from forgecli.synth.recipe import Recipe
from forgecli.synth.texture import is_text
from forgecli.synth.transform import Turn, draw_turn


def find_bands(pixels: Pixels) -> list[Outline]:
    """Bands of a blot or gel, from left to right.

    Flat, wide blots that are darker (or lighter, if most are) than the ground: Otsu's threshold on
    the difference from the local ground, components that are wider than high and solid.
    """
    height, width = pixels.shape[:2]
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    quarter = cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    side = min(61, max(3, (min(quarter.shape) // 2) | 1))
    ground = cv2.resize(cv2.medianBlur(quarter, side), (width, height))
    difference = ground.astype(np.float32) - grey
    darker = float(np.quantile(difference, 0.995)) >= -float(np.quantile(difference, 0.005))
    level = np.clip(difference if darker else -difference, 0, 255).astype(np.uint8)
    if int(level.max()) < 12:
        return []
    threshold, _ = cv2.threshold(level, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = (level > max(6.0, 0.6 * threshold)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    bands = []
    for label in range(1, min(count, 400)):
        x, y, wide, tall, area = (int(value) for value in stats[label])
        inside = x > 1 and y > 1 and x + wide < width - 1 and y + tall < height - 1
        fits = 40 <= area <= 0.06 * height * width and wide >= 1.15 * tall and tall >= 4
        if inside and fits and area > 0.55 * wide * tall:
            bands.append(Outline(x, y, labels[y : y + tall, x : x + wide] == label))
    return sorted(bands, key=lambda band: band.x)


def rows_of(bands: list[Outline]) -> list[list[Outline]]:
    """Bands at one height, of about one size: those of one protein. Longer rows first."""
    rows: list[list[Outline]] = []
    for band in bands:
        middle = band.y + band.mask.shape[0] / 2
        for row in rows:
            tall = max(row[0].mask.shape[0], band.mask.shape[0])
            mean = float(np.mean([other.y + other.mask.shape[0] / 2 for other in row]))
            if abs(middle - mean) < 0.8 * tall:
                row.append(band)
                break
        else:
            rows.append([band])
    return sorted(rows, key=len, reverse=True)


def copy_band(rng: np.random.Generator, canvas: Canvas, recipe: Recipe) -> Group | None:
    """Copy one band, several neighbours or a whole lane to another lane, row or blot.

    Returns None if no panel holds a row of two bands or more.
    """
    blots: list[tuple[Panel, list[list[Outline]]]] = []
    for panel in canvas.panels:
        if panel.drawn:
            continue
        bands = [band.moved(panel.x, panel.y) for band in find_bands(canvas.twin[panel.box])]
        rows = [row for row in rows_of(bands) if len(row) >= 2]
        if rows and is_grey(canvas.twin[panel.box]):
            blots.append((panel, rows))
    if not blots:
        return None
    panel, rows = blots[int(rng.integers(len(blots)))]
    row = rows[int(rng.integers(len(rows)))]
    way = str(rng.choice(["band", "row", "lane"], p=[0.6, 0.22, 0.18]))
    if way == "band":
        source = _band(rng, canvas, panel, row)
    elif way == "row":
        source = _neighbours(rng, canvas, panel, row)
    else:
        source = _lane(rng, panel, row)
    if source is None or not canvas.is_free(source) or not textured(canvas, panel, source):
        return None
    if is_text(np.ascontiguousarray(canvas.twin[source.box])):
        return None
    copies = draw_count(rng, recipe) if way == "band" else 1
    return _copy(rng, canvas, recipe, panel, source, blots, way, copies)


def _copy(
    rng: np.random.Generator,
    canvas: Canvas,
    recipe: Recipe,
    panel: Panel,
    source: Outline,
    blots: list[tuple[Panel, list[list[Outline]]]],
    way: str,
    copies: int,
) -> Group | None:
    """Put a piece of a blot where another piece of its kind is or could be."""
    edge = draw_edge(rng, recipe.paste)
    region = source.full(canvas.shape)
    forbidden = canvas.taken | widened(region)
    regions, cards = [region], []
    for target, place in _places(rng, panel, source, blots, way):
        turn = draw_turn(rng, recipe.geometry, small=True)
        if way != "band":
            turn = Turn(180.0 if turn.angle == 180 else 0.0, turn.mirrored)
        x, y = place
        height, width = source.mask.shape
        room = 3 if not turn.exact else 0
        if not (
            target.x + room <= x
            and x + width + room <= target.x + target.width
            and target.y + room <= y
            and y + height + room <= target.y + target.height
        ):
            continue
        if forbidden[y : y + height, x : x + width].any():
            continue
        made = copy_region(
            rng,
            canvas,
            source,
            target,
            recipe,
            turn=turn,
            edge=edge,
            forbidden=forbidden,
            place=place,
        )
        if made is None:
            continue
        regions.append(made[0])
        cards.append(made[1])
        forbidden |= widened(made[0])
        if len(cards) == copies:
            break
    if not cards:
        return None
    card: dict[str, Any] = {
        "kind": "blot",
        "piece": way,
        "source": box_card(source),
        "copies": cards,
    }
    return canvas.take(regions, card)


def _places(
    rng: np.random.Generator,
    panel: Panel,
    source: Outline,
    blots: list[tuple[Panel, list[list[Outline]]]],
    way: str,
) -> list[tuple[Panel, tuple[int, int]]]:
    """Places for a piece of a blot, likely ones first: other lanes, other rows, other blots."""
    height, width = source.mask.shape
    places: list[tuple[Panel, tuple[int, int]]] = []
    for target, rows in blots:
        for row in rows:
            for band in row:
                tall, wide = band.mask.shape
                x = band.x + (wide - width) // 2 + int(rng.integers(-2, 3))
                y = band.y + (tall - height) // 2 + int(rng.integers(-2, 3))
                if way == "lane":
                    y = source.y if target is panel else target.y + 1
                places.append((target, (x, y)))
    order = rng.permutation(len(places))
    # Within its own blot more often than in another one.
    near = [places[i] for i in order if places[i][0] is panel]
    far = [places[i] for i in order if places[i][0] is not panel]
    first, second = (near, far) if rng.random() < 0.65 else (far, near)
    beside = []
    for _ in range(6):  # an empty lane beside the last one, or a row above or below
        x = source.x + int(rng.choice([-1, 1])) * round(width * float(rng.uniform(1.2, 3.0)))
        y = source.y + int(rng.integers(-3, 4))
        beside.append((panel, (x, y)))
    return [*beside, *first, *second] if rng.random() < 0.25 else [*first, *second, *beside]


def _band(
    rng: np.random.Generator, canvas: Canvas, panel: Panel, row: list[Outline]
) -> Outline | None:
    """One band with a rim: as outlined, or a rectangle around it."""
    band = row[int(rng.integers(len(row)))]
    room = panel_room(band, panel)
    rim = min(room, int(rng.integers(2, 2 + max(2, band.mask.shape[0] // 2))))
    if rng.random() < 0.5:
        return grown(band, rim, canvas.shape)
    height, width = band.mask.shape
    return rectangle(band.x - rim, band.y - rim, width + 2 * rim, height + 2 * rim)


def _neighbours(
    rng: np.random.Generator, canvas: Canvas, panel: Panel, row: list[Outline]
) -> Outline | None:
    """A rectangle around some bands that stand side by side, not more than half of the row."""
    ordered = sorted(row, key=lambda band: band.x)
    number = min(len(ordered), int(rng.integers(2, 5)))
    first = int(rng.integers(len(ordered) - number + 1))
    both = ordered[first : first + number]
    box = outline_of(np.logical_or.reduce([band.full(canvas.shape) for band in both]))
    if box is None:
        return None
    rim = min(panel_room(box, panel), int(rng.integers(2, 8)))
    height, width = box.mask.shape
    return rectangle(box.x - rim, box.y - rim, width + 2 * rim, height + 2 * rim)


def _lane(rng: np.random.Generator, panel: Panel, row: list[Outline]) -> Outline | None:
    """A column of the blot, as wide as a lane."""
    band = row[int(rng.integers(len(row)))]
    wide = round(band.mask.shape[1] * float(rng.uniform(1.0, 1.2)))
    x = band.x + (band.mask.shape[1] - wide) // 2
    share = float(rng.uniform(0.55, 0.98))
    tall = round((panel.height - 2) * share)
    middle = band.y + band.mask.shape[0] // 2
    top = int(np.clip(middle - tall // 2, panel.y + 1, panel.y + panel.height - 1 - tall))
    if x < panel.x + 1 or x + wide > panel.x + panel.width - 1 or tall < 8:
        return None
    return rectangle(x, top, wide, tall)


def is_grey(pixels: Pixels) -> bool:
    """Whether an image has hardly any colour, as blots have."""
    some = pixels[::3, ::3].astype(np.int16)
    return float(np.abs(some.max(axis=2) - some.min(axis=2)).mean()) < 25
