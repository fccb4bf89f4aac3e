from __future__ import annotations

import cv2
import numpy as np
import pytest

from forgecli.synth.annotate import Scene, draw_annotations, frame, write
from forgecli.synth.canvas import single
from forgecli.synth.recipe import Annotate
from tests.synth.pictures import nuclei, tissue

ALL = Annotate(letters=1, titles=1, lane_labels=1, scale_bar=1, arrow=1, box=1)


def scene(layout: str, avoid_all: bool = False) -> Scene:
    picture = tissue(1)
    canvas = single(picture)
    avoid = np.full(picture.shape[:2], avoid_all)
    return Scene(canvas.panels, layout, avoid, picture)


@pytest.mark.parametrize("layout", ["single", "grid", "strips"])
def test_strokes_are_the_same_on_twins(layout: str) -> None:
    strokes, names = draw_annotations(np.random.default_rng(0), scene(layout), ALL)
    assert strokes and names
    first, second = nuclei(0), nuclei(0)
    for stroke in strokes:
        stroke(first)
        stroke(second)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, nuclei(0))


def test_small_things_keep_off_copied_regions() -> None:
    for seed in range(10):
        _, names = draw_annotations(
            np.random.default_rng(seed), scene("single", avoid_all=True), ALL
        )
        assert names == []


def test_nothing_is_drawn_where_the_recipe_says_so() -> None:
    none = Annotate(letters=0, titles=0, lane_labels=0, scale_bar=0, arrow=0, box=0)
    assert draw_annotations(np.random.default_rng(0), scene("grid"), none) == ([], [])


def test_text_is_written_without_the_fonts_of_opencv_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    image = np.full((40, 120, 3), 255, np.uint8)
    write(image, "20 µm", 5, 30, 24, (0, 0, 0))
    assert image.min() < 60


@pytest.mark.parametrize("dashed", [False, True])
def test_a_frame_lies_on_its_rectangle(dashed: bool) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    frame(10, 12, 40, 30, (255, 255, 255), dashed=dashed)(image)
    rows, columns = np.nonzero(image[:, :, 0])
    assert rows.min() >= 11 and rows.max() <= 42 and columns.min() >= 9 and columns.max() <= 50
    assert image[20:35, 15:45].max() == 0
