"""From log-odds to a probability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.match.calibration import Calibration, parts

slopes = st.floats(0.0, 5.0)


@given(slopes, slopes, st.floats(-3, 3), st.floats(0.001, 0.999))
def test_it_is_beta_calibration(below: float, above: float, offset: float, s: float) -> None:
    """As Kull, Silva Filho and Flach write it: 1 / (1 + 1 / (e^c s^a / (1 - s)^b))."""
    found = Calibration(below, above, offset)(np.array([np.log(s / (1 - s))]))[0]
    odds = np.exp(offset) * s**below / (1 - s) ** above
    assert found == pytest.approx(odds / (1 + odds), rel=1e-6, abs=1e-9)


@given(slopes, st.floats(-3, 3), st.floats(-60, 60))
def test_equal_slopes_are_a_line(slope: float, offset: float, evidence: float) -> None:
    found = Calibration(slope, slope, offset)(np.array([evidence]))[0]
    assert found == pytest.approx(1 / (1 + np.exp(-(slope * evidence + offset))), abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_parts_add_up_and_never_overflow() -> None:
    evidence = np.array([-1e5, -700.0, -1.0, 0.0, 2.0, 1e5])
    against, speaking_for = parts(evidence)
    np.testing.assert_allclose(against + speaking_for, evidence, atol=1e-12)
    assert (against <= 0).all() and (speaking_for >= 0).all()
    score = Calibration(0.3, 1.2, 0.1)(evidence)
    assert ((score >= 0) & (score <= 1)).all()
    assert (np.diff(score) >= 0).all()
