"""Copy one region of a canvas to another place of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.canvas import Canvas, Panel
from forgecli.synth.outline import Mask, Outline, outline_of
from forgecli.synth.paste import paste
from forgecli.synth.recipe import Paste, Recipe, weights_of
from forgecli.synth.transform import (
    Affine,
    Turn,
    change_tone,
    draw_interpolation,
    local_map,
    then,
    warp,
)

_NAMES = {cv2.INTER_NEAREST: "none", cv2.INTER_LINEAR: "linear", cv2.INTER_CUBIC: "cubic"}
_MOST_LEVELLED = 40.0
"""Grey levels. Surroundings that differ by more were not meant to be alike."""
_LEAST_ALIKE = 0.7
"""Correlation of a copy with what was copied, below which it is none any more."""
_LOOKED_AT = 96
"""Pixels compared at every place, inside the region and on its rim."""


@dataclass(frozen=True, slots=True)
class Edge:
    """How a copy meets its surroundings: ``hard``, ``feather`` or ``poisson``, and how soft."""

    mode: str
    half_width: float

    def card(self) -> dict[str, Any]:
        """For the card of the image."""
        if self.mode != "feather":
            return {"mode": self.mode}
        return {"mode": self.mode, "half_width": round(self.half_width, 3)}


def draw_edge(rng: np.random.Generator, settings: Paste) -> Edge:
    """Draw how copies are pasted."""
    mode = pick(rng, weights_of(settings))
    return Edge(mode, float(rng.uniform(*settings.feather_range)))


def pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Draw a name by weight."""
    names = list(weights)
    values = np.array([weights[name] for name in names], np.float64)
    return names[int(rng.choice(len(names), p=values / values.sum()))]


def turned_mask(outline: Outline, turn: Turn) -> tuple[Affine, Mask]:
    """The map of an image into the box of a turned region, and the region there.

    The region is the set of pixels whose content comes, by more than half, from inside `outline`.
    """
    affine, shape = local_map(outline, turn, 1)
    kind = cv2.INTER_NEAREST if turn.exact else cv2.INTER_LINEAR
    shift = np.array([[1.0, 0, outline.x - 1], [0, 1, outline.y - 1]])
    weight = warp(
        np.pad(outline.mask, 1).astype(np.float32), then(shift, affine), shape, kind, outside=0
    )
    tight = outline_of(weight > 0.5)
    if tight is None:
        return affine, np.zeros((0, 0), bool)
    affine = affine + np.array([[0, 0, -tight.x], [0, 0, -tight.y]])
    return affine, tight.mask


def find_place(
    rng: np.random.Generator,
    canvas: Canvas,
    panel: Panel,
    shape: Mask,
    source: Outline,
    forbidden: Mask,
    trials: int,
) -> tuple[int, int] | None:
    """The place for a copy that looks least out of place, of some drawn by chance.

    Its rim should have the colours of the source's rim, and little should be covered.

    Args:
        shape: bool (h, w), the turned region.
        forbidden: bool (H, W), what a copy must not touch.

    Returns:
        x, y of the copy's box on the canvas, or None if it fits nowhere.
    """
    height, width = shape.shape
    if height + 2 > panel.height or width + 2 > panel.width:
        return None
    inside, rim = _samples(rng, shape)
    own = _samples(rng, source.mask)[1] + np.array([source.y, source.x])
    limit = np.array(canvas.shape) - 1
    wanted = _at(canvas.image, np.clip(own, 0, limit)).mean(axis=0)
    best: tuple[float, int, int] | None = None
    for _ in range(trials):
        x = int(rng.integers(panel.x + 1, panel.x + panel.width - width))
        y = int(rng.integers(panel.y + 1, panel.y + panel.height - height))
        if (forbidden[y : y + height, x : x + width] & shape).any():
            continue
        corner = np.array([y, x])
        covered = _at(canvas.image, inside + corner)
        around = _at(canvas.image, np.clip(rim + corner, 0, limit))
        strange = float(np.abs(around.mean(axis=0) - wanted).mean() + 0.5 * around.std())
        cost = strange + 0.3 * float(covered.std()) + float(rng.exponential(3.0))
        if best is None or cost < best[0]:
            best = cost, x, y
    return None if best is None else best[1:]


