"""What `bench.gpu_verify` takes for the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.gpu_verify import _AGREES, lists_agree

VALUES = np.array([[0.9, 0.8, 0.799999, -np.inf], [0.7, 0.6, 0.5, 0.4]], np.float32)
INDEX = np.array([[1, 2, 3, -1], [4, 5, 6, 7]])


def lists(places: tuple[tuple[int, int, int], ...]) -> Any:
    index = INDEX.copy()
    for row, column, own in places:
        index[row, column] = own
    return (index, VALUES), (INDEX, VALUES)


@pytest.mark.parametrize("own", [((0, 1, 3), (0, 2, 2)), ((1, 3, 9),)])
def test_neighbours_that_rounding_may_change(own: tuple[tuple[int, int, int], ...]) -> None:
    assert lists_agree(lists(()), lists(own))


@pytest.mark.parametrize("own", [((0, 0, 9),), ((0, 3, 9),), ((1, 1, 6), (1, 2, 5))])
def test_neighbours_that_are_wrong(own: tuple[tuple[int, int, int], ...]) -> None:
    assert not lists_agree(lists(()), lists(own))


def refined() -> Any:
    return [np.tile(np.arange(8.0), (20, 1)), np.full(20, 0.9, np.float32), np.ones(20, np.float32)]


def extents() -> Any:
    return np.tile(np.array([100, 0.9, 5, 0.5, 30], np.float32), (50, 1))


def views() -> Any:
    seen = np.full((20, 20), 100.0, np.float32)
    seen[0] = np.nan
    return [(seen, np.full((20, 20), 0.5, np.float32))]


def moved(at: Any, by: float) -> Callable[[Any], None]:
    def change(result: Any) -> None:
        *way, last = at
        for step in way:
            result = result[step]
        result[last] += by

    return change


@pytest.mark.parametrize(
    ("stage", "made", "change"),
    [
        ("refine", refined, moved([0, np.s_[:3, 2]], 0.02)),
        ("refine", refined, moved([0, np.s_[:1, 0]], 0.02)),
        ("refine", refined, moved([1, np.s_[:3]], 0.01)),
        ("refine", refined, moved([1, np.s_[:1]], -1.9)),
        ("refine", refined, moved([2, np.s_[:3]], 0.01)),
        *[("extent", extents, moved([np.s_[:2, column]], 2)) for column in range(5)],
        ("views", views, moved([0, 0, np.s_[1, 1]], np.nan)),
        ("views", views, moved([0, 0, np.s_[1]], 0.1)),
        ("views", views, moved([0, 1, np.s_[1]], 0.01)),
    ],
)
def test_what_is_wrong(stage: str, made: Callable[[], Any], change: Callable[[Any], None]) -> None:
    own = made()
    assert _AGREES[stage](made(), own)
    change(own)
    assert not _AGREES[stage](made(), own)
