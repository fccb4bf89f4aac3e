"""What stands between two pictures is not known."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from forgecli.match.agreement import Window, local_correlation, warp_into
from forgecli.match.seam import Seam
from tests.match.pictures import similarity, tissue

SEAM = Seam(60, 92)
"""Two pictures, 60 pixels wide."""


@given(st.integers(0, 59), st.floats(-40, 70), st.floats(-180, 180), st.booleans())
@hypothesis_settings(max_examples=40, deadline=None)
def test_a_view_is_that_of_the_right_picture_alone(
    x: int, there: float, turn: float, mirrored: bool
) -> None:
    alone = tissue((50, 60), 2)
    both = np.full((50, 92 + 60), 128, np.float32)
    both[:, 92:], both[:, 91] = alone, alone[:, 0]
    affine = similarity((x, 25), (there, 25), turn=turn, mirrored=mirrored)
    moved = affine.copy()
    moved[0, 2] += SEAM.ends
    window = Window(max(0, x - 20), 5, min(60, x + 20), 45)
    here = np.ascontiguousarray(window.cut(tissue((50, 60), 3)))
    seen = warp_into(both, moved, window)
    view = seen, local_correlation(here, seen, 7)
    ((known, correlation),) = SEAM.without([view], [window], moved[None], 7)
    expected = warp_into(alone, affine, window)
    # Where a place lies on the very border, rounding decides.
    same = np.isfinite(known) == np.isfinite(expected)
    assert same.mean() > 0.98
    both_known = np.isfinite(known) & np.isfinite(expected)
    np.testing.assert_allclose(known[both_known], expected[both_known], atol=0.75)
    if same.all():
        agreed = local_correlation(here, expected, 7)
        np.testing.assert_array_equal(correlation == -1, agreed == -1)
        np.testing.assert_allclose(correlation, agreed, atol=0.03)
    assert known.dtype == correlation.dtype == np.float32


def test_which_pixels_have_their_copy_in_it() -> None:
    affine = similarity((30, 20), (SEAM.ends, 20))
    window = Window(10, 0, 50, 40)
    unknown = SEAM.unknown(window, affine)
    assert unknown.shape == (40, 40)
    np.testing.assert_array_equal(unknown, np.tile(np.arange(10, 50) < 30, (40, 1)))
    np.testing.assert_array_equal(
        SEAM.unknown(window, affine, 2.0), np.tile(np.arange(10, 50) < 32, (40, 1))
    )
