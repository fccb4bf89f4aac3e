"""The set of single images: what its forgeries are counted under, and its table."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench import accuracy_tables
from bench.accuracy_measure import Mark
from bench.accuracy_single import figures, recipe, tags


def copy_of(angle: float = 0.0, mirrored: bool = False, scale: float = 1.0) -> dict[str, Any]:
    return {"angle": angle, "mirrored": mirrored, "scale": scale}


def card_of(*copies: dict[str, Any], jpeg: int | None = None) -> dict[str, Any]:
    finish = {} if jpeg is None else {"jpeg": jpeg}
    return {"groups": [{"copies": list(copies)}], "finish": finish}


def test_a_forgery_is_counted_under_all_that_was_done_to_it() -> None:
    large = np.ones((1, 100, 100), np.uint8)
    assert tags(card_of(copy_of(angle=359.9)), large) == ["moved only"]
    assert tags(card_of(copy_of(), copy_of(angle=-30.0, scale=0.8)), large) == ["turned", "scaled"]
    assert tags(card_of(copy_of(mirrored=True), jpeg=80), large) == ["mirrored", "JPEG under 90"]
    assert tags(card_of(copy_of(), jpeg=95), large) == ["moved only"]
    small = np.zeros((1, 100, 100), np.uint8)
    small[0, :30, :40] = 1  # a source and a copy of 600 pixels each
    assert tags(card_of(copy_of()), small) == ["moved only", "under 800 px"]
    assert tags(card_of(copy_of()), 1 - small) == ["moved only"]


def test_the_recipe_makes_single_images_only() -> None:
    made = recipe()
    assert made.figure.compound == 0
    assert made.mix.object > made.mix.region > 0
    assert made.mix.blot == made.mix.panel == made.mix.overlap == made.mix.removal == 0


def test_the_table_has_twins_by_kind_and_none_by_change() -> None:
    def seen(point: str, forged: bool, flagged: bool, f1: float) -> Mark:
        return Mark(point, "forge", forged, flagged, f1, f1, seconds=1.0, megapixels=0.5)

    found = figures(
        [
            seen("blood,turned,scaled", True, True, 0.8),
            seen("blood", False, True, 0.0),
            seen("tissue,moved only", True, False, 0.0),
            seen("tissue", False, False, 1.0),
        ]
    )
    parts = found["parts"]
    assert list(parts) == ["all", "blood", "tissue", "moved only", "scaled", "turned"]
    assert (parts["all"]["forged"], parts["all"]["f1"]) == (2, 0.4)
    assert parts["scaled"]["recall"] == 1.0 and parts["scaled"]["authentic"] == 0
    table = accuracy_tables.single(found)
    assert "| turned | 1 | 1.00 | 0.800 | 0.800 |  |  |  |" in table
    assert "| blood | 1 | 1.00 | 0.800 | 0.800 | 1 | 1 | 1.00 |" in table
    assert "Flagged twins: 1 of 2" in table and "2.00 CPU seconds a megapixel" in table
