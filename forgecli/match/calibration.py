"""From the highest evidence among an image's candidates to the probability that it is forged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Beta calibration (Kull, Silva Filho and Flach, AISTATS 2017), of log-odds.

    The best of many candidates is high by chance: a low best says little, and a high one much. A
    line (Platt 1999) has one slope for both; it is what equal slopes make of this.

    Attributes:
        below: slope of the calibrated log-odds where the evidence is against a copy, at least 0.
        above: slope where it is for one, at least 0. About 0, one goes over into the other.
        offset: added to the log-odds.
    """

    below: float
    above: float
    offset: float

    def __call__(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability that belongs to log-odds, float64 (n,) both."""
        against, speaking_for = parts(evidence)
        odds = self.below * against + self.above * speaking_for + self.offset
        # The logistic function, written so that it does not overflow.
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * odds))


def parts(evidence: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds as the sum of what is at most 0 and what is at least 0, smooth both.

    Of the probability s that belongs to the log-odds these are log(s) and -log(1 - s), the
    variables of beta calibration.
    """
    return -np.logaddexp(0.0, -evidence), np.logaddexp(0.0, evidence)
