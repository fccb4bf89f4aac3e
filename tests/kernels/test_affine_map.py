from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.affine_map import mark_outside, moved_at_least
from tests.kernels.local_matches import linear

few = settings(max_examples=60, deadline=None)


@st.composite
def maps(draw: st.DrawFn) -> NDArray[np.float64]:
    """Similarities; of some, all numbers are whole or halves, so that pixels lie on the bounds."""
    if draw(st.booleans()):
        turned = np.rint(linear(90 * draw(st.integers(0, 3)), 1.0, draw(st.booleans())))
        move = [draw(st.integers(-40, 40)) / 2, draw(st.integers(-40, 40)) / 2]
    else:
        turned = linear(draw(st.floats(0, 360)), draw(st.floats(0.6, 1.7)), draw(st.booleans()))
        move = [draw(st.floats(-30, 30)), draw(st.floats(-30, 30))]
    return np.column_stack((turned, move))


def mapped(
    affine: NDArray[np.float64], height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[:height, :width].astype(float)
    return (
        affine[0, 0] * x + affine[0, 1] * y + affine[0, 2],
        affine[1, 0] * x + affine[1, 1] * y + affine[1, 2],
    )


@few
@given(maps(), st.integers(0, 30), st.integers(0, 30), st.integers(1, 40), st.integers(1, 40))
def test_what_is_outside_is_marked(
    affine: NDArray[np.float64], height: int, width: int, rows: int, columns: int
) -> None:
    values = np.arange(height * width, dtype=np.float32).reshape(height, width)
    before = values.copy()
    mark_outside(values, affine, (rows, columns))
    px, py = mapped(affine, height, width)
    inside = (px >= -0.5) & (py >= -0.5) & (px <= columns - 0.5) & (py <= rows - 0.5)
    near = np.min([np.abs(px + 0.5), np.abs(py + 0.5),
                   np.abs(px - columns + 0.5), np.abs(py - rows + 0.5)], 0) < 1e-9  # fmt: skip
    sure = ~near | (affine == np.rint(2 * affine) / 2).all()
    np.testing.assert_array_equal(np.isfinite(values)[sure], inside[sure])
    kept = np.isfinite(values)
    np.testing.assert_array_equal(values[kept], before[kept])


@few
@given(maps(), st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.0, 5.0, 12.0]))
def test_what_moves_far_is_told(
    affine: NDArray[np.float64], height: int, width: int, distance: float
) -> None:
    found = moved_at_least(affine, (height, width), distance)
    assert found.shape == (height, width)
    px, py = mapped(affine, height, width)
    y, x = np.mgrid[:height, :width]
    away = np.hypot(px - x, py - y)
    sure = (np.abs(away - distance) > 1e-9) | (affine == np.rint(2 * affine) / 2).all()
    np.testing.assert_array_equal(found[sure], (away >= distance)[sure])


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(TypeError):
        mark_outside(np.zeros((4, 4)), np.eye(2, 3), (4, 4))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        moved_at_least(np.eye(2, 3, dtype=np.float32), (4, 4), 1.0)
