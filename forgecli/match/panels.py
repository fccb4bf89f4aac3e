"""Panels of a compound figure, by recursive cuts along uniform gutters."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask, Window
from forgecli.match.annotations import drawn, empty
from forgecli.match.bands import FloatImage
from forgecli.match.settings import MatchSettings


@dataclass(frozen=True, slots=True)
class Layout:
    """How a figure is laid out.

    Attributes:
        panels: in reading order; the whole image where there is one only.
        usable: bool (H, W), pixels that may be evidence: of a photograph, not drawn, not empty.
        index: int32 (H, W), which panel a pixel belongs to, -1 for gutters.
    """

    panels: tuple[Window, ...]
    usable: Mask
    index: NDArray[np.int32]


def find_layout(grey: FloatImage, settings: MatchSettings) -> Layout:
    """Cut a figure, float32 (H, W) grey, into panels and find what of it can be evidence."""
    height, width = grey.shape
    whole = Window(0, 0, width, height)
    panels = tuple(_cut(grey, whole, settings, 0)) or (whole,)
    marks = drawn(grey, settings)
    usable = ~(marks | empty(grey, settings))
    index = np.full(grey.shape, -1, np.int32)
    for number, panel in enumerate(panels):
        place = np.s_[panel.top : panel.bottom, panel.left : panel.right]
        index[place] = number
        if marks[place].mean() > settings.drawing_share:
            usable[place] = False
    usable &= index >= 0
    return Layout(panels, usable, index)


def _cut(grey: FloatImage, block: Window, settings: MatchSettings, depth: int) -> list[Window]:
    """Panels of a block: split along its gutters one way, then the other, until none is left."""
    block = _trim(grey, block, settings)
    if block.width < settings.min_panel or block.height < settings.min_panel:
        return []
    if depth >= settings.max_cuts:
        return [block]
    part = block.cut(grey)
    for axis in (0, 1):
        spans = _between_gutters(_uniform(part, axis, settings), settings.min_gutter)
        if len(spans) < 2:
            continue
        found = []
        for start, stop in spans:
            inner = (
                Window(block.left, block.top + start, block.right, block.top + stop)
                if axis == 0
                else Window(block.left + start, block.top, block.left + stop, block.bottom)
            )
            found += _cut(grey, inner, settings, depth + 1)
        return found
    return [block]


def _uniform(part: FloatImage, axis: int, settings: MatchSettings) -> NDArray[np.bool_]:
    """Which rows (axis 0) or columns (axis 1) have one grey level from end to end."""
    across = 1 - axis
    darkest, brightest = part.min(axis=across), part.max(axis=across)
    # The dark ground between cells is no gutter: there, nearly nothing may vary.
    ripple = np.where(brightest < 40.0, 2.0, settings.gutter_ripple)
    return np.asarray(brightest - darkest <= ripple)


def _trim(grey: FloatImage, block: Window, settings: MatchSettings) -> Window:
    """The block without uniform rows and columns around it."""
    for axis in (0, 1):
        if block.width <= 0 or block.height <= 0:
            return block
        busy = np.flatnonzero(~_uniform(block.cut(grey), axis, settings))
        if busy.size == 0:
            return Window(block.left, block.top, block.left, block.top)
        first, last = int(busy[0]), int(busy[-1]) + 1
        if axis == 0:
            block = Window(block.left, block.top + first, block.right, block.top + last)
        else:
            block = Window(block.left + first, block.top, block.left + last, block.bottom)
    return block


def _between_gutters(uniform: NDArray[np.bool_], thinnest: int) -> list[tuple[int, int]]:
    """Spans between runs of at least `thinnest` uniform rows or columns."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], uniform, [False])).astype(np.int8)))
    gutters = [
        (int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= thinnest
    ]
    spans, start = [], 0
    for a, b in gutters:
        if a > start:
            spans.append((start, a))
        start = b
    if start < uniform.size:
        spans.append((start, uniform.size))
    return spans


def panel_outline(panel: Window, shape: tuple[int, int]) -> Mask:
    """A panel as a mask, bool (H, W)."""
    mask = np.zeros(shape, np.uint8)
    cv2.rectangle(mask, (panel.left, panel.top), (panel.right - 1, panel.bottom - 1), 1, cv2.FILLED)
    return mask > 0
