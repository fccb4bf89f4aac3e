"""Forge within and between images: clone an object or a region, or cover something up."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from forgecli.synth.canvas import Canvas, Group, Panel
from forgecli.synth.copying import copy_region, draw_edge, find_place
from forgecli.synth.library import is_blot
from forgecli.synth.objects import find_objects
from forgecli.synth.outline import Mask, Outline, freehand, grown, outline_of
from forgecli.synth.recipe import Recipe
from forgecli.synth.texture import has_texture
from forgecli.synth.transform import Turn, draw_turn

_TRIES = 12


def clone_object(rng: np.random.Generator, canvas: Canvas, recipe: Recipe) -> Group | None:
    """Clone one object once or several times, mostly within its panel.

    Returns None if there is no object, or no place for a copy.
    """
    panel = draw_panel(rng, canvas)
    if panel is None:
        return None
    outline = draw_object(rng, canvas, panel, recipe)
    if outline is None:
        return None
    return clone(rng, canvas, panel, outline, recipe, "object", draw_count(rng, recipe))


def clone_region(rng: np.random.Generator, canvas: Canvas, recipe: Recipe) -> Group | None:
    """Clone a region outlined by hand, an ellipse or a rectangle.

    Returns None if the panel holds nothing but flat ground, or if there is no place for a copy.
    """
    panel = draw_panel(rng, canvas)
    if panel is None:
        return None
    low, high = recipe.count.region_share
    outline = None
    for _ in range(_TRIES):
        area = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * panel.width * panel.height
        mask = _drawn_shape(rng, area)
        outline = place_with_texture(rng, canvas, panel, mask)
        if outline is not None:
            break
    if outline is None:
        return None
    copies = 1 if rng.random() < 0.85 else 2
    return clone(rng, canvas, panel, outline, recipe, "region", copies)


def clone(
    rng: np.random.Generator,
    canvas: Canvas,
    panel: Panel,
    outline: Outline,
    recipe: Recipe,
    name: str,
    copies: int,
) -> Group | None:
    """Copy a region some times, and record the group. None if not one copy could be placed."""
    edge = draw_edge(rng, recipe.paste)
    source = outline.full(canvas.shape)
    forbidden = canvas.taken | widened(source)
    regions: list[Mask] = [source]
    cards: list[dict[str, Any]] = []
    for _ in range(copies):
        # On a blot, all bands lie one way.
        turn = draw_turn(rng, recipe.geometry, small=is_blot(panel.kind))
        target = panel if rng.random() < 0.75 else (draw_panel(rng, canvas, like=panel) or panel)
        made = copy_region(
            rng, canvas, outline, target, recipe, turn=turn, edge=edge, forbidden=forbidden
        )
        if made is None:
            continue
        regions.append(made[0])
        cards.append(made[1])
        forbidden |= widened(made[0])
    if not cards:
        return None
    return canvas.take(regions, {"kind": name, "source": box_card(outline), "copies": cards})


def cover(rng: np.random.Generator, canvas: Canvas, recipe: Recipe) -> Group | None:
    """Cover an object, or a part of the image, with textured background from elsewhere.

    Returns None where the background is flat: its copy could not be told from it.
    """
    panel = draw_panel(rng, canvas)
    if panel is None:
        return None
    hidden = draw_object(rng, canvas, panel, recipe)
    if hidden is None:
        return None
    room = panel_room(hidden, panel)
    hidden = grown(hidden, min(room, int(rng.integers(2, 7))), canvas.shape)
    mirrored = bool(rng.random() < recipe.geometry.mirror)
    shape = hidden.mask[:, ::-1] if mirrored else hidden.mask
    forbidden = canvas.taken | widened(hidden.full(canvas.shape))
    for _ in range(4):
        # The background that fits best around the object: its own rim is what is compared.
        where = find_place(rng, canvas, panel, shape, hidden, forbidden, recipe.paste.trials)
        if where is None:
            return None
        source = Outline(where[0], where[1], np.ascontiguousarray(shape))
        if not textured(canvas, panel, source):
            continue
        made = copy_region(
            rng,
            canvas,
            source,
            panel,
            recipe,
            turn=Turn(mirrored=mirrored),
            edge=draw_edge(rng, recipe.paste),
            forbidden=forbidden,
            place=(hidden.x, hidden.y),
        )
        if made is None:
            return None
        regions = [source.full(canvas.shape), made[0]]
        card = {"kind": "removal", "source": box_card(source), "copies": [made[1]]}
        return canvas.take(regions, card)
    return None


def draw_panel(
    rng: np.random.Generator, canvas: Canvas, *, like: Panel | None = None
) -> Panel | None:
    """A panel that is a micrograph, larger ones more often; or another one of the same kind."""
    fitting = [
        panel
        for panel in canvas.panels
        if not panel.drawn and (like is None or (panel is not like and panel.kind == like.kind))
    ]
    if not fitting:
        return None
    areas = np.array([panel.width * panel.height for panel in fitting], np.float64)
    return fitting[int(rng.choice(len(fitting), p=areas / areas.sum()))]


def draw_count(rng: np.random.Generator, recipe: Recipe) -> int:
    """How many copies of one source."""
    weights = np.array(recipe.count.copies)
    return 1 + int(rng.choice(len(weights), p=weights / weights.sum()))


def draw_object(
    rng: np.random.Generator, canvas: Canvas, panel: Panel, recipe: Recipe
) -> Outline | None:
    """An object of a panel that is still free, of a size drawn at random where there is choice."""
    low, high = recipe.count.object_share
    found = find_objects(rng, canvas.twin[panel.box], (low, high))
    found = [item.moved(panel.x, panel.y) for item in found]
    found = [item for item in found if canvas.is_free(item)]
    if not found:
        return None
    # Objects of one image differ little in size. Where they do, the small ones, which often are
    # fragments, do not get the better of the rest by number.
    logs = np.log([item.area for item in found])
    wanted = rng.uniform(np.quantile(logs, 0.4), logs.max() + 1e-9)
    weight = np.exp(-2.0 * np.abs(logs - wanted))
    chosen = found[int(rng.choice(len(found), p=weight / weight.sum()))]
    rim = min(panel_room(chosen, panel), round(rng.uniform(0.0, 0.1) * np.sqrt(chosen.area)), 8)
    wide = grown(chosen, rim, canvas.shape)
    return wide if canvas.is_free(wide) else chosen


def panel_room(outline: Outline, panel: Panel) -> int:
    """By how many pixels a region can grow on all sides and stay in its panel."""
    rows, columns = outline.box
    room: int = min(
        rows.start - panel.y,
        columns.start - panel.x,
        panel.y + panel.height - rows.stop,
        panel.x + panel.width - columns.stop,
    )
    return max(0, room)


def _drawn_shape(rng: np.random.Generator, area: float) -> Mask:
    """A lasso, an ellipse or a rectangle of about this area."""
    aspect = float(np.exp(rng.normal(0, 0.4)))
    width = max(6, round(np.sqrt(area * aspect) * 1.15))
    height = max(6, round(np.sqrt(area / aspect) * 1.15))
    kind = rng.choice(3, p=[0.6, 0.15, 0.25])
    if kind == 0:
        return freehand(rng, width, height)
    if kind == 1:
        mask = np.zeros((height, width), np.uint8)
        centre = (width // 2, height // 2)
        cv2.ellipse(mask, centre, ((width - 1) // 2, (height - 1) // 2), 0, 0, 360, 1, -1)
        return mask > 0
    return np.ones((height, width), bool)


def place_with_texture(
    rng: np.random.Generator, canvas: Canvas, panel: Panel, mask: Mask
) -> Outline | None:
    """Lay a shape over a part of a panel that is free and not flat."""
    tight = outline_of(mask)
    if tight is None:
        return None
    height, width = tight.mask.shape
    if height + 4 > panel.height or width + 4 > panel.width:
        return None
    for _ in range(_TRIES):
        x = int(rng.integers(panel.x + 2, panel.x + panel.width - width - 1))
        y = int(rng.integers(panel.y + 2, panel.y + panel.height - height - 1))
        outline = Outline(x, y, tight.mask)
        if canvas.is_free(outline) and textured(canvas, panel, outline):
            return outline
    return None


def textured(canvas: Canvas, panel: Panel, outline: Outline) -> bool:
    """Whether a region of a panel holds more than noise and uneven illumination."""
    grey, noise = canvas.grey(panel)
    inside = outline.moved(-panel.x, -panel.y)
    return has_texture(grey[inside.box], inside.mask, noise, factor=3.0, least=1.5)


def widened(mask: Mask) -> Mask:
    """A mask and 3 px around it: soft edges of copies keep off other sources and copies."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)


def box_card(outline: Outline) -> list[int]:
    """x, y, width, height, for the card."""
    height, width = outline.mask.shape
    return [outline.x, outline.y, width, height]
