"""Printed words on film: found across and up, on dark and light film; bands and cells are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.match.annotations import range_of
from forgecli.match.panels import find_layout
from forgecli.match.settings import MatchSettings
from forgecli.match.words import words_of

SETTINGS = MatchSettings()
Grey = NDArray[np.uint8]


def film(shape: tuple[int, int] = (160, 300), seed: int = 0) -> NDArray[np.float32]:
    """Light film with grain and a shade, float32."""
    grain = np.random.default_rng(seed).normal(0.0, 3.0, shape)
    shade = np.linspace(205.0, 225.0, shape[1])[None]
    return np.asarray(cv2.GaussianBlur(grain + shade, (0, 0), 0.7), np.float32)


def printed(picture: NDArray[np.float32], word: str, x: int, y: int, scale: float = 0.6) -> None:
    """Write a word in black, its lower left corner at (x, y), with soft rims."""
    ink = np.zeros(picture.shape, np.uint8)
    cv2.putText(ink, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    picture -= cv2.GaussianBlur(ink.astype(np.float32), (0, 0), 0.5) * (180 / 255)


def found_in(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    step = range_of(grey, 3) if grey.size else grey
    return words_of(grey, step, SETTINGS)


@pytest.mark.parametrize("turned", [0, 1, 3])
@pytest.mark.parametrize("dark", [False, True])
def test_a_word_is_found_and_nothing_beside_it(turned: int, dark: bool) -> None:
    picture = film()
    printed(picture, "siRNA", 60, 90)
    written = film() - picture > 60
    if dark:
        picture = 255 - picture
    found = np.rot90(found_in(np.ascontiguousarray(np.rot90(picture, turned))), -turned)
    assert found[written].mean() > 0.95
    rows, columns = np.nonzero(written)
    around = np.zeros_like(found)
    around[rows.min() - 8 : rows.max() + 9, columns.min() - 8 : columns.max() + 9] = True
    assert not found[~around].any()


def band(picture: NDArray[np.float32], x: int, y: int, width: int, height: int) -> None:
    ink = np.zeros(picture.shape, np.float32)
    cv2.ellipse(ink, (x, y), (width // 2, height // 2), 0, 0, 360, 1.0, -1)
    picture -= 170.0 * cv2.GaussianBlur(ink, (0, 0), 1.0)


@pytest.mark.parametrize(("width", "height"), [(24, 6), (30, 10), (34, 18), (40, 26), (12, 8)])
def test_rows_of_bands_are_no_words(width: int, height: int) -> None:
    picture = film((120, 420))
    for number in range(8):
        band(picture, 30 + 50 * number, 60, width, height)
    assert not found_in(picture).any()


def test_a_ladder_and_cells_are_no_words() -> None:
    ladder = film((300, 120))
    for number in range(14):
        band(ladder, 60, 20 + 20 * number, 40, 6)
    assert not found_in(ladder).any()
    cells = film((200, 300))
    for x in range(20, 300, 28):
        cv2.circle(cells, (x, 100), 10, 40.0, -1)
    assert not found_in(cells).any()


def test_a_single_letter_is_no_word_and_small_images_hold_none() -> None:
    picture = film()
    printed(picture, "R", 60, 90)
    assert not found_in(picture).any()
    for shape in ((0, 0), (1, 1), (14, 400), (15, 15)):
        assert found_in(np.full(shape, 128, np.float32)).shape == shape


def test_words_on_a_blot_are_no_evidence_and_on_a_photograph_nothing_is_asked() -> None:
    picture = film()
    printed(picture, "siRNA", 60, 90)
    written = film() - picture > 60
    for kind, hidden in (("blot", True), ("photograph", False)):
        layout = find_layout(picture, SETTINGS, kind_of=lambda *_, kind=kind: kind)
        before = find_layout(film(), SETTINGS, kind_of=lambda *_, kind=kind: kind)
        assert before.usable[written].all()
        assert (layout.usable[written].mean() < 0.05) == hidden
        assert (layout.marks[written].mean() > 0.95) == hidden
