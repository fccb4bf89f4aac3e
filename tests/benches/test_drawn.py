"""Authentic images with drawn look-alikes: whole, of every class, and the same again."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from bench import drawn as drawn_module
from bench.drawn import Photograph, Pixels, drawn

MAKERS = ("_written", "_labelled", "_hatched", "_lattice", "_overexposed")


def photographs(seed: int = 0) -> tuple[Photograph, list[int]]:
    """Grain, another at each call, and what was asked for."""
    asked: list[int] = []
    numbers = itertools.count(seed)

    def photograph(side: int) -> Pixels:
        asked.append(side)
        grain = np.random.default_rng(next(numbers)).normal(90, 12, (side, side - 7, 3))
        return np.clip(grain, 0, 255).astype(np.uint8)

    return photograph, asked


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("seed", range(3))
def test_every_class_is_drawn_whole(name: str, seed: int) -> None:
    make: Callable[[np.random.Generator, Photograph], Pixels] = getattr(drawn_module, name)
    image = make(np.random.default_rng(seed), photographs()[0])
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert min(image.shape[:2]) >= 150 and max(image.shape[:2]) < 900
    assert image.std() > 3


def test_a_word_is_written_on_the_photograph_at_several_places() -> None:
    for seed in range(6):
        cut, again = photographs(seed)[0](420), photographs(seed)[0]
        image = drawn_module._written(np.random.default_rng(seed), again)
        changed = (image != cut).any(axis=2)
        assert 0.001 < changed.mean() < 0.3
        rows = np.flatnonzero(changed.any(axis=1))
        assert np.count_nonzero(np.diff(rows) > 3) >= 1, "two lines at least"


def test_the_same_numbers_draw_the_same() -> None:
    for seed in range(8):
        first, second = (drawn(np.random.default_rng(seed), photographs(seed)[0]) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_a_photograph_is_asked_for_anew_for_every_panel() -> None:
    photograph, asked = photographs()
    drawn_module._labelled(np.random.default_rng(1), photograph)
    assert 4 <= len(asked) <= 8 and set(asked) == {170}
