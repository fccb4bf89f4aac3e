"""Examples of a data set, from the least covered to the most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.masks import read_mask
from forgecli.detection import Case, Label
from forgecli.inspect.rows import ImageRow
from forgecli.report.marks import Image
from forgecli.report.triptych import outlined, panel

EXAMPLES = 12


@dataclass(frozen=True, slots=True)
class Triptych:
    """An example.

    Attributes:
        row: of the forged image.
        authentic: its authentic twin at the size of a panel; None without one.
        forged, truth: uint8 (h, w, 3), RGB; `truth` has the instances outlined.
    """

    row: ImageRow
    authentic: Image | None
    forged: Image
    truth: Image


def spread_of_examples(rows: Sequence[ImageRow], count: int = EXAMPLES) -> list[ImageRow]:
    """Forged images at equal distances in the order of coverage, the least and the most among
    them."""
    able = [row for row in rows if row.pixels and row.truth and row.truth.areas]
    able.sort(key=lambda row: (row.truth.coverage if row.truth else 0.0, row.path))
    if len(able) <= count:
        return able
    picked = np.unique(np.linspace(0, len(able) - 1, count).round().astype(int))
    return [able[index] for index in picked]


def triptychs(
    files: Mapping[str, Path], rows: Sequence[ImageRow], max_pixels: int
) -> Iterator[Triptych]:
    """Draw examples, one in memory at a time.

    Args:
        files: images and masks by the paths that rows name them by.
        rows: all of it; examples are chosen among them.
    """
    twins = {
        (row.part, row.case_id): row for row in rows if row.label == Label.AUTHENTIC and row.pixels
    }
    for row in spread_of_examples(rows):
        twin = twins.get((row.part, row.case_id))
        try:
            forged = _pixels(files, row, max_pixels)
            instances, _ = read_mask(files[row.mask], (row.height, row.width))
            authentic = panel(_pixels(files, twin, max_pixels)) if twin else None
        except (Unreadable, TooLarge):  # it was readable a moment ago: the set is being changed
            continue
        yield Triptych(row, authentic, panel(forged), outlined(forged, instances))


def _pixels(files: Mapping[str, Path], row: ImageRow, max_pixels: int) -> Image:
    picture, _ = read_picture(Case(row.case_id, files[row.path]), max_pixels)
    return picture.pixels
