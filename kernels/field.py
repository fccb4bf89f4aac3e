"""A field of matches: for every point of a grid another one, and how it is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.zernike import FULL

TURNS = 64
"""Angles that are told apart: 5.6 degrees."""

SCALE = FULL**3
"""Score of a disc with itself, nearly: similarity is score / SCALE."""

ANGLES = 2.0 * np.pi * np.arange(TURNS) / TURNS
COSINES, SINES = np.cos(ANGLES), np.sin(ANGLES)

FIELD = "int32[:, ::1], uint8[:, ::1], boolean[:, ::1], int32[:, ::1]"
"""Numba's types of the arrays of a field, as `parts` gives them."""

Parts = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Field:
    """For each grid point (h, w) the grid point that looks most like it.

    Attributes:
        target: int32 (h, w), row * w + column of the other point; -1 where there is none.
        turn: uint8 (h, w), the angle from x to y in units of 2 pi / TURNS.
        mirrored: bool (h, w). The map of offsets is the turn after turning y over, if mirrored.
        score: int32 (h, w), similarity times SCALE; 0 where there is no other point.
    """

    target: NDArray[np.int32]
    turn: NDArray[np.uint8]
    mirrored: NDArray[np.bool_]
    score: NDArray[np.int32]

    def parts(self) -> Parts:
        """The arrays, in the order kernels take them."""
        return self.target, self.turn, self.mirrored, self.score

    def like(self) -> Field:
        """A field of the same shape, not filled."""
        return Field(
            np.empty_like(self.target),
            np.empty_like(self.turn),
            np.empty_like(self.mirrored),
            np.empty_like(self.score),
        )


def no_matches(shape: tuple[int, ...]) -> Field:
    """A field (h, w) in which no point has a match."""
    return Field(
        np.full(shape, -1, np.int32),
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.bool_),
        np.zeros(shape, np.int32),
    )
