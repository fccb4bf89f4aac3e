"""Panels of a compound figure: cut along gutters and seams, each with its kind.

A block of the figure is cut along its gutters, into rows or else into columns, then its pieces are,
until none has a gutter left. Photographs and blots are then cut where two of them
touch. What only parts a
drawing is put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask, Window
from forgecli.match.annotations import blank_of, levels_of, marks_of, range_of
from forgecli.match.bands import FloatImage
from forgecli.match.gutters import (
    Ground,
    between,
    grounds_of,
    gutters_of,
    trimmed,
    within,
)
from forgecli.match.insets import insets_of, islands_of
from forgecli.match.kinds import Kind, Views, chroma_of, kind_of_panel
from forgecli.match.seams import seams_of
from forgecli.match.settings import MatchSettings
from forgecli.match.words import words_of


@dataclass(frozen=True, slots=True)
class Layout:
    """How a figure is laid out.

    Attributes:
        panels: in reading order; the whole image where there is one only. A picture that stands
            on a panel (an inset, a photograph on a drawing) follows it, and covers a part of it.
        usable: bool (H, W), pixels that may be evidence: of a photograph or blot, not drawn, not
            empty.
        index: int32 (H, W), which panel a pixel belongs to, -1 for gutters. The pixels of a
            picture that stands on a panel are its own.
        kinds: one per panel.
        marks: bool (H, W), pixels of text, lines and other drawings, wherever they stand.
    """

    panels: tuple[Window, ...]
    usable: Mask
    index: NDArray[np.int32]
    kinds: tuple[Kind, ...] = ()
    marks: Mask = field(default_factory=lambda: np.zeros((0, 0), bool))


def find_layout(
    grey: FloatImage,
    settings: MatchSettings,
    pixels: NDArray[np.uint8] | None = None,
    kind_of: Callable[[Views, Window], Kind] = kind_of_panel,
) -> Layout:
    """Cut a figure into panels and find what of it can be evidence.

    Args:
        grey: float32 (H, W), 0 to 255.
        pixels: the same in colour, uint8 (H, W, 3) RGB; without it nothing has colour.
        kind_of: what tells the kind of a panel; whoever fits that needs the true ones.
    """
    levels = levels_of(grey)
    step = range_of(levels, 3)
    marks = marks_of(levels, step, settings)
    views = Views(levels, step, None if pixels is None else chroma_of(pixels), marks)
    found = _Cutting(views, grounds_of(levels, step, settings), settings, kind_of).panels()
    index = np.full(grey.shape, -1, np.int32)
    for number, (panel, _) in enumerate(found):
        index[panel.top : panel.bottom, panel.left : panel.right] = number
    # On blots alone: tissue and membranes may look like writing, and film hardly does.
    for panel, kind in found:
        if kind == "blot":
            place = np.s_[panel.top : panel.bottom, panel.left : panel.right]
            marks[place] |= words_of(levels[place], step[place], settings)
    # The last entry is that of the gutters, whose index is -1.
    shows = np.array([kind != "drawing" for _, kind in found] + [False])
    usable = ~(marks | blank_of(levels)) & shows[index]
    panels, kinds = zip(*found, strict=True)
    return Layout(panels, usable, index, kinds, marks)


Found = list[tuple[Window, Kind]]


@dataclass(frozen=True, slots=True)
class _Cutting:
    views: Views
    grounds: tuple[Ground, ...]
    settings: MatchSettings
    kind_of: Callable[[Views, Window], Kind]

    def panels(self) -> Found:
        """All panels; the whole image if none stands out."""
        height, width = self.views.grey.shape
        whole = Window(0, 0, width, height)
        found = [
            panel for panel in self._cut(whole, 0, self._around_all(whole)) if self._shows(panel[0])
        ]
        if not found:
            found = [(whole, self.kind_of(self.views, whole))]
        elif len(found) == 1 and not self._is_full(found[0][0]):
            found = [(whole, found[0][1])]  # a picture that fades out, and not one with a margin
        return [panel for entry in found for panel in (entry, *self._standing_on(entry))]

    def _shows(self, panel: Window) -> bool:
        """Whether there is anything on a panel; a bar of a graph has one colour."""
        seen = self.views.grey[panel.top : panel.bottom, panel.left : panel.right]
        return float(cv2.meanStdDev(seen)[1].max()) >= 1.0

    def _standing_on(self, entry: tuple[Window, Kind]) -> Found:
        """The pictures that stand on a panel."""
        panel, kind = entry
        grey = self.views.grey
        if kind == "photograph":
            return [(inset, kind) for inset in insets_of(grey, panel, self.settings)]
        if kind == "blot":
            return []
        islands = islands_of(grey, self.views.step, panel, self.settings)
        kinds = [self.kind_of(self.views, island) for island in islands]
        return [
            (island, kind)
            for island, kind in zip(islands, kinds, strict=True)
            if kind != "drawing" and island != panel
        ]

    def _around_all(self, whole: Window) -> tuple[Ground, ...]:
        """The ground that the whole figure stands on, if it does."""
        return tuple(
            ground
            for ground in self.grounds
            if sum(ground.share(rim, exact=False) for rim in _rims(whole)) > 2.0
        )

    def _cut(self, block: Window, depth: int, around: tuple[Ground, ...]) -> Found:
        """The panels of a block.

        Args:
            around: the grounds of the gutters around it. Only these are its margin: black around
                the cells of a micrograph is a part of it.
        """
        block = trimmed(around, block, self.settings)
        if not self._is_large_enough(block):
            return []
        parts, grounds = self._at_gutters(block, around, depth)
        if parts:
            inner = tuple(each for each in self.grounds if each in around or each in grounds)
            found = [panel for part in parts for panel in self._cut(part, depth + 1, inner)]
            if found and all(kind == "drawing" for _, kind in found):
                return [(_around([panel for panel, _ in found]), "drawing")]
            return found
        kind = self.kind_of(self.views, block)
        if kind == "drawing" or depth >= self.settings.max_cuts:
            return [(block, kind)]
        parts = self._at_seams(block, kind)
        if parts:
            return [panel for part in parts for panel in self._cut(part, depth + 1, around)]
        return [(block, kind)]

    def _at_gutters(
        self, block: Window, around: tuple[Ground, ...], depth: int
    ) -> tuple[list[Window], tuple[Ground, ...]]:
        """A block parted along its gutters, one way, and their ground; empty if there are none.

        The black end of a panel, beside a white gutter, has a straight edge too. So one ground is
        taken at a time, that which surrounds the block first, and of the others only gutters with
        panels on both sides count.
        """
        others = tuple(ground for ground in self.grounds if ground not in around)
        for ground in (*around, *others) if depth < self.settings.max_cuts else ():
            # Rows first if both are possible: figures are set in rows, and writing runs along them.
            for axis, lines in ((0, block.height), (1, block.width)):
                alone = ground in around
                gutters = gutters_of(ground, block, axis, self.settings, one_sided=alone)
                spans = between(gutters, lines) if gutters else []
                if spans:
                    return [within(block, axis, span) for span in spans], (ground,)
        return [], ()

    def _at_seams(self, block: Window, kind: Kind) -> list[Window]:
        """A block parted where two pictures touch; empty if none do."""
        part = self.views.grey[block.top : block.bottom, block.left : block.right]
        for axis, lines in ((0, block.height), (1, block.width)):
            seams = seams_of(part, axis, self.settings, among_bands=kind == "blot")
            if seams:
                spans = between([(at, at) for at in seams], lines)
                return [within(block, axis, span) for span in spans]
        return []

    def _is_large_enough(self, block: Window) -> bool:
        """Whether a piece may be a panel; smaller ones are labels and marks."""
        low, high = sorted((block.width, block.height))
        if low >= 2 * self.settings.min_panel or low <= 0:
            return low > 0
        place = np.s_[block.top : block.bottom, block.left : block.right]
        if self.views.marks[place].mean() > self.settings.written_label:
            return False
        if low >= self.settings.min_panel:
            return self._is_full(block)
        long = low >= self.settings.strip_height and high >= self.settings.strip_length
        return long and self._is_full(block)

    def _is_full(self, block: Window) -> bool:
        """Whether a piece is filled up to its edges, as pictures are and writing is not."""
        if min(block.width, block.height) < 6:
            return False
        return all(
            ground.share(rim, exact=True) < self.settings.full_rim
            for ground in self.grounds
            for rim in _rims(block)
        )


def _rims(block: Window) -> tuple[Window, ...]:
    """The three outermost lines on each side of a block."""
    return (
        Window(block.left, block.top, block.right, min(block.bottom, block.top + 3)),
        Window(block.left, max(block.top, block.bottom - 3), block.right, block.bottom),
        Window(block.left, block.top, min(block.right, block.left + 3), block.bottom),
        Window(max(block.left, block.right - 3), block.top, block.right, block.bottom),
    )


def _around(panels: Sequence[Window]) -> Window:
    """The smallest window that holds some others."""
    return Window(
        min(panel.left for panel in panels),
        min(panel.top for panel in panels),
        max(panel.right for panel in panels),
        max(panel.bottom for panel in panels),
    )


def panel_outline(panel: Window, shape: tuple[int, int]) -> Mask:
    """A panel as a mask, bool (H, W)."""
    mask = np.zeros(shape, np.uint8)
    cv2.rectangle(mask, (panel.left, panel.top), (panel.right - 1, panel.bottom - 1), 1, cv2.FILLED)
    return mask > 0
