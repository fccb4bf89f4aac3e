from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.match.agreement import Window
from forgecli.match.bands import bands_of
from forgecli.match.fit import fit_map
from tests.match.pictures import (
    cells,
    clone,
    furthest,
    mask_of_disc,
    photograph,
    similarity,
    tissue,
)

SHAPE = (160, 240)
SOURCE, TARGET = (55.0, 70.0), (175.0, 85.0)
WINDOW = Window(25, 40, 86, 101)


def inner(radius: float) -> np.ndarray:
    disc = mask_of_disc(SHAPE, SOURCE, radius)
    return disc[WINDOW.top : WINDOW.bottom, WINDOW.left : WINDOW.right]


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0, 360),
    st.floats(0.75, 1.3),
    st.booleans(),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    st.sampled_from(["tissue", "cells"]),
)
def test_the_map_of_a_copy_is_found(
    turn: float, scale: float, mirrored: bool, off: tuple[float, float], scene: str
) -> None:
    grey = tissue(SHAPE, 4) if scene == "tissue" else cells(SHAPE, 8, 60)
    truth = similarity(SOURCE, TARGET, turn=turn, scale=scale, mirrored=mirrored)
    forgery = clone(grey, mask_of_disc(SHAPE, SOURCE, 28), truth)
    start = similarity(
        SOURCE,
        (TARGET[0] + off[0], TARGET[1] + off[1]),
        turn=turn + 1,
        scale=scale * 0.99,
        mirrored=mirrored,
    )
    smooth = bands_of(photograph(forgery.grey, noise=1)).smooth
    fitted = fit_map(smooth, start, WINDOW, inner(25), steps=15)
    assert fitted is not None
    assert furthest(fitted, truth, forgery.source) < 0.2


def test_brightness_contrast_and_what_is_not_copied_do_not_matter() -> None:
    grey = tissue(SHAPE, seed=4)
    truth = similarity(SOURCE, TARGET, turn=20, mirrored=True)
    forgery = clone(grey, mask_of_disc(SHAPE, SOURCE, 28), truth)
    changed = np.where(forgery.copy, 0.6 * forgery.grey + 70, forgery.grey)
    changed[60:75, 25:50] = tissue((15, 25), seed=9)  # a part of the source painted over after
    smooth = bands_of(photograph(changed.astype(np.float32), noise=1)).smooth
    start = similarity(SOURCE, (175.6, 84.5), turn=21, mirrored=True)
    fitted = fit_map(smooth, start, WINDOW, inner(25), steps=15)
    assert fitted is not None
    assert furthest(fitted, truth, forgery.source) < 0.2


def test_a_true_map_is_kept() -> None:
    image = tissue((120, 120), seed=1)
    tiled = np.ascontiguousarray(np.tile(image, (1, 2)))
    truth = np.array([[1.0, 0.0, 120.0], [0.0, 1.0, 0.0]])
    fitted = fit_map(tiled, truth, Window(20, 20, 100, 100), np.ones((80, 80), bool), steps=15)
    assert fitted is not None
    np.testing.assert_allclose(fitted, truth, atol=1e-6)


def test_a_large_region_is_fitted_from_a_part_of_its_pixels() -> None:
    image = tissue((420, 420), seed=1)
    tiled = np.ascontiguousarray(np.hstack([image, image[:, ::-1]]))
    truth = np.array([[-1.0, 0.0, 839.0], [0.0, 1.0, 0.0]])
    start = np.add(truth, [[0.002, 0.001, -0.3], [0.0, 0.002, 0.4]])
    inside = np.ones((400, 400), bool)
    fitted = fit_map(tiled, start, Window(10, 10, 410, 410), inside, steps=20)
    assert fitted is not None
    assert furthest(fitted, truth, np.pad(inside, 10)) < 0.05


@pytest.mark.parametrize("what", ["flat", "edge", "few", "other", "negative", "outside"])
def test_where_there_is_nothing_to_fit_it_says_so(what: str) -> None:
    image = tissue((80, 160), seed=2)
    inside = np.ones((40, 40), bool)
    start = np.array([[1.0, 0.0, 80.0], [0.0, 1.0, 0.0]])
    if what == "flat":
        image[:] = 7
    elif what == "edge":  # nothing tells where along a straight edge it is
        image[:], image[:, 40:80], image[:, 120:] = 20, 90, 90
    elif what == "few":
        inside[1:] = False
        inside[0, 10:] = False
    elif what == "negative":
        image[:, 80:] = -image[:, :80]
    elif what == "outside":
        start[0, 2] = 1000
    fitted = fit_map(image, start, Window(20, 20, 60, 60), inside, steps=15)
    if what == "other":  # it may drift, but is finite
        assert fitted is None or np.isfinite(fitted).all()
    else:
        assert fitted is None
