from __future__ import annotations

import cv2
import numpy as np
import pytest

from forgecli.match.agreement import Mask
from forgecli.match.annotations import drawn, empty
from forgecli.match.bands import FloatImage
from forgecli.match.settings import MatchSettings
from tests.match.pictures import cells, photograph, tissue

SETTINGS = MatchSettings()


def grey_of(grey: FloatImage, quality: int | None = None) -> FloatImage:
    return photograph(grey, noise=2, quality=quality)[:, :, 0].astype(np.float32)


def lettered(grey: FloatImage, level: int) -> tuple[FloatImage, Mask]:
    """Letters and a scale bar over a picture, and where they are."""
    strokes = np.zeros(grey.shape, np.uint8)
    cv2.putText(strokes, "B 50um", (12, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    cv2.rectangle(strokes, (12, 60), (80, 65), 255, -1)
    return np.where(strokes > 0, np.float32(level), grey), strokes > 0


@pytest.mark.parametrize("level", [0, 255])
def test_letters_and_bars_on_a_photograph_are_drawn(level: int) -> None:
    grey, strokes = lettered(grey_of(tissue((200, 240), seed=1)), level)
    marks = drawn(grey, SETTINGS)
    assert marks.dtype == bool
    assert marks[strokes].mean() > 0.9
    far = cv2.dilate(strokes.astype(np.uint8), np.ones((31, 31), np.uint8)) == 0
    assert not marks[far].any()


@pytest.mark.parametrize("quality", [None, 90, 75])
def test_a_graph_is_drawn(quality: int | None) -> None:
    canvas = np.full((240, 300), 255, np.uint8)
    cv2.line(canvas, (30, 20), (30, 210), 0, 2)
    cv2.line(canvas, (30, 210), (280, 210), 0, 2)
    for bar, height in enumerate((60, 120, 90)):
        cv2.rectangle(canvas, (60 + 70 * bar, 210 - height), (100 + 70 * bar, 210), 0, 2)
    for row in range(5):
        cv2.putText(canvas, f"{row}0", (4, 210 - 40 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1)
    strokes = canvas == 0
    marks = drawn(photograph(canvas.astype(np.float32), quality=quality)[:, :, 0], SETTINGS)
    assert marks[strokes].mean() > 0.85


@pytest.mark.parametrize("quality", [None, 90, 75])
@pytest.mark.parametrize("scene", ["tissue", "cells"])
def test_a_photograph_is_not(scene: str, quality: int | None) -> None:
    grey = tissue((200, 240), 3) if scene == "tissue" else cells((200, 240), 3, 40)
    assert drawn(grey_of(grey, quality), SETTINGS).mean() < 0.01


def test_clipped_cells_are_no_letters() -> None:
    grey = grey_of(np.clip(cells((200, 240), 5, 40) * 3 - 60, 0, 255).astype(np.float32))
    assert (grey >= 250).any()
    assert drawn(grey, SETTINGS).mean() < 0.05


def test_empty_ground() -> None:
    grey = np.full((60, 90), 240, np.float32)
    grey[:, 45:] = grey_of(tissue((60, 45), seed=1))
    blank = empty(grey, SETTINGS)
    assert blank[:, :40].all()
    assert not blank[:, 42:].any()
    grey[30, 20] += 1  # one level is no content
    assert empty(grey, SETTINGS)[:, :40].all()
    grey[30, 20] += 1
    assert not empty(grey, SETTINGS)[28:33, 18:23].any()
