"""Draw the example figures and their truth: python examples/draw.py

Some are authentic, some hold a copied region. All of them are drawn from nothing, so they may be
used for anything. Writes figures/*.png and truth.csv beside this file, the same ones every time.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from micrographs import Field, band_rows, expose, nuclei, phase_contrast, tissue
from numpy.typing import NDArray

from forgecli.synth.annotate import write
from kernels.rle import annotation_to_text, encode

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Drawn = tuple[Pixels, list[Mask]]
"""uint8 (H, W) or (H, W, 3), and one mask per group of a source and its copies."""

Place = tuple[slice, slice]

HERE = Path(__file__).resolve().parent


def colour(picture: Pixels) -> Pixels:
    """RGB, whatever it was."""
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


def scale_bar(picture: Pixels, ink: int = 255, share: float = 0.16) -> None:
    """A bar in the lower right corner."""
    height, width = picture.shape[:2]
    length, thick = round(width * share), max(3, height // 110)
    x, y = width - length - height // 25, height - thick - height // 25
    picture[y : y + thick, x : x + length] = ink


def depth(mask: Mask) -> Field:
    """How far inside a mask each pixel lies, 0 outside."""
    padded = np.pad(mask, 1).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def core(mask: Mask) -> Mask:
    """Where a patch that was pasted with `soft_paste` has the greater part."""
    return depth(mask) >= 1.5


def soft_paste(picture: Pixels, patch: Pixels, mask: Mask, x: int, y: int) -> Mask:
    """Paste with an edge that is soft over 3 px; returns `core(mask)` in its place."""
    box = slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1])
    alpha = np.clip(depth(mask) / 3.0, 0, 1)
    picture[box] = np.rint(picture[box] + alpha * (patch.astype(float) - picture[box]))
    copied = np.zeros(picture.shape[:2], bool)
    copied[box] = core(mask)
    return copied


def cell_copied() -> Drawn:
    """A nucleus of a fluorescence image, turned by 90 degrees and put into empty places twice."""
    rng = np.random.default_rng(11)
    level, cells = nuclei(rng, (480, 640), 30)
    picture = expose(rng, level, 0.12)
    occupied = np.logical_or.reduce(cells)
    rows, columns = np.nonzero(cells[3])
    box = slice(rows.min() - 3, rows.max() + 4), slice(columns.min() - 3, columns.max() + 4)
    shape = cv2.dilate(cells[3][box].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    group = np.zeros(picture.shape, bool)
    group[box] = core(shape)
    patch, shape = np.rot90(picture[box]).copy(), np.rot90(shape)
    placed = 0
    while placed < 2:
        y, x = rng.integers(4, 480 - shape.shape[0] - 4), rng.integers(4, 640 - shape.shape[1] - 4)
        place = slice(y, y + shape.shape[0]), slice(x, x + shape.shape[1])
        if not occupied[place].any():
            group |= soft_paste(picture, patch, shape, x, y)
            occupied[place] = True
            placed += 1
    scale_bar(picture)
    return picture, [group]


def cells_authentic() -> Drawn:
    """Nuclei that look alike, as nuclei do."""
    rng = np.random.default_rng(12)
    picture = expose(rng, nuclei(rng, (480, 640), 34, 17)[0], 0.12)
    scale_bar(picture)
    return picture, []


def region_copied() -> Drawn:
    """Phase contrast: two cells and what is around them, mirrored, in another corner."""
    rng = np.random.default_rng(21)
    picture = expose(rng, phase_contrast(rng, (440, 600)), 0.04)
    shape = np.zeros((120, 140), np.uint8)
    cv2.ellipse(shape, (70, 60), (67, 57), 0, 0, 360, 1, -1)
    group = np.zeros(picture.shape, bool)
    patch = picture[40:160, 60:200][:, ::-1].copy()
    group |= soft_paste(picture, patch, shape > 0, 400, 260)
    group[40:160, 60:200] |= group[260:380, 400:540][:, ::-1]
    scale_bar(picture, 0)
    return picture, [group]


def tissue_authentic() -> Drawn:
    """A stained section."""
    rng = np.random.default_rng(31)
    picture = expose(rng, tissue(rng, (330, 440)), 0.01)
    scale_bar(picture, 20)
    return picture, []


def _blot(seed: int, copied: bool) -> Drawn:
    """Three strips with names, lanes and weights; in the first, one band stands for another."""
    rng = np.random.default_rng(seed)
    lanes, wide, high, left = 7, 470, 74, 110
    figure = np.full((3 * (high + 16) + 50, left + wide + 90), 255, np.uint8)
    group = np.zeros(figure.shape, bool)
    stripes = (("p-ERK", "44"), ("ERK", "42"), ("β-actin", "43"))
    for number, (name, weight) in enumerate(stripes):
        depths = rng.uniform(0.12, 0.95, lanes) if number < 2 else rng.uniform(0.72, 0.85, lanes)
        level, boxes = band_rows(rng, (high, wide), depths)
        strip = expose(rng, level, 0.02)
        top = 40 + number * (high + 16)
        if copied and number == 0:
            x, y, width, height = boxes[1]
            to_x = boxes[4][0] + (boxes[4][2] - width) // 2
            patch = strip[y : y + height, x : x + width].copy()
            there = soft_paste(strip, patch, np.ones(patch.shape, bool), to_x, y + 2)
            here = np.zeros_like(there)
            here[y : y + height, x : x + width] = there[y + 2 :, to_x:][:height, :width]
            group[top : top + high, left : left + wide] = there | here
        figure[top : top + high, left : left + wide] = strip
        cv2.rectangle(figure, (left - 1, top - 1), (left + wide, top + high), 0, 1)
        shown = colour(figure)
        write(shown, name, 14, top + high // 2 + 7, 22, (0, 0, 0))
        write(shown, f"{weight} kDa", left + wide + 8, top + high // 2 + 6, 17, (0, 0, 0))
        if number == 0:
            for lane in range(lanes):
                place = left + round((lane + 0.5) * wide / lanes) - 5
                write(shown, "+" if lane % 2 else "-", place, 30, 22, (0, 0, 0))
        figure = shown[:, :, 0].copy()
    return figure, [group] if copied else []


def blot_copied() -> Drawn:
    """The band of lane 2 stands in lane 5 as well."""
    return _blot(41, copied=True)


def blot_authentic() -> Drawn:
    """A blot as it came from the imager."""
    return _blot(42, copied=False)


def _panels(fields: list[Pixels], across: int, size: tuple[int, int]) -> tuple[Pixels, list[Place]]:
    """A figure with letters and scale bars, and the place (rows, columns) of each panel."""
    high, wide = size
    gap, margin = 8, 10
    down = -(-len(fields) // across)
    shape = (2 * margin + down * (high + gap) - gap, 2 * margin + across * (wide + gap) - gap)
    figure = np.full((*shape, 3), 255, np.uint8)
    places = []
    for number, field in enumerate(fields):
        y = margin + (number // across) * (high + gap)
        x = margin + (number % across) * (wide + gap)
        panel = colour(field).copy()
        dark = panel.mean() < 100
        ink = (255, 255, 255) if dark else (0, 0, 0)
        write(panel, "ABCDEFGH"[number], 8, 30, 30, ink, bold=True)
        scale_bar(panel, 255 if dark else 0, 0.2)
        places.append((slice(y, y + high), slice(x, x + wide)))
        figure[places[-1]] = panel
    return figure, places


def panel_mirrored() -> Drawn:
    """Four conditions; panel D is panel A, mirrored and brightened."""
    rng = np.random.default_rng(51)
    fields: list[Field] = [nuclei(rng, (280, 340), 15, 17)[0] for _ in range(3)]
    shown = [expose(rng, field, 0.12) for field in fields]
    again = np.clip(shown[0][:, ::-1].astype(np.float32) * 1.12 + 4, 0, 255)
    figure, places = _panels([*shown, again.astype(np.uint8)], 2, (280, 340))
    group = np.zeros(figure.shape[:2], bool)
    group[places[0]] = group[places[3]] = True
    return figure[:, :, 0].copy(), [group]


def panels_overlapping() -> Drawn:
    """Six fields; B and F are two crops of one, and share more than a third."""
    rng = np.random.default_rng(61)
    high, wide = 200, 260
    fields = [expose(rng, phase_contrast(rng, (high, wide), 14), 0.04) for _ in range(4)]
    large = expose(rng, phase_contrast(rng, (300, 420), 30), 0.04)
    first, second = large[20 : 20 + high, 10 : 10 + wide], large[70 : 70 + high, 100 : 100 + wide]
    figure, places = _panels([fields[0], first, *fields[1:], second], 3, (high, wide))
    group = np.zeros(figure.shape[:2], bool)
    group[places[1]][50:, 90:] = True
    group[places[5]][: high - 50, : wide - 90] = True
    return figure[:, :, 0].copy(), [group]


def channels_authentic() -> Drawn:
    """One field in two channels and merged: the same cells, and nothing is copied."""
    rng = np.random.default_rng(71)
    blue, _ = nuclei(rng, (240, 260), 14, 15)
    around = cv2.GaussianBlur(np.clip(blue, 30, 90) - 30, (0, 0), 7)
    fibres = np.abs(cv2.GaussianBlur(rng.normal(0, 1, blue.shape), (0, 0), 3)).astype(np.float32)
    green = np.asarray(6 + around * (0.7 + 14 * fibres), np.float32)
    nothing = np.zeros(blue.shape, np.uint8)
    first, second = expose(rng, blue, 0.1), expose(rng, green, 0.1)
    panels = [
        np.dstack([nothing, nothing, first]),
        np.dstack([nothing, second, nothing]),
        np.dstack([nothing, second, first]),
    ]
    return _panels(panels, 3, (240, 260))[0], []


FIGURES: tuple[Callable[[], Drawn], ...] = (
    blot_authentic,
    blot_copied,
    cell_copied,
    cells_authentic,
    channels_authentic,
    panel_mirrored,
    panels_overlapping,
    region_copied,
    tissue_authentic,
)


def main() -> None:
    """Draw all figures and write the truth."""
    folder = HERE / "figures"
    folder.mkdir(exist_ok=True)
    with (HERE / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["case_id", "annotation", "shape"])
        for draw in FIGURES:
            picture, groups = draw()
            stored = picture if picture.ndim == 2 else picture[:, :, ::-1]
            path = folder / f"{draw.__name__}.png"
            if not cv2.imwrite(str(path), stored, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
                raise OSError(f"cannot write {path}")
            annotation, shape = "authentic", "authentic"
            if groups:
                annotation = annotation_to_text([encode(group) for group in groups])
                shape = json.dumps(list(picture.shape[:2]))
            rows.writerow([draw.__name__, annotation, shape])
            sys.stdout.write(f"{path.name}: {picture.shape}, {path.stat().st_size >> 10} KiB\n")


if __name__ == "__main__":
    main()
