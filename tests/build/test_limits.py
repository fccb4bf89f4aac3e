"""What the limits of FP16 rest on: rounding to 11 bits stays far below them, and to 8 does not."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.build import limits
from forgecli.build.check import probabilities

FP16, BF16 = 11, 8
"""Bits of the significand."""
BLOCKS = 8
"""Residual blocks of two products each: what a ResNet-18 has."""
WIDTH, PIXELS = 48, 4000


def rounded(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """The nearest numbers with so many bits; 24 leaves them as they are."""
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.rint(fraction * 2.0**bits) / 2.0**bits, exponent).astype(np.float32)


def logits(bits: int, seed: int) -> NDArray[np.float32]:
    """Of a residual network of random weights, every result rounded. Normalised by the statistics
    of the exact network; 3 % of the pixels are positive, the spread is that of networks here."""
    rng = np.random.default_rng(seed)

    def weights(outputs: int) -> NDArray[np.float32]:
        return (rng.normal(size=(WIDTH, outputs)) * np.sqrt(2 / WIDTH)).astype(np.float32)

    def step(pair: list[NDArray[np.float32]], outputs: int = WIDTH) -> list[NDArray[np.float32]]:
        """A product and its normalisation, rounded and exact."""
        matrix = weights(outputs)
        mine = rounded(pair[0] @ rounded(matrix, bits), bits)
        exact = pair[1] @ matrix
        mean, spread = exact.mean(axis=0), exact.std(axis=0)
        return [rounded((mine - mean) / spread, bits), (exact - mean) / spread]

    start = rng.normal(size=(PIXELS, WIDTH)).astype(np.float32)
    now = [rounded(start, bits), start]
    for block in range(BLOCKS):
        inner = step([np.maximum(side, 0) for side in step(now)])
        now = [np.maximum(a + b, 0) for a, b in zip(now, inner, strict=True)]
        now[0] = rounded(now[0], bits)
        if block % 4 == 3:
            now = [np.maximum(side, 0) for side in step(now)]
    mine, exact = step(now, 1)
    lift = np.float32(np.quantile(exact, 0.97))
    return np.stack([mine[:, 0] - lift, exact[:, 0] - lift]) * np.float32(5)


def apart(bits: int, seed: int) -> tuple[float, float]:
    """The largest and the mean difference of a probability."""
    mine, exact = probabilities(logits(bits, seed))
    moved = np.abs(mine - exact)
    return float(moved.max()), float(moved.mean())


@pytest.mark.parametrize("seed", range(4))
def test_half_precision_stays_within_half_of_the_limits(seed: int) -> None:
    largest, mean = apart(FP16, seed)
    assert 0 < largest < limits.PROBABILITY / 2 and 0 < mean < limits.PROBABILITY_MEAN / 2


def test_three_bits_less_are_about_the_limits() -> None:
    """Where a network is as far off as bfloat16 would be, it is not half precision that did it."""
    found = [apart(BF16, seed) for seed in range(6)]
    largest, mean = (median(side) for side in zip(*found, strict=True))
    assert 1 < largest / limits.PROBABILITY < 3
    assert 0.5 < mean / limits.PROBABILITY_MEAN < 2


def test_all_bits_are_no_rounding() -> None:
    assert apart(24, 0) == (0.0, 0.0)
