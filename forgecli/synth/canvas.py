"""The picture under work, beside its authentic twin, with a record of every copied region."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.outline import Mask, Outline
from forgecli.synth.texture import Grey, noise_level, strongest_channel

Pixels = NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One image of a figure.

    Attributes:
        x, y, width, height: where it is on the canvas.
        field: the picture that it was cut from.
        to_canvas: float64 (2, 3), maps that picture onto the canvas.
        kind: what the picture shows, if that is known.
        drawn: a chart or drawing, in which nothing is copied.
    """

    x: int
    y: int
    width: int
    height: int
    field: Pixels
    to_canvas: NDArray[np.float64]
    kind: str = ""
    drawn: bool = False

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns on the canvas."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(slots=True)
class Group:
    """Regions that share content.

    Attributes:
        regions: bool (H, W) each; the source first.
        card: what was done.
    """

    regions: list[Mask]
    card: dict[str, Any]


@dataclass(slots=True)
class Canvas:
    """A picture and its authentic twin.

    Attributes:
        twin: the picture without any copy.
        image: the picture with the copies made so far.
        panels: at least one; all of the canvas for a single image.
        taken: bool (H, W), pixels that belong to a source or a copy.
        groups: the copies made so far.
        layout: ``single``, ``grid`` or ``strips``.
    """

    twin: Pixels
    image: Pixels
    panels: list[Panel]
    taken: Mask
    groups: list[Group] = field(default_factory=list)
    layout: str = "single"
    _levels: dict[int, tuple[Grey, float]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.twin.shape[0], self.twin.shape[1]

    def grey(self, panel: Panel) -> tuple[Grey, float]:
        """A panel's strongest channel, as it was before any copy, and its noise level."""
        key = id(panel)
        if key not in self._levels:
            grey = strongest_channel(self.twin[panel.box])
            noise = noise_level(grey)
            scale = float(np.sqrt(abs(np.linalg.det(panel.to_canvas[:, :2]))))
            if scale > 1:
                # Enlarged noise is coarse, and looks like texture. A blur of some width on the
                # canvas is narrower on the picture, and takes that much less of the noise away.
                noise = max(noise, scale * noise_level(strongest_channel(panel.field)))
            self._levels[key] = grey, noise
        return self._levels[key]

    def is_free(self, outline: Outline, gap: int = 3) -> bool:
        """Whether a region, and a few pixels around its box, hold nothing of a source or copy."""
        rows, columns = outline.box
        near = self.taken[
            max(0, rows.start - gap) : rows.stop + gap,
            max(0, columns.start - gap) : columns.stop + gap,
        ]
        if not near.any():
            return True
        wide = np.zeros(self.shape, bool)
        wide[outline.box] = outline.mask
        part = wide[
            max(0, rows.start - gap) : rows.stop + gap,
            max(0, columns.start - gap) : columns.stop + gap,
        ].astype(np.uint8)
        grown = cv2.dilate(part, np.ones((2 * gap + 1, 2 * gap + 1), np.uint8))
        return not bool((near & (grown > 0)).any())

    def take(self, regions: list[Mask], card: dict[str, Any]) -> Group:
        """Record a group."""
        for region in regions:
            self.taken |= region
        group = Group(regions, card)
        self.groups.append(group)
        return group


def single(pixels: Pixels, kind: str = "") -> Canvas:
    """A canvas of one image that is its own panel."""
    height, width = pixels.shape[:2]
    identity = np.eye(2, 3)
    panel = Panel(0, 0, width, height, pixels, identity, kind)
    return Canvas(pixels.copy(), pixels.copy(), [panel], np.zeros((height, width), bool))
