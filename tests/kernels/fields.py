"""Images with copied parts, and plain arithmetic on the moments of their discs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kernels.field import ANGLES
from kernels.zernike import FULL, LANES, PAIRS

Codes = NDArray[np.int8]
REPETITION = np.array([m for _, m in PAIRS])


def texture(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Noise of some pixels' grain, float32 (H, W)."""
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return np.asarray(100 + 200 * cv2.GaussianBlur(noise, (0, 0), 2.0), np.float32)


def similarities(first: Codes, second: Codes) -> NDArray[np.float64]:
    """(2, TURNS): straight and mirrored, under every turn; 1 is equal."""
    a = first[: len(PAIRS)] + 1j * first[LANES : LANES + len(PAIRS)].astype(float)
    b = second[: len(PAIRS)] + 1j * second[LANES : LANES + len(PAIRS)].astype(float)
    turned = np.exp(-1j * REPETITION * ANGLES[:, None])
    return np.stack([((c * turned) * b.conj()).real.sum(axis=1) for c in (a, a.conj())]) / FULL**2


def linear(turn: int, mirrored: bool) -> NDArray[np.float64]:
    """The map of offsets of a turn and a parity."""
    c, s = np.cos(ANGLES[turn]), np.sin(ANGLES[turn])
    return np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if mirrored else 1.0])
