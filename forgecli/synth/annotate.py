"""What authors draw on figures: letters, names, scale bars, arrows, boxes, lane labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from forgecli.synth.canvas import Panel, Pixels
from forgecli.synth.outline import Mask
from forgecli.synth.recipe import Annotate

Colour = tuple[int, int, int]
Stroke = Callable[[Pixels], None]
"""Draws one thing; applied to the forgery and to its twin alike."""

_WORDS = (
    "Control", "siRNA", "DAPI", "GFP", "Merge", "Day 0", "Day 7", "WT", "KO", "Vehicle", "10 nM",
    "1 µM", "Sham", "24 h", "48 h", "H&E", "Ki-67", "F-actin", "Mock", "Treated", "Tumor", "Liver",
)  # fmt: skip
_PROTEINS = (
    "β-actin", "GAPDH", "α-tubulin", "p-Akt", "Akt", "p-ERK", "ERK", "Bcl-2", "Bax", "p53", "LC3",
    "NF-κB", "Cyclin D1", "E-cad", "Vimentin", "p62",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """What is annotated.

    Attributes:
        panels: in the finished image's pixels.
        layout: ``single``, ``grid`` or ``strips``.
        avoid: bool (H, W), where copied regions are: small things are not drawn there.
        look: uint8 (H, W, 3), to choose colours that show.
    """

    panels: list[Panel]
    layout: str
    avoid: Mask
    look: Pixels


def draw_annotations(
    rng: np.random.Generator, scene: Scene, settings: Annotate
) -> tuple[list[Stroke], list[str]]:
    """Draw what to annotate.

    Letters and names stand where they do in figures, so they may lie on a reused panel; a mask is
    not cut out under them, as no annotator would do that either. Scale bars, arrows and boxes
    keep off copied regions that are smaller than a panel.

    Returns:
        the strokes, to be applied in order, and their names, for the card.
    """
    strokes: list[Stroke] = []
    names: list[str] = []

    def add(name: str, made: list[Stroke]) -> None:
        if made:
            strokes.extend(made)
            names.append(name)

    if scene.layout != "single" and rng.random() < settings.letters:
        add("letters", _letters(rng, scene))
    if scene.layout == "grid" and rng.random() < settings.titles:
        add("titles", _titles(rng, scene))
    if scene.layout == "strips" and rng.random() < settings.lane_labels:
        add("lane labels", _lane_labels(rng, scene))
    if scene.layout != "strips" and rng.random() < settings.scale_bar:
        add("scale bar", _scale_bars(rng, scene))
    if rng.random() < settings.arrow:
        add("arrow", _arrows(rng, scene))
    if rng.random() < settings.box:
        add("box", _box(rng, scene))
    return strokes, names


def write(
    image: Pixels, text: str, x: int, y: int, size: int, colour: Colour, *, bold: bool = False
) -> None:
    """Write text whose baseline starts at (x, y); `size` is the height of a line in pixels."""
    if hasattr(cv2, "FontFace"):  # OpenCV 5 carries proportional fonts
        weight = 700 if bold else 400
        cv2.putText(image, text, (x, y), colour, cv2.FontFace("sans"), size, weight)
        return
    plain = text.encode("ascii", "replace").decode()
    scale = size / 32
    thickness = max(1, round(scale * (2.5 if bold else 1.5)))
    cv2.putText(
        image, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA
    )


def _ink(look: Pixels) -> Colour:
    """Black or white, whichever shows."""
    return (0, 0, 0) if look.size == 0 or float(look.mean()) > 127 else (255, 255, 255)


def _text(text: str, x: int, y: int, size: int, colour: Colour, bold: bool = False) -> Stroke:
    return lambda image: write(image, text, x, y, size, colour, bold=bold)


def _letters(rng: np.random.Generator, scene: Scene) -> list[Stroke]:
    low = rng.random() < 0.4
    brackets = rng.random() < 0.25
    size = round(
        float(np.clip(min(p.height for p in scene.panels) * rng.uniform(0.1, 0.2), 12, 48))
    )
    inside, bold = rng.random() < 0.7, bool(rng.random() < 0.7)
    strokes: list[Stroke] = []
    for number, panel in enumerate(scene.panels):
        letter = chr((97 if low else 65) + number % 26)
        letter = f"({letter})" if brackets else letter
        x, y = panel.x + max(2, size // 5), panel.y + size
        above = [other.y + other.height for other in scene.panels if other.y < panel.y]
        if not inside and panel.y - max(above, default=0) > size:
            x, y = panel.x, panel.y - max(2, size // 6)
        place = scene.look[max(0, y - size) : y, x : x + size]
        strokes.append(_text(letter, x, y, size, _ink(place), bold))
    return strokes


def _titles(rng: np.random.Generator, scene: Scene) -> list[Stroke]:
    strokes: list[Stroke] = []
    top = min(panel.y for panel in scene.panels)
    for panel in scene.panels:
        size = round(float(np.clip(panel.height * 0.09, 11, 30)))
        word = str(rng.choice(_WORDS))
        if panel.y == top and panel.y > size + 4:
            x, y = panel.x + panel.width // 3, panel.y - 4
        elif rng.random() < 0.5:
            x, y = panel.x + panel.width // 2, panel.y + panel.height - size // 2
        else:
            continue
        place = scene.look[max(0, y - size) : y, x : x + 3 * size]
        strokes.append(_text(word, x, y, size, _ink(place)))
    return strokes


def _lane_labels(rng: np.random.Generator, scene: Scene) -> list[Stroke]:
    strokes: list[Stroke] = []
    for panel in scene.panels:
        size = int(np.clip(panel.height // 2, 11, 26))
        if panel.x > 3 * size:
            name = str(rng.choice(_PROTEINS))
            y = panel.y + panel.height // 2 + size // 3
            strokes.append(_text(name, max(2, panel.x - 4 * size), y, size, (0, 0, 0)))
    first = min(scene.panels, key=lambda panel: panel.y)
    lanes = int(rng.integers(3, 9))
    size = int(np.clip(first.width // (lanes * 3), 9, 22))
    if first.y > size + 4:
        for lane in range(lanes):
            x = first.x + round((lane + 0.3) * first.width / lanes)
            sign = "+" if rng.random() < 0.5 else "-"
            text = sign if lanes % 2 else str(lane + 1)
            strokes.append(_text(text, x, first.y - 4, size, (0, 0, 0)))
    return strokes


def _scale_bars(rng: np.random.Generator, scene: Scene) -> list[Stroke]:
    strokes: list[Stroke] = []
    share = float(rng.uniform(0.12, 0.3))
    label = f"{rng.choice([5, 10, 20, 50, 100, 200])} µm"
    written = rng.random() < 0.5
    for panel in scene.panels:
        if panel.drawn:
            continue
        thick = max(2, round(panel.height * 0.012))
        length = round(panel.width * share)
        pad = max(5, round(panel.height * 0.04))
        x = panel.x + panel.width - pad - length
        y = panel.y + panel.height - pad - thick
        size = round(float(np.clip(panel.height * 0.06, 10, 26)))
        top = y - (size if written else 2)
        if scene.avoid[top : y + thick + 2, x : x + length].any() and len(scene.panels) == 1:
            return []
        ink = _ink(scene.look[top : y + thick, x : x + length])
        strokes.append(_bar(x, y, length, thick, ink))
        if written:
            strokes.append(_text(label, x + length // 8, y - size // 4, size, ink))
    return strokes


def _bar(x: int, y: int, length: int, thick: int, ink: Colour) -> Stroke:
    def stroke(image: Pixels) -> None:
        image[y : y + thick, x : x + length] = ink

    return stroke


def _arrows(rng: np.random.Generator, scene: Scene) -> list[Stroke]:
    strokes: list[Stroke] = []
    for _ in range(int(rng.integers(1, 4))):
        panel = scene.panels[int(rng.integers(len(scene.panels)))]
        length = float(np.clip(min(panel.width, panel.height) * rng.uniform(0.06, 0.14), 12, 70))
        reach = int(length) + 4
        if min(panel.width, panel.height) <= 2 * reach + 2 or panel.drawn:
            continue
        x = int(rng.integers(panel.x + reach, panel.x + panel.width - reach))
        y = int(rng.integers(panel.y + reach, panel.y + panel.height - reach))
        box = slice(y - reach, y + reach), slice(x - reach, x + reach)
        if scene.avoid[box].any():
            continue
        angle = float(rng.uniform(0, 2 * np.pi))
        colour = _ink(scene.look[box]) if rng.random() < 0.7 else (255, 230, 0)
        strokes.append(_arrow(x, y, angle, length, colour))
    return strokes


def _arrow(x: int, y: int, angle: float, length: float, colour: Colour) -> Stroke:
    tail = (x - round(length * np.cos(angle)), y - round(length * np.sin(angle)))
    thick = max(1, round(length / 14))

    def stroke(image: Pixels) -> None:
        cv2.arrowedLine(image, tail, (x, y), colour, thick, cv2.LINE_AA, tipLength=0.35)

    return stroke


def _box(rng: np.random.Generator, scene: Scene) -> list[Stroke]:
    panel = scene.panels[int(rng.integers(len(scene.panels)))]
    width, height = (
        round(side * float(rng.uniform(0.15, 0.35))) for side in (panel.width, panel.height)
    )
    if panel.drawn or min(width, height) < 12:
        return []
    x = panel.x + int(rng.integers(2, panel.width - width - 1))
    y = panel.y + int(rng.integers(2, panel.height - height - 1))
    box = slice(y, y + height), slice(x, x + width)
    if scene.avoid[box].any():
        return []
    colour = _ink(scene.look[box]) if rng.random() < 0.6 else (255, 255, 0)
    dashed = rng.random() < 0.4
    return [frame(x, y, width, height, colour, dashed=dashed)]


def frame(
    x: int, y: int, width: int, height: int, colour: Colour, *, dashed: bool = False
) -> Stroke:
    """A rectangle's outline."""
    thick = max(1, min(width, height) // 60)

    def stroke(image: Pixels) -> None:
        if not dashed:
            cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), colour, thick)
            return
        step = max(4, min(width, height) // 8)
        for at in range(0, width, 2 * step):
            end = min(at + step, width)
            image[y : y + thick, x + at : x + end] = colour
            image[y + height - thick : y + height, x + at : x + end] = colour
        for at in range(0, height, 2 * step):
            end = min(at + step, height)
            image[y + at : y + end, x : x + thick] = colour
            image[y + at : y + end, x + width - thick : x + width] = colour

    return stroke
