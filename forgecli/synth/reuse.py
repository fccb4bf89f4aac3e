"""Forge a compound figure: show a panel again, or two crops of one field as two fields."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.canvas import Canvas, Group, Panel
from forgecli.synth.clone import box_card, textured
from forgecli.synth.figure import render
from forgecli.synth.outline import Mask, outline_of, rectangle
from forgecli.synth.recipe import Recipe
from forgecli.synth.transform import Affine, Turn, change_tone, draw_turn, inverse, then, warp

_TRIES = 20
_LEAST_OVERLAP, _MOST_OVERLAP = 0.12, 0.8
"""Of the area of the panel that is shown a second time."""


def reuse_panel(rng: np.random.Generator, canvas: Canvas, recipe: Recipe) -> Group | None:
    """Show (a part of) one panel in the place of another, or of a part of it.

    Returns None if there are not two micrographs with nothing copied in them.
    """
    pair = _draw_pair(rng, canvas)
    if pair is None:
        return None
    shown, hidden = pair
    figure = recipe.figure
    part = rng.random() * (figure.panel_whole + figure.panel_part) >= figure.panel_whole
    target = rectangle(hidden.x, hidden.y, hidden.width, hidden.height)
    if part and rng.random() < 0.5:
        # A rectangle within the other panel, as when a blot is spliced.
        width = round(hidden.width * float(rng.uniform(0.25, 0.8)))
        height = round(hidden.height * float(rng.uniform(0.25, 0.9)))
        x = hidden.x + int(rng.integers(0, hidden.width - width + 1))
        y = hidden.y + int(rng.integers(0, hidden.height - height + 1))
        target = rectangle(x, y, width, height)
    tall, wide = target.mask.shape
    for _ in range(_TRIES):
        turn = draw_turn(rng, recipe.geometry)
        cover = _cover(turn, wide, tall, shown)
        zoom = cover * (float(rng.uniform(1.0, 2.0)) if part else 1.0)
        if part and cover <= 1 and rng.random() < 0.5:
            zoom = 1.0  # cropped again from the same picture, at its size
        if 0.97 < zoom < 1.03 and cover <= 1.001:
            zoom = 1.0
        if zoom > 2.2 or zoom < 0.4:
            continue
        turn = Turn(turn.angle, turn.mirrored, zoom)
        back = _placed(rng, turn, wide, tall, shown, target.x, target.y)
        mask = warp(
            np.ones((tall, wide), np.float32),
            then(np.array([[1.0, 0, target.x], [0, 1, target.y]]), back),
            canvas.shape,
            cv2.INTER_NEAREST if turn.exact else cv2.INTER_LINEAR,
            outside=0,
        )
        within = np.zeros(canvas.shape, bool)
        within[shown.box] = mask[shown.box] > 0.5
        source = outline_of(within)
        if source is None or not textured(canvas, shown, source):
            continue
        onto = inverse(back)
        pixels = warp(
            canvas.image,
            onto - np.array([[0, 0, target.x], [0, 0, target.y]]),
            (tall, wide),
            cv2.INTER_NEAREST if turn.exact else cv2.INTER_CUBIC,
        )
        pixels, tone = change_tone(rng, pixels, recipe.tone)
        canvas.image[target.box] = np.rint(pixels).astype(np.uint8)
        card = {
            "kind": "panel",
            "whole": not part,
            "source": box_card(source),
            "copies": [{**turn.card(), "map": _rows(onto), "tone": tone}],
        }
        return canvas.take([within, target.full(canvas.shape)], card)
    return None


def overlap_crops(rng: np.random.Generator, canvas: Canvas, recipe: Recipe) -> Group | None:
    """Make one panel a second crop of the field that another one shows, overlapping it.

    Returns None if no field is large enough for a second crop, or if the two would share only
    flat ground.
    """
    pair = _draw_pair(rng, canvas)
    if pair is None:
        return None
    shown, other = pair
    height, width = shown.field.shape[:2]
    scale = float(np.sqrt(abs(np.linalg.det(shown.to_canvas[:, :2]))))
    for _ in range(_TRIES):
        turn = draw_turn(rng, recipe.geometry)
        angle = turn.angle if turn.angle % 90 == 0 else 0.0
        factor = turn.scale if 0.8 <= turn.scale <= 1.25 else 1.0
        turn = Turn(angle, turn.mirrored, scale * factor)
        if _cover(turn, other.width, other.height, _whole(width, height)) > turn.scale:
            continue
        field = _whole(width, height)
        back = _placed(rng, turn, other.width, other.height, field, other.x, other.y)
        across = then(back, shown.to_canvas)  # from the other panel to the shown one
        first = _reached(other, across, shown, canvas.shape)
        second = _reached(shown, inverse(across), other, canvas.shape)
        share = np.count_nonzero(second) / (other.width * other.height)
        if not _LEAST_OVERLAP <= share <= _MOST_OVERLAP:
            continue
        source = outline_of(first)
        if source is None or not textured(canvas, shown, source):
            continue
        onto = inverse(back)
        pixels = render(shown.field, onto, other).astype(np.float32)
        pixels, tone = change_tone(rng, pixels, recipe.tone)
        canvas.image[other.box] = np.rint(pixels).astype(np.uint8)
        # The rest of the other panel is no copy, but it is no place for one any more either.
        group = canvas.take(
            [first, second],
            {
                "kind": "overlap",
                "share": round(share, 3),
                "source": box_card(source),
                "copies": [
                    {
                        **Turn(angle, turn.mirrored, factor).card(),
                        "map": _rows(inverse(across)),
                        "tone": tone,
                    }
                ],
            },
        )
        canvas.taken[other.box] = True
        return group
    return None


def _draw_pair(rng: np.random.Generator, canvas: Canvas) -> tuple[Panel, Panel] | None:
    """Two micrographs of a figure in which nothing is copied yet."""
    free = [
        panel for panel in canvas.panels if not panel.drawn and not canvas.taken[panel.box].any()
    ]
    if len(free) < 2:
        return None
    first, second = rng.permutation(len(free))[:2]
    return free[first], free[second]


def _whole(width: int, height: int) -> Panel:
    """A picture as a place to cut from."""
    return Panel(0, 0, width, height, np.zeros((0, 0, 3), np.uint8), np.eye(2, 3))


def _extent(turn: Turn, wide: int, tall: int) -> tuple[float, float]:
    """Width and height of the box of a rectangle turned back, at scale 1."""
    radians = np.deg2rad(turn.angle)
    cosine, sine = abs(np.cos(radians)), abs(np.sin(radians))
    return cosine * wide + sine * tall, sine * wide + cosine * tall


def _cover(turn: Turn, wide: int, tall: int, room: Panel) -> float:
    """The smallest scale at which a turned copy of `room` covers a rectangle."""
    across, down = _extent(turn, wide, tall)
    return float(max(across / room.width, down / room.height))


def _placed(
    rng: np.random.Generator, turn: Turn, wide: int, tall: int, room: Panel, x: int, y: int
) -> Affine:
    """A map from the rectangle (x, y, wide, tall) into `room`, at a place drawn by chance."""
    back = np.linalg.inv(turn.linear)
    corners = np.array([[x, y], [x + wide, y], [x, y + tall], [x + wide, y + tall]]) - 0.5
    turned = corners @ back.T
    low, size = turned.min(axis=0), np.ptp(turned, axis=0)
    slack = np.array([room.width, room.height]) - size
    offset = np.clip(slack, 0, None) * rng.random(2)
    if turn.exact:
        offset = np.floor(offset + 1e-6)
    shift = np.array([room.x, room.y]) - 0.5 + offset - low
    if turn.exact:
        shift = np.rint(shift)
    return np.hstack([back, shift[:, None]])


def _reached(source: Panel, affine: Affine, target: Panel, shape: tuple[int, int]) -> Mask:
    """The pixels of one panel that a map of the other one reaches, bool (H, W)."""
    shift = np.array([[1.0, 0, source.x], [0, 1, source.y]])
    into = then(shift, affine) - np.array([[0, 0, target.x], [0, 0, target.y]])
    # Beyond the panel there is nothing; warp needs a rim of that to fade over.
    weight = warp(
        np.ones((source.height, source.width), np.float32),
        into,
        (target.height, target.width),
        cv2.INTER_LINEAR,
        outside=0,
    )
    mask = np.zeros(shape, bool)
    mask[target.box] = weight > 0.5
    return mask


def _rows(affine: NDArray[np.float64]) -> list[list[float]]:
    return [[round(float(value), 6) for value in row] for row in affine]
