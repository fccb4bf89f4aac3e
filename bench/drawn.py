"""Authentic images with what is drawn on photographs and beside them, for the judge to learn from.

Words, hatches, lattices, labels on panels and overexposed blobs repeat as copies do, and no source
holds enough of them. They teach the trees what is no copy; thresholds and calibration rest on
images as they are found, and leave these out.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Photograph = Callable[[int], Pixels]
"""A cut of a photograph of at most so many pixels a side, uint8 (h, w, 3), another at each call."""

DRAWN = "drawn"
"""The kind of these images."""

_WORDS = (
    "GAPDH", "Control", "100 um", "siRNA", "p53", "kDa", "Merge", "DAPI", "actin", "T2 300ms",
    "IgG", "NT", "CTRL", "250 bp", "WT", "KO +/-", "Day 7", "Mouse 4", "lane 12", "50 nm",
)  # fmt: skip
_LETTERINGS = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX | cv2.FONT_ITALIC,
)  # fmt: skip
_COLOURS = ((255, 255, 0), (255, 0, 0), (0, 255, 255), (0, 160, 0))


def drawn(rng: np.random.Generator, photograph: Photograph) -> Pixels:
    """One such image, uint8 (H, W, 3), of a class drawn by chance."""
    make = (_written, _written, _hatched, _lattice, _overexposed, _labelled)[rng.integers(6)]
    image = make(rng, photograph)
    quality = int(rng.choice((0, 75, 85, 95)))
    if quality:
        coded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(image)


def _ink(rng: np.random.Generator, ground: float) -> tuple[int, int, int]:
    if rng.random() < 0.3:
        return _COLOURS[rng.integers(len(_COLOURS))]
    level = int(rng.integers(180, 256) if ground < 120 else rng.integers(0, 70))
    return level, level, level


def _lettering(rng: np.random.Generator) -> Callable[[Pixels, str, int, int, int, object], None]:
    """A way to write, with one font, weight and softness: image, text, x, y, height, colour."""
    sans = hasattr(cv2, "FontFace") and rng.random() < 0.5
    font, soft = (
        _LETTERINGS[rng.integers(len(_LETTERINGS))],
        float(rng.choice((0.0, 0.0, 0.6, 1.0))),
    )
    weight, share = int(rng.choice((400, 700))), float(rng.choice((1.0, 1.0, 0.85)))

    def write(image: Pixels, text: str, x: int, y: int, height: int, colour: object) -> None:
        layer = np.zeros(image.shape, np.uint8)
        if sans:  # OpenCV 5 carries proportional fonts
            white = (255, 255, 255)
            cv2.putText(layer, text, (x, y), white, cv2.FontFace("sans"), height, weight)
        else:
            thick = max(1, round(height / (14 if weight > 400 else 22)))
            white = (255, 255, 255)
            cv2.putText(layer, text, (x, y), font, height / 30, white, thick, cv2.LINE_AA)
        covers = layer[..., :1].astype(np.float32) * (share / 255)
        if soft:
            covers = np.asarray(cv2.GaussianBlur(covers, (0, 0), soft), np.float32)[..., None]
        mixed = image * (1 - covers) + np.asarray(colour, np.float32) * covers
        image[:] = np.rint(mixed).astype(np.uint8)

    return write


def _written(rng: np.random.Generator, photograph: Photograph) -> Pixels:
    """A word in several places of a photograph."""
    image = photograph(420).copy()
    write, text = _lettering(rng), str(rng.choice(_WORDS))
    size, ink = int(rng.integers(11, 36)), _ink(rng, float(np.median(image)))
    count = int(rng.integers(2, 5))
    rows = np.linspace(size + 4, image.shape[0] - 8, count + 1).astype(int)
    room = max(5, image.shape[1] - round(0.65 * size * len(text)))
    for y in rng.permutation(rows)[:count].tolist():
        write(image, text, int(rng.integers(4, room)), y, size, ink)
    return image


def _labelled(rng: np.random.Generator, photograph: Photograph) -> Pixels:
    """Panels with the same words, and often the same bar, in each."""
    cell, columns, count = 170, 3, int(rng.integers(4, 9))
    rows = -(-count // columns)
    page = np.full((rows * (cell + 8) - 8, columns * (cell + 8) - 8, 3), 255, np.uint8)
    write, text = _lettering(rng), str(rng.choice(_WORDS))
    level, size = int(rng.integers(170, 250)), int(rng.integers(10, 17))
    bar, ground = rng.random() < 0.6, rng.random() < 0.4
    for number in range(count):
        panel = np.zeros((cell, cell, 3), np.uint8)
        cut = photograph(cell)
        panel[: cut.shape[0], : cut.shape[1]] = cut
        if ground:
            panel[cell - 36 : cell - 14, cell - 85 : cell - 4] = 40
        dark = ground or float(panel[cell - 30 :, cell - 80 :].mean()) < 140
        if bar:
            panel[cell - 12 : cell - 9, cell - 70 : cell - 20] = level
        write(panel, text, cell - 80, cell - 18, size, (level if dark else 255 - level,) * 3)
        y, x = number // columns * (cell + 8), number % columns * (cell + 8)
        page[y : y + cell, x : x + cell] = panel
    return page


def _hatched(rng: np.random.Generator, photograph: Photograph) -> Pixels:
    """Hatched bars of a graph, alone or above a photograph."""
    height, width, pitch = int(rng.integers(200, 400)), 500, int(rng.integers(5, 16))
    graph = np.full((height, width, 3), 255, np.uint8)
    fill, ink = rng.integers(90, 240, 3).tolist(), rng.integers(0, 120, 3).tolist()
    ways, filled = ((1,), (1, -1))[rng.integers(2)], rng.random() < 0.7
    for left in (30, 180, 330):
        top = int(rng.integers(20, height // 2))
        part = graph[top : height - 20, left : left + 110]
        if filled:
            part[:] = fill
        for way in ways:
            for x in range(-height - 110, height + 220, pitch):
                cv2.line(part, (x, 0), (x + way * height, height), ink, 1, cv2.LINE_AA)
        cv2.rectangle(graph, (left, top), (left + 110, height - 20), (0, 0, 0), 2)
    if rng.random() < 0.5:
        return graph
    cut = photograph(300)
    page = np.full((height + cut.shape[0] + 8, width, 3), 255, np.uint8)
    page[:height] = graph
    page[height + 8 :, : cut.shape[1]] = cut
    return page


def _lattice(rng: np.random.Generator, photograph: Photograph) -> Pixels:
    """Spheres on the points of a lattice, joined by lines."""
    side, pitch = int(rng.integers(260, 420)), float(rng.uniform(14, 40))
    radius, hexagonal = float(rng.uniform(2, pitch * 0.35)), rng.random() < 0.5
    layer = np.zeros((side, side), np.uint8)
    for row in range(-1, int(side / pitch) + 2):
        for column in range(-1, int(side / pitch) + 2):
            x = (column + (0.5 if hexagonal and row % 2 else 0.0)) * pitch
            y = row * pitch * (0.866 if hexagonal else 1.0)
            at = (round(16 * x), round(16 * y))  # sixteenths of a pixel
            cv2.circle(layer, at, round(16 * radius), 255, -1, cv2.LINE_AA, 4)
            cv2.line(layer, at, (round(16 * (x + pitch)), at[1]), 255, 1, cv2.LINE_AA, 4)
    share = layer.astype(np.float32) / 255
    grey = rng.integers(150, 256) * (1 - share) + rng.integers(0, 110) * share
    blurred = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), float(rng.uniform(0.4, 1.2)))
    noisy = np.asarray(blurred, np.float64) + rng.normal(
        0, float(rng.choice((0, 1, 3))), grey.shape
    )
    tint = np.array((1.0, rng.uniform(0.7, 1), rng.uniform(0.7, 1)))
    return np.asarray(np.clip(noisy[..., None] * tint, 0, 255), np.uint8)


def _overexposed(rng: np.random.Generator, photograph: Photograph) -> Pixels:
    """A photograph with one or two smooth, symmetric objects brighter than can be shown."""
    image = photograph(380).astype(np.float32)
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    for _ in range(int(rng.integers(1, 3))):
        dx, dy = x - rng.uniform(0.25, 0.75) * width, y - rng.uniform(0.25, 0.75) * height
        turn, size, flat = rng.uniform(0, np.pi), rng.uniform(20, 60), rng.uniform(0.5, 1)
        u = (dx * np.cos(turn) + dy * np.sin(turn)) / size
        v = (dy * np.cos(turn) - dx * np.sin(turn)) / (size * flat)
        away = np.hypot(u, v)
        shape = (
            np.exp(-(away**2)),
            1 / (1 + np.exp((away - 1) * size / 3)),
            np.exp(-(away**2)) * (1 + 0.4 * np.cos(4 * np.pi * away)),
        )[rng.integers(3)]
        image += shape[..., None] * rng.uniform(200, 600)
    return np.clip(image, 0, 255).astype(np.uint8)
