"""A picture of a detection: every region outlined and named, lines between what is the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from forgecli.atomic import atomic_writer
from forgecli.detection import Detection, Pair, Picture
from forgecli.report import marks
from forgecli.report.legend import color_of, legend, region_tag
from forgecli.report.marks import Image
from kernels.rle import decode

_SMALL = 900
"""Pictures with a shorter long side are enlarged, three times at most."""
_LARGE = 4096
"""Pictures with a longer long side are reduced to it."""
_NARROWEST = 480
"""Pixels the legend needs to be read."""
_LINES_A_PAIR = 4
_LINES = 80
_GROUND = (32, 32, 32)

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom exclusive."""
Region = tuple[int, int]
"""Indices of an instance and of a region in it."""


def write_overlay(path: Path, picture: Picture, detection: Detection) -> None:
    """Write `render` of it as a PNG file.

    Raises:
        OutputError: the file cannot be written.
    """
    drawn = render(picture, detection)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    with atomic_writer(path, "wb") as file:
        file.write(encoded.data)


def render(picture: Picture, detection: Detection) -> Image:
    """Draw a detection over its picture.

    Every instance has a colour and a letter, every region a number. A few points of the first
    region of a pair are joined to where its map takes them in the second; two triangles across a
    bar mark a mirrored copy. Scores are in a strip below the picture.

    Args:
        picture: uint8 (H, W, 3).
        detection: of that picture.

    Returns:
        uint8 (h, w, 3), RGB. The picture is at the top left, enlarged by a whole number if its long
        side is under 900 pixels, reduced if it is over 4,096.
    """
    detection = replace(detection, evidence=_best_of_each(detection.evidence))
    image, scale = _resized(picture.pixels)
    height, width = image.shape[:2]
    line = max(3, round(max(height, width) / 400))
    letter = max(10, round(max(height, width) / 100))
    boxes = _draw_regions(image, detection, line)
    _draw_pairs(image, detection, boxes, scale, line=max(2, line // 2), sign=1.1 * letter)
    _draw_tags(image, boxes, letter, gap=2 * line)

    canvas = max(width, _NARROWEST)
    strip = legend(detection, canvas, max(11, round(canvas / 90)))
    whole = np.full((height + len(strip), canvas, 3), _GROUND, np.uint8)
    whole[:height, :width] = image
    whole[height:] = strip
    return whole


def _draw_regions(image: Image, detection: Detection, line: int) -> dict[Region, Box]:
    """Fill and outline all regions; their boxes in pixels of the overlay."""
    height, width = image.shape[:2]
    regions: dict[Region, tuple[Box, Image, Image]] = {}
    for index, instance in enumerate(detection.instances):
        for number, runs in enumerate(instance.regions):
            mask = decode(runs, detection.shape).view(np.uint8)
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST).view(np.uint8)
            left, top, wide, high = cv2.boundingRect(mask)
            if wide:
                box = (left, top, left + wide, top + high)
                regions[index, number] = (
                    box,
                    _window(mask, box).copy(),
                    _window(image, box).copy(),
                )
    for (index, _), (box, mask, _) in regions.items():
        marks.outline(image, mask, box[:2], color_of(index), line)
    for (index, _), (box, mask, content) in regions.items():  # over all outlines, to hide nothing
        marks.fill(_window(image, box), mask, content, color_of(index))
    return {region: box for region, (box, _, _) in regions.items()}


def _window(image: Image, box: Box) -> Image:
    return image[box[1] : box[3], box[0] : box[2]]


def _draw_pairs(
    image: Image,
    detection: Detection,
    boxes: dict[Region, Box],
    scale: float,
    *,
    line: int,
    sign: float,
) -> None:
    """Join the regions of every pair, without hiding those that a line would cover."""
    small = [
        (box, _window(image, box).copy()) for box in boxes.values() if _breadth(box) < 24 * line
    ]
    most = max(1, min(_LINES_A_PAIR, _LINES // max(1, len(detection.evidence))))
    signs = []
    for pair in detection.evidence:
        box = boxes.get((pair.instance, pair.first))
        if box is None:
            continue
        count = max(1, min(most, _breadth(box) // (10 * line)))
        ends = list(_ends(pair, detection, scale, count))
        marks.join(image, ends, color_of(pair.instance), line)
        if pair.mirrored and ends:
            signs.append((np.mean(ends, axis=(0, 1)), color_of(pair.instance)))
    for box, content in small:
        _window(image, box)[:] = content
    for center, color in signs:
        marks.mirror_sign(image, center, color, sign)


def _draw_tags(image: Image, boxes: dict[Region, Box], letter: int, gap: int) -> None:
    """Name every region, beside it."""
    height, width = image.shape[:2]
    taken = list(boxes.values())
    for (index, number), box in boxes.items():
        name = region_tag(index, number)
        size = marks.tag_size(name, letter)
        left, top = _free_place(box, size, (width, height), taken, gap)
        taken.append((left, top, left + size[0], top + size[1]))
        marks.tag(image, name, (left, top), color_of(index), letter)


def _breadth(box: Box) -> int:
    return min(box[2] - box[0], box[3] - box[1])


def _best_of_each(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Of the pairs that join the same two regions, the one with the most matches."""
    best: dict[tuple[int, frozenset[int]], Pair] = {}
    for pair in sorted(pairs, key=lambda pair: pair.inliers):
        best[pair.instance, frozenset((pair.first, pair.second))] = pair
    return tuple(best.values())


def _resized(pixels: Image) -> tuple[Image, float]:
    """A copy at the size of the overlay, and how many of its pixels one of the picture became."""
    height, width = pixels.shape[:2]
    long = max(height, width)
    if long > _LARGE:
        scale = _LARGE / long
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8), scale
    scale = min(3, max(1, round(_SMALL / long)))
    # Every pixel stays a square of its own colour: an overlay invents nothing.
    return np.repeat(np.repeat(pixels, scale, axis=0), scale, axis=1), float(scale)


def _ends(
    pair: Pair, detection: Detection, scale: float, count: int
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Points (x, y) of the first region and of the second, in pixels of the overlay."""
    runs = detection.instances[pair.instance].regions[pair.first]
    rows, columns = detection.shape
    for x, y in _spread(_some_pixels(runs, rows), count):
        u, v = pair.affine @ (x, y, 1.0)
        if 0 <= u <= columns - 1 and 0 <= v <= rows - 1:
            yield _scaled(x, y, scale), _scaled(u, v, scale)


def _scaled(x: float, y: float, scale: float) -> tuple[float, float]:
    return (x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5


def _some_pixels(runs: np.ndarray, rows: int) -> np.ndarray:
    """Up to 400 pixels (x, y) of a region, evenly through it."""
    ends = np.cumsum(runs[:, 1])
    area = int(ends[-1]) if len(ends) else 0
    picked = np.unique(np.linspace(0, max(area - 1, 0), min(area, 400)).astype(np.int64))
    run = np.searchsorted(ends, picked, side="right")
    flat = runs[run, 0] + picked - (ends[run] - runs[run, 1])
    return np.stack([flat // rows, flat % rows], axis=1).astype(np.float64)


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """`count` of the points: the most central first, then each the farthest from those before."""
    if len(points) <= count:
        return points
    distance = ((points - points.mean(axis=0)) ** 2).sum(axis=1)
    chosen = [int(distance.argmin())]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    # Not on the very edge, where an outline would hide the dot.
    inner: np.ndarray = points[chosen] * 0.8 + points[chosen[0]] * 0.2
    return inner


def _free_place(
    box: Box, size: tuple[int, int], frame: tuple[int, int], taken: list[Box], gap: int
) -> tuple[int, int]:
    """Where a tag of a region goes: beside it, in the frame, over as little else as can be."""
    left, top, right, bottom = box
    wide, high = size
    places = [
        (left, top - gap - high),
        (right - wide, top - gap - high),
        (left, bottom + gap),
        (right - wide, bottom + gap),
        (right + gap, top),
        (left - gap - wide, top),
        (right + gap, bottom - high),
        (left - gap - wide, bottom - high),
    ]
    inside = [
        (min(max(x, 0), max(frame[0] - wide, 0)), min(max(y, 0), max(frame[1] - high, 0)))
        for x, y in places
    ]
    return min(inside, key=lambda at: _covered((*at, at[0] + wide, at[1] + high), taken))


def _covered(box: Box, others: list[Box]) -> int:
    """Pixels of the box that lie in other boxes."""
    return sum(
        max(0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in others
    )
