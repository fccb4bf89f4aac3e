"""Pictures that stand on another one: insets on a photograph, photographs on a drawing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Window
from forgecli.match.gutters import Grey
from forgecli.match.settings import MatchSettings

_THICKEST = 8
_SLACK = 3
_MOST = 40
"""Lines on a panel; where there are more, they are no frames but texture or a drawing."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A thin straight line: its first row and the one after its last, where it starts and stops.

    Of a line that runs down, rows and columns change places.
    """

    first: int
    last: int
    start: int
    stop: int


def insets_of(grey: Grey, panel: Window, settings: MatchSettings) -> list[Window]:
    """Framed pictures on a panel, without their frames, the largest first.

    A frame is a rectangle of white or black lines, of which some may be the panel's own edges. A
    box around something that it marks is left alone: what lies inside goes on outside.

    Args:
        grey: uint8 (H, W), the image.
    """
    part = grey[panel.top : panel.bottom, panel.left : panel.right]
    if min(part.shape) * settings.inset_share < settings.inset_side:
        return []
    found: list[Window] = []
    for ink in (cv2.inRange(part, 245, 255), cv2.inRange(part, 0, 10)):
        rows = _lines(np.asarray(ink, np.uint8), settings)
        if not rows:
            continue
        columns = _lines(np.ascontiguousarray(ink.T), settings)
        for inner, outer in _frames(rows, columns, part.shape, settings):
            if all(_apart(inner, other) for other in found) and not _goes_on(
                part, inner, outer, settings
            ):
                found.append(inner)
    left, top = panel.left, panel.top
    return [
        Window(box.left + left, box.top + top, box.right + left, box.bottom + top) for box in found
    ]


def islands_of(grey: Grey, step: Grey, drawing: Window, settings: MatchSettings) -> list[Window]:
    """Rectangles on a drawing that are filled and nowhere flat: what may be photographs.

    Lines and letters that touch them are taken off first; bars and other areas of one colour are
    flat.

    Args:
        grey: uint8 (H, W), the image.
        step: uint8 (H, W), range of grey levels in 3 x 3 pixels.
    """
    side = settings.inset_side
    if min(drawing.width, drawing.height) < side:
        return []
    place = np.s_[drawing.top : drawing.bottom, drawing.left : drawing.right]
    box = np.ones((7, 7), np.uint8)
    busy = cv2.morphologyEx(cv2.inRange(step[place], 1, 255), cv2.MORPH_CLOSE, np.ones((3, 3)))
    shown = cv2.bitwise_and(busy, cv2.inRange(grey[place], 0, 250))
    core = cv2.morphologyEx(shown, cv2.MORPH_OPEN, np.ones((side // 2, side // 2), np.uint8))
    if not cv2.hasNonZero(core):
        return []
    solid = cv2.bitwise_and(cv2.dilate(core, box), shown)
    _, _, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=4)
    return [
        Window(x + drawing.left, y + drawing.top, x + wide + drawing.left, y + tall + drawing.top)
        for x, y, wide, tall, area in stats[1:].tolist()
        if min(wide, tall) >= side and area >= settings.island_fill * wide * tall
    ]


def _lines(ink: NDArray[np.uint8], settings: MatchSettings) -> list[_Line]:
    """Thin straight horizontal lines in a binary image, 0 or 255."""
    long = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((1, settings.inset_side), np.uint8))
    if not cv2.hasNonZero(long):
        return []
    thick = cv2.morphologyEx(long, cv2.MORPH_OPEN, np.ones((_THICKEST, 1), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(cv2.subtract(long, thick), connectivity=8)
    if count > _MOST:
        return []
    return [
        _Line(y, y + tall, x, x + wide)
        for x, y, wide, tall, area in stats[1:].tolist()
        if wide >= settings.inset_side and tall < _THICKEST and area >= 0.8 * wide
    ]


def _frames(
    rows: list[_Line], columns: list[_Line], shape: tuple[int, ...], settings: MatchSettings
) -> list[tuple[Window, Window]]:
    """What a frame encloses, and its outer bound, for every frame there is."""
    height, width = shape[0], shape[1]
    found = []
    for line in rows:
        edges = _Line(0, 0, line.start, line.stop), _Line(height, height, line.start, line.stop)
        for other in (*rows, *edges):
            if abs(other.start - line.start) > _SLACK or abs(other.stop - line.stop) > _SLACK:
                continue
            above, below = (line, other) if line.first < other.first else (other, line)
            if other in rows and line is below:
                continue  # the pair is seen from above
            left = _side(line.start, above, below, columns, width)
            right = _side(line.stop, above, below, columns, width)
            if left is None or right is None:
                continue
            inner = Window(left[1], above.last, right[0], below.first)
            outer = Window(left[0], above.first, right[1], below.last)
            large = inner.width > settings.inset_share * width or (
                inner.height > settings.inset_share * height
            )
            if min(inner.width, inner.height) >= settings.inset_side and not large:
                found.append((inner, outer))
    return sorted(found, key=lambda frame: -frame[0].width * frame[0].height)


def _side(
    at: int, above: _Line, below: _Line, columns: list[_Line], width: int
) -> tuple[int, int] | None:
    """First column of a frame's side and the one after its last; none wide at the panel's edge."""
    for line in columns:
        meets = min(abs(line.first - at), abs(line.last - at)) <= _SLACK
        starts = above.first - _SLACK <= line.start <= above.last + _SLACK
        stops = below.first - _SLACK <= line.stop <= below.last + _SLACK
        if meets and starts and stops:
            return line.first, line.last
    if at <= _SLACK:
        return 0, 0
    if at >= width - _SLACK:
        return width, width
    return None


def _goes_on(part: Grey, inner: Window, outer: Window, settings: MatchSettings) -> bool:
    """Whether the picture inside a frame is the picture around it."""
    inside, outside = [], []
    columns, rows = slice(inner.left, inner.right), slice(inner.top, inner.bottom)
    pairs = (
        (np.s_[inner.top + 1, columns], np.s_[outer.top - 2, columns], outer.top >= 2),
        (
            np.s_[inner.bottom - 2, columns],
            np.s_[outer.bottom + 1, columns],
            outer.bottom + 1 < part.shape[0],
        ),
        (np.s_[rows, inner.left + 1], np.s_[rows, outer.left - 2], outer.left >= 2),
        (
            np.s_[rows, inner.right - 2],
            np.s_[rows, outer.right + 1],
            outer.right + 1 < part.shape[1],
        ),
    )
    for near, far, is_there in pairs:
        if is_there:
            inside.append(part[near].astype(np.float64) - part[near].mean())
            outside.append(part[far].astype(np.float64) - part[far].mean())
    if not inside:
        return True
    a, b = np.concatenate(inside), np.concatenate(outside)
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return scale <= 0 or float(a @ b) / scale > settings.inset_continuity


def _apart(box: Window, other: Window) -> bool:
    return (
        box.right <= other.left
        or other.right <= box.left
        or box.bottom <= other.top
        or other.bottom <= box.top
    )
