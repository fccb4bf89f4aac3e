"""What happens to a whole figure after the copy: size, blur, noise, annotation, JPEG."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.annotate import Scene, draw_annotations
from forgecli.synth.canvas import Canvas, Panel, Pixels
from forgecli.synth.library import jpeg
from forgecli.synth.outline import Mask
from forgecli.synth.recipe import Recipe
from forgecli.synth.transform import noise_like, scaled_by, then

_LONG_SIDES = (
    (0.0, 254),
    (0.1, 256),
    (0.25, 461),
    (0.5, 698),
    (0.75, 1123),
    (0.9, 1600),
    (1, 3000),
)
"""Quantiles of the long side of images in the public competition's training set, in pixels."""
_CLOSE = 0.1
"""Images that are to change by less than this share are left as they are."""


def finish(
    rng: np.random.Generator, canvas: Canvas, recipe: Recipe
) -> tuple[Pixels, Pixels, list[list[Mask]], dict[str, Any]]:
    """Do the same to the picture and to its twin: what is drawn by chance is drawn once.

    Returns:
        the picture, the twin, for every group its regions (bool (H, W)), and what was done. The
        masks follow the image's size.
    """
    done: dict[str, Any] = {}
    factor = _draw_factor(rng, canvas, recipe)
    image, twin = canvas.image, canvas.twin
    regions = [group.regions for group in canvas.groups]
    panels = canvas.panels
    if factor != 1:
        height, width = canvas.shape
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        kind = (
            cv2.INTER_AREA if factor < 1 else int(rng.choice([cv2.INTER_CUBIC, cv2.INTER_LINEAR]))
        )
        image = np.asarray(cv2.resize(image, size, interpolation=kind), np.uint8)
        twin = np.asarray(cv2.resize(twin, size, interpolation=kind), np.uint8)
        regions = [[_resized(mask, size) for mask in group] for group in regions]
        scale = size[0] / width, size[1] / height  # not quite the same: sides are whole pixels
        panels = [_scaled(panel, *scale) for panel in panels]
        done["resample"] = scale

    settings = recipe.finish
    if rng.random() < settings.blur:
        sigma = float(rng.uniform(*settings.blur_range))
        if sigma > 0:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
            twin = np.asarray(cv2.GaussianBlur(twin, (0, 0), sigma), np.uint8)
            done["blur"] = round(sigma, 3)
    if rng.random() < settings.noise:
        sigma = float(rng.uniform(*settings.noise_range))
        noise = noise_like(rng, twin.astype(np.float32), sigma)
        noise[~_inside(panels, twin.shape[:2])] = 0  # gutters stay clean
        image, twin = (_added(picture, noise) for picture in (image, twin))
        done["noise"] = round(sigma, 3)

    avoid = np.zeros(image.shape[:2], bool)
    for group in regions:
        for mask in group:
            avoid |= mask
    scene = Scene(panels, canvas.layout, avoid, image.copy())
    strokes, names = draw_annotations(rng, scene, recipe.annotate)
    image, twin = image.copy(), twin.copy()
    for stroke in strokes:
        stroke(image)
        stroke(twin)
    if names:
        done["annotations"] = names
    if rng.random() < settings.jpeg:
        quality = int(rng.integers(settings.jpeg_range[0], settings.jpeg_range[1] + 1))
        image, twin = jpeg(image, quality), jpeg(twin, quality)
        done["jpeg"] = quality
    return image, twin, regions, done


def _inside(panels: list[Panel], shape: tuple[int, ...]) -> Mask:
    """The pixels of panels, bool (H, W)."""
    inside = np.zeros(shape, bool)
    for panel in panels:
        inside[panel.box] = True
    return inside


def _added(picture: Pixels, noise: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.clip(np.rint(picture + noise), 0, 255), np.uint8)


def scale_card(card: dict[str, Any], across: float, down: float) -> dict[str, Any]:
    """A group's card in the pixels of the resized image: its box and its maps."""
    there, back = scaled_by(across, down), scaled_by(1 / across, 1 / down)
    copies = []
    for one in card["copies"]:
        affine = then(then(back, np.array(one["map"])), there)
        copies.append({**one, "map": [[round(float(v), 6) for v in row] for row in affine]})
    x, y, width, height = card["source"]
    box = [round(v) for v in (x * across, y * down, width * across, height * down)]
    return {**card, "source": box, "copies": copies}


def _draw_factor(rng: np.random.Generator, canvas: Canvas, recipe: Recipe) -> float:
    """By how much to resize: towards a size as published figures have it, within limits."""
    settings = recipe.finish
    side = max(canvas.shape)
    limit = min(1.0, settings.max_side / side)
    # Figures were composed at their size already.
    chance = settings.resample * (1.0 if canvas.layout == "single" else 0.3)
    if rng.random() >= chance:
        return limit
    shares, sides = zip(*_LONG_SIDES, strict=True)
    wanted = float(np.exp(np.interp(rng.random(), shares, np.log(sides))))
    factor = float(np.clip(wanted / side, *settings.resample_range))
    factor = min(factor, settings.max_side / side)
    return limit if abs(factor - 1) < _CLOSE else factor


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    larger = size[0] > mask.shape[1]
    kind = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=kind) > 0.5)


def _scaled(panel: Panel, across: float, down: float) -> Panel:
    left, top = round(panel.x * across), round(panel.y * down)
    right = round((panel.x + panel.width) * across)
    bottom = round((panel.y + panel.height) * down)
    return dataclasses.replace(
        panel,
        x=left,
        y=top,
        width=right - left,
        height=bottom - top,
        to_canvas=then(panel.to_canvas, scaled_by(across, down)),
    )
