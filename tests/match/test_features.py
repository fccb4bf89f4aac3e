from __future__ import annotations

import numpy as np
import pytest

from forgecli.match.agreement import Placed, Window, correlation_inside, view, warp_mask
from forgecli.match.bands import bands_of
from forgecli.match.candidates import Candidate
from forgecli.match.features import FEATURES, flat_pixels, measure
from tests.match.pictures import cells, clone, mask_of_disc, photograph, similarity

SHAPE = (160, 200)


@pytest.mark.parametrize("off", [0.0, 6.0])
def test_correlations_are_those_of_the_warped_bands(off: float) -> None:
    """In its place, where all agrees, and 6 px beside it, where nothing does."""
    disc = mask_of_disc(SHAPE, (50, 50), 22)
    forgery = clone(
        cells(SHAPE, 3, 30), disc, similarity((50, 50), (140, 100), turn=25, mirrored=True)
    )
    affine = forgery.affine + np.array([[0, 0, off], [0, 0, 0]])
    bands = bands_of(photograph(forgery.grey, noise=1))
    first = Placed(Window(20, 20, 80, 80), disc[20:80, 20:80])
    second = warp_mask(first, affine, SHAPE)
    candidate = Candidate(first, second, affine, support=5, rivals=2, rank_score=1.0)
    found = dict(zip(FEATURES, measure(bands, candidate, flat_pixels(bands)), strict=True))

    def agreement(name: str, dx: float = 0.0, dy: float = 0.0) -> float:
        moved = affine + np.array([[0, 0, dx], [0, 0, dy]])
        return correlation_inside(*view(bands, name, moved, first.window), first.mask)

    beside = [(2, 0), (-2, 0), (0, 2), (0, -2)]
    fine, low = agreement("middle"), agreement("low")
    drop = fine - max(agreement("middle", *move) for move in beside)
    assert np.tanh(found["fine_all"]) == pytest.approx(fine, abs=2e-3)
    assert np.tanh(found["low_all"]) == pytest.approx(low, abs=2e-3)
    assert found["drop_fine"] == pytest.approx(drop, abs=4e-3)
    levels = np.unique(bands.grey[disc]).size
    assert found["levels"] == pytest.approx(np.log(levels))
    assert (fine > 0.6) == (off == 0)
    assert (found["drop_fine"] > 0.15) == (off == 0)


def test_a_region_is_measured_in_the_window_that_it_fills() -> None:
    """Whatever the window it grew in, the statistics are the same."""
    disc = mask_of_disc(SHAPE, (60, 60), 18)
    affine = np.array([[1.0, 0, 70], [0, 1.0, 20]])
    bands = bands_of(photograph(cells(SHAPE, 5, 30), noise=1))
    flat = flat_pixels(bands)
    found = []
    for window in (Window(42, 42, 79, 79), Window(0, 0, SHAPE[1], SHAPE[0])):
        mask = disc[window.top : window.bottom, window.left : window.right]
        first = Placed(window, np.ascontiguousarray(mask))
        second = warp_mask(first, affine, SHAPE)
        candidate = Candidate(first, second, affine, support=5, rivals=2, rank_score=1.0)
        found.append(measure(bands, candidate, flat))
    np.testing.assert_array_equal(found[0], found[1])