def _samples(rng: np.random.Generator, mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Some pixels (row, column) inside a region and some on a rim of 3 px around it."""
    padded = np.pad(mask, 3).astype(np.uint8)
    ring = (cv2.dilate(padded, np.ones((7, 7), np.uint8)) > 0) & (padded == 0)
    both = []
    for chosen in (padded > 0, ring):
        places = np.argwhere(chosen) - 3
        both.append(places[rng.integers(0, len(places), _LOOKED_AT)])
    return both[0], both[1]


def _at(pixels: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.float32]:
    return pixels[places[:, 0], places[:, 1]].astype(np.float32)


def copy_region(
    rng: np.random.Generator,
    canvas: Canvas,
    source: Outline,
    panel: Panel,
    recipe: Recipe,
    *,
    turn: Turn,
    edge: Edge,
    forbidden: Mask,
    place: tuple[int, int] | None = None,
) -> tuple[Mask, dict[str, Any]] | None:
    """Copy a region into a panel of the canvas.

    Args:
        source: the region, which may lie in another panel.
        forbidden: bool (H, W), what the copy must not touch.
        place: x, y of the copy's box; None looks for a fitting one.

    Returns:
        the copy's mask, bool (H, W), and what was done; None if there is no place for it, or if
        it could not be seen there.
    """
    affine, shape = turned_mask(source, turn)
    if not shape.any():
        return None
    if place is None:
        place = find_place(rng, canvas, panel, shape, source, forbidden, recipe.paste.trials)
        if place is None:
            return None
    x, y = place
    height, width = shape.shape
    margin = int(np.ceil(edge.half_width)) + 2 if edge.mode == "feather" else 2
    left, top = max(panel.x, x - margin), max(panel.y, y - margin)
    right = min(panel.x + panel.width, x + width + margin)
    bottom = min(panel.y + panel.height, y + height + margin)
    onto = affine + np.array([[0, 0, x], [0, 0, y]], np.float64)
    into = onto - np.array([[0, 0, left], [0, 0, top]], np.float64)

    interpolation = draw_interpolation(rng, turn)
    patch = warp(canvas.image, into, (bottom - top, right - left), interpolation)
    mask = np.zeros((bottom - top, right - left), bool)
    mask[y - top : y - top + height, x - left : x - left + width] = shape
    box = slice(top, bottom), slice(left, right)
    around = ~mask if not mask.all() else mask
    ground = np.median(patch[around], axis=0)
    patch, tone = change_tone(rng, patch, recipe.tone, ground)
    if edge.mode != "poisson" and rng.random() < recipe.paste.level:
        shift = np.median(canvas.image[box][around], axis=0) - ground
        if np.abs(shift).max() < _MOST_LEVELLED:
            patch = patch + shift.astype(np.float32)
            tone["levelled"] = round(float(shift.mean()), 2)
    pasted = paste(canvas.image[box], patch, mask, edge.mode, edge.half_width)
    change = np.abs(pasted.astype(np.int16) - canvas.image[box])[mask].mean()
    if change < 1.0:  # a copy onto its equal
        return None
    if edge.mode == "poisson" and _likeness(pasted[mask], patch[mask]) < _LEAST_ALIKE:
        return None  # blended beyond recognition into surroundings with more contrast
    canvas.image[box] = pasted
    copied = np.zeros(canvas.shape, bool)
    copied[box] = mask
    card = {
        **turn.card(),
        "map": [[round(float(value), 6) for value in row] for row in onto],
        "interpolation": _NAMES[interpolation],
        "edge": edge.card(),
        "tone": tone,
    }
    return copied, card


def _likeness(pasted: NDArray[np.uint8], patch: NDArray[np.float32]) -> float:
    """Correlation of two lists of pixels (n, 3), in the channel that varies most."""
    channel = int(patch.std(axis=0).argmax())
    first = pasted[:, channel] - pasted[:, channel].mean()
    second = patch[:, channel] - patch[:, channel].mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / max(size, 1e-6)
