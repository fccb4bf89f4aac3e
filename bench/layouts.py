"""Compound figures of known layout, made by `forge synth`, and plots of flow cytometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Window
from forgecli.synth import Recipe
from forgecli.synth.canvas import Canvas
from forgecli.synth.figure import compose
from forgecli.synth.finish import finish
from forgecli.synth.library import Library, is_blot
from forgecli.synth.negatives import draw_negative
from forgecli.synth.sources import LazySources, SourceFile
from forgecli.synth.strips import compose_strips

LAYOUTS = ("grid", "grid", "grid", "strips", "channels", "replicates", "inset")
"""What is composed, in turn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A compound figure of known layout.

    Attributes:
        layout: one of `LAYOUTS`.
        pixels: uint8 (H, W, 3).
        panels: where its panels are.
        kinds: of the panels, as the match detector names them.
        finish: what was done to the whole figure.
    """

    layout: str
    pixels: NDArray[np.uint8]
    panels: tuple[Window, ...]
    kinds: tuple[str, ...]
    finish: dict[str, Any]


def figures(files: Sequence[SourceFile], count: int, seed: int) -> Iterator[Figure]:
    """Compound figures made from the given images, finished as forgeries are, without a copy."""
    library = Library(LazySources(files), [file.kind for file in files])
    recipe = Recipe()
    for index in range(count):
        layout = LAYOUTS[index % len(LAYOUTS)]
        for attempt in range(20):
            rng = np.random.default_rng([seed, index, attempt])
            made = _composed(rng, library, recipe, layout)
            if made is not None:
                yield _finished(rng, made, recipe, layout)
                break


def _composed(
    rng: np.random.Generator, library: Library, recipe: Recipe, layout: str
) -> Canvas | None:
    if layout == "grid":
        made = compose(rng, library, recipe)
    elif layout == "strips":
        made = compose_strips(rng, library, recipe, str(rng.choice(library.blot_kinds())))
    else:
        made = draw_negative(rng, library, recipe, layout)
    return None if made is None else made[0]


def _finished(rng: np.random.Generator, canvas: Canvas, recipe: Recipe, layout: str) -> Figure:
    panels = list(canvas.panels)
    pixels, _, _, done = finish(rng, canvas, recipe)
    across, down = done.get("resample", (1.0, 1.0))
    return Figure(
        layout,
        pixels,
        tuple(
            Window(
                round(panel.x * across),
                round(panel.y * down),
                round((panel.x + panel.width) * across),
                round((panel.y + panel.height) * down),
            )
            for panel in panels
        ),
        tuple(
            "drawing"
            if panel.drawn and layout != "inset"
            else ("blot" if is_blot(panel.kind) else "photograph")
            for panel in panels
        ),
        done,
    )


def flow_cytometry(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A plot of events as dots, in clouds, with a frame and perhaps gates; uint8 (H, W, 3)."""
    side = int(rng.integers(150, 500))
    plot = np.full((side, side, 3), 255, np.uint8)
    inner = side - 40
    for _ in range(int(rng.integers(1, 5))):
        centre, spread = rng.uniform(0.15, 0.85, 2), rng.uniform(0.02, 0.12, 2)
        events = rng.normal(centre, spread, (int(rng.integers(200, 4000)), 2))
        events = events[((events > 0) & (events < 1)).all(axis=1)]
        density = np.exp(-(((events - centre) / spread) ** 2).sum(axis=1) / 2)
        hues = np.clip(120 - 120 * density, 0, 120).astype(np.uint8)
        full = np.full_like(hues, 255)
        coloured = cv2.cvtColor(np.stack([hues, full, full], axis=1)[None], cv2.COLOR_HSV2RGB)[0]
        if rng.random() < 0.4:
            coloured[:] = 0
        at = (events * (inner - 4)).astype(int)
        for row in range(int(rng.integers(1, 3))):
            plot[at[:, 1] + row + 6, at[:, 0] + 34] = coloured
    cv2.rectangle(plot, (32, 4), (side - 6, side - 34), (0, 0, 0), 1)
    if rng.random() < 0.6:
        x, y = (rng.uniform(0.3, 0.7, 2) * inner).astype(int)
        cv2.line(plot, (32 + int(x), 4), (32 + int(x), side - 34), (0, 0, 0), 1)
        cv2.line(plot, (32, 4 + int(y)), (side - 6, 4 + int(y)), (0, 0, 0), 1)
    for tick in range(5):
        place = (30 + tick * inner // 5, side - 16)
        cv2.putText(plot, f"1{tick}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 0, 0), 1)
    return plot
