"""How well pixels agree with the truth, whatever the components and gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forgecli.tune.grid import Grid
from forgecli.tune.tables import ImageTable, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Agreement at every pixel threshold of a grid, against the union of true instances.

    Attributes:
        pixels: the P thresholds.
        dice, iou: float64 (P,), means over the forged images; NaN without any.
        pooled_dice, pooled_iou: float64 (P,), of the pixels of all images as if they were one, so
            that false alarms on authentic images count; NaN where there is nothing at all.
    """

    pixels: tuple[float, ...]
    dice: Scores
    iou: Scores
    pooled_dice: Scores
    pooled_iou: Scores

    def at(self, pixel: float) -> tuple[float, float]:
        """Dice and IoU, means over the forged images, at one pixel threshold of the grid."""
        place = self.pixels.index(pixel)
        return float(self.dice[place]), float(self.iou[place])

    def best_pixel(self) -> float:
        """The pixel threshold with the highest Dice; the higher one of two alike."""
        if np.isnan(self.dice).all():
            return self.pixels[-1]
        return self.pixels[int(np.flatnonzero(self.dice >= np.nanmax(self.dice) - 1e-12)[-1])]


def pixel_overlap(tables: Sequence[ImageTable], grid: Grid) -> Overlap:
    """Dice and IoU of some images.

    Args:
        tables: made with `grid`.
        grid: gives the pixel thresholds.
    """
    places = len(grid.pixels)
    shared = np.array([table.shared for table in tables], np.float64).reshape(-1, places)
    predicted = np.array([table.predicted for table in tables], np.float64).reshape(-1, places)
    true = np.array([table.true_area for table in tables], np.float64)[:, None]
    forged = true[:, 0] > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        dice = 2 * shared[forged] / (predicted + true)[forged]
        pooled = 2 * shared.sum(axis=0) / (predicted.sum(axis=0) + true.sum())
        mean = dice.mean(axis=0) if forged.any() else np.full(places, np.nan)
        iou = (dice / (2 - dice)).mean(axis=0) if forged.any() else mean
    return Overlap(grid.pixels, mean, iou, pooled, pooled / (2 - pooled))
