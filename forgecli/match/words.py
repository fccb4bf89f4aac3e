"""Printed words on photographs and blots: names of lanes and of proteins, on film that is not flat.

Words repeat on a figure, letter by letter, and agree better than any copy. What is drawn on flat
ground is found by `annotations`; film is not flat, so words are sought by what they are: thin
strokes with steep edges, in shapes that are not convex, of one height, in a row across or up.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.annotations import Levels
from forgecli.match.settings import MatchSettings

_STROKE = 15
"""Pixels: side of the square that no stroke covers."""
_UNEVEN = 0.5
"""Of a stroke's height over its ground, by which that may vary: the rim of a band is thin and steep
too, and stands on the band."""
_LOWEST, _HIGHEST = 5, 60
"""Height of letters, in pixels."""
_LONGEST = 8.0
"""Length over height of letters that touch each other."""
_CONVEX = 0.9
"""Share of its convex hull that a shape fills, from which it is no letter: bands and cells do."""
_THICK = 0.5
"""Width of a letter's stroke to its smaller side, at most; a band is as thick as it is."""
_FEW = 3
"""Letters of a word at least; two of them, and half of all, not convex."""


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Steep shapes: boxes int64 (n, 4) as x, y, width, height, and which are bent strokes."""

    boxes: NDArray[np.int64]
    bent: Mask


def words_of(grey: Levels, step: Levels, settings: MatchSettings) -> Mask:
    """Boxes around printed words, bool (H, W).

    Args:
        grey: uint8 (H, W).
        step: uint8 (H, W), range of grey levels in 3 x 3 pixels.
        settings: `drawing_contrast`, `drawing_steepness`.
    """
    found = np.zeros(grey.shape, bool)
    if not grey.size or min(grey.shape) < _STROKE:
        return found
    for ink in (grey, 255 - grey):
        shapes = _shapes(np.asarray(ink, np.uint8), step, settings)
        for across in (True, False):
            for box in _rows(shapes, across):
                x, y, width, height = box
                room = max(2, min(width, height) // 4)
                found[max(0, y - room) : y + height + room, max(0, x - room) : x + width + room] = 1
    return found


def _shapes(ink: Levels, step: Levels, settings: MatchSettings) -> _Shapes:
    """Shapes of bright strokes."""
    square = np.ones((_STROKE, _STROKE), np.uint8)
    ground = cv2.morphologyEx(ink, cv2.MORPH_OPEN, square)
    above = cv2.subtract(ink, ground)
    least = int(settings.drawing_contrast)
    strokes = cv2.inRange(above, least // 2, 255)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    boxes = stats[:, :4].astype(np.int64)
    low, high = boxes[:, 2:].min(axis=1), boxes[:, 2:].max(axis=1)
    fits = (low >= 2) & (high >= _LOWEST) & (low <= _HIGHEST) & (high <= _LONGEST * low + _HIGHEST)
    fits[0] = False
    kept, bent = [], []
    for number in np.flatnonzero(fits):
        x, y, width, height = boxes[number]
        part = np.s_[y : y + height, x : x + width]
        shape = (labels[part] == number).astype(np.uint8)
        heights = above[part][shape > 0]
        top = float(np.quantile(heights, 0.9))
        beside = ground[max(0, y - 2) : y + height + 2, max(0, x - 2) : x + width + 2]
        if top < least or float(np.ptp(beside)) > _UNEVEN * top:
            continue
        rim = cv2.subtract(shape, cv2.erode(shape, np.ones((3, 3), np.uint8), borderValue=0))
        if float(np.median(step[part][rim > 0])) < settings.drawing_steepness * top:
            continue
        points = cv2.findNonZero(shape)
        hull = cv2.convexHull(points)
        # The hull of centres of pixels, and half a pixel all around it.
        size = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1.0
        kept.append(number)
        depth = float(cv2.distanceTransform(np.pad(shape, 1), cv2.DIST_L2, 3).max())
        thin = 2.0 * depth - 1.0 < _THICK * min(width, height)
        bent.append(thin and len(points) < _CONVEX * size)
    return _Shapes(boxes[kept], np.array(bent, bool))


def _rows(shapes: _Shapes, across: bool) -> list[tuple[int, int, int, int]]:
    """Boxes of words that run across, or up and down."""
    boxes = shapes.boxes if across else shapes.boxes[:, [1, 0, 3, 2]]
    height = boxes[:, 3]
    fits = np.flatnonzero((height >= _LOWEST) & (height <= _HIGHEST))
    order = fits[np.argsort(boxes[fits, 0], kind="stable")]
    middle = boxes[:, 1] + 0.5 * height
    root = {int(number): int(number) for number in order}

    def find(node: int) -> int:
        while root[node] != node:
            node = root[node]
        return node

    for place, one in enumerate(order):
        x, _, width, tall = boxes[one]
        for other in order[place + 1 :]:
            gap = boxes[other, 0] - (x + width)
            if gap > 1.2 * _HIGHEST:
                break
            both = max(tall, height[other])
            alike = min(tall, height[other]) > 0.55 * both
            if alike and gap < 0.9 * both and abs(middle[one] - middle[other]) < 0.35 * both:
                root[find(int(other))] = find(int(one))
    words: dict[int, list[int]] = {}
    for number in order:
        words.setdefault(find(int(number)), []).append(int(number))
    found = []
    for members in words.values():
        part = boxes[members]
        letters = np.maximum(1.0, np.round(part[:, 2] / np.maximum(part[:, 3], 1)))
        bent = shapes.bent[members]
        if letters.sum() < _FEW or letters[bent].sum() < max(2.0, 0.5 * letters.sum()):
            continue
        left, top = part[:, 0].min(), part[:, 1].min()
        right, bottom = (part[:, 0] + part[:, 2]).max(), (part[:, 1] + part[:, 3]).max()
        box = (int(left), int(top), int(right - left), int(bottom - top))
        found.append(box if across else (box[1], box[0], box[3], box[2]))
    return found
