"""Pictures of what a network finds, to look at while it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Picture, Runs
from forgecli.report import marks
from kernels.rle import decode

_SIDE = 320
"""Pixels of a panel."""
_STRIP = 24
_GROUND = 32
_TRUTH = (0, 220, 120)
_FOUND = (255, 90, 40)
_INK = (235, 235, 235)

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """An image with its truth and its map, reduced to a panel's size.

    Attributes:
        case_id: of the image.
        pixels: uint8 (h, w, 3).
        truth: bool (h, w).
        probability: float32 (h, w), 0 to 1.
    """

    case_id: str
    pixels: Image
    truth: NDArray[np.bool_]
    probability: NDArray[np.float32]

    @classmethod
    def of(cls, picture: Picture, truth: Sequence[Runs], logits: NDArray[np.float32]) -> Self:
        """From an image, the runs of its instances, and its logits (K, H, W)."""
        height, width = picture.pixels.shape[:2]
        scale = min(_SIDE / max(height, width), 1.0)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        mask = np.zeros((height, width), np.float32)
        for runs in truth:
            mask[decode(runs, (height, width))] = 1
        highest = cv2.resize(logits.max(axis=0), size, interpolation=cv2.INTER_AREA)
        return cls(
            picture.case_id,
            np.asarray(cv2.resize(picture.pixels, size, interpolation=cv2.INTER_AREA), np.uint8),
            np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA) >= 0.25),
            np.asarray(1 / (1 + np.exp(-np.clip(highest, -30, 30))), np.float32),
        )


def gallery(findings: Sequence[Finding]) -> Image:
    """One row for each: the image, its truth outlined, its probabilities.

    Returns:
        uint8 (rows x 344, 960, 3), RGB.
    """
    rows = [_row(finding) for finding in findings]
    return np.concatenate(rows) if rows else np.full((1, 3 * _SIDE, 3), _GROUND, np.uint8)


def _row(finding: Finding) -> Image:
    panels = [finding.pixels, finding.pixels.copy(), _heat(finding.probability)]
    _outline(panels[1], finding.truth, _TRUTH)
    _outline(panels[2], finding.probability >= 0.5, _FOUND)
    row: Image = np.full((_SIDE + _STRIP, 3 * _SIDE, 3), _GROUND, np.uint8)
    for column, panel in enumerate(panels):
        height, width = panel.shape[:2]
        left = column * _SIDE
        row[_STRIP : _STRIP + height, left : left + width] = panel
    name = finding.case_id.encode("ascii", "backslashreplace").decode()
    highest = f"probability, {finding.probability.max():.2f} at most"
    for column, text in enumerate((name[-40:], "truth", highest)):
        marks.write(row, text, (column * _SIDE + 6, 16), _INK, 10)
    return row


def _heat(probability: NDArray[np.float32]) -> Image:
    grey = np.asarray(np.rint(probability * 255), np.uint8)
    coloured = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), np.uint8)


def _outline(panel: Image, mask: NDArray[np.bool_], color: tuple[int, int, int]) -> None:
    found: Any = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )[0]  # fmt: skip
    cv2.drawContours(panel, found, -1, color, 1, cv2.LINE_AA)
