"""Complex Zernike moments of the disc around every so manieth pixel, in 32 bytes a disc.

Zernike ("Beugungstheorie des Schneidenverfahrens", Physica 1934) moments of orders 1 to 6: turning
a disc by an angle t multiplies the moment of repetition m by exp(-i m t), and turning it over
conjugates it. So one set of numbers compares two discs under every rotation and reflection
(`kernels.patchmatch`); their magnitudes change under neither (Teague, "Image analysis via the
general theory of moments", JOSA 1980).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel

PAIRS = (
    (2, 0), (4, 0), (6, 0), (1, 1), (3, 1), (5, 1), (2, 2), (4, 2), (6, 2), (3, 3), (5, 3), (4, 4),
    (6, 4), (5, 5), (6, 6),
)  # fmt: skip
"""Order n and repetition m of each moment. (0, 0), the mean, is left out: brightness has no say."""

LANES = 16
"""Moments and one spare: what a machine adds at once."""

REPETITION = np.array([m for _, m in PAIRS] + [0], np.int64)
"""Of each moment, int64 (LANES,); the spare has none."""

FULL = 127
"""Norm of a disc's code vector."""

_IMAGINARY = 1


@dataclass(frozen=True, slots=True)
class Moments:
    """Zernike moments on a grid.

    Attributes:
        codes: int8 (h, w, 2 * LANES), C-contiguous: real parts in the order of `PAIRS`, a spare 0,
            imaginary parts likewise; scaled so that each vector's norm is about `FULL`, zeros where
            a disc is constant.
        energy: float32 (h, w): sum of the squared weighted moments, in squared grey levels.
        radius: of the discs; the first grid point is the pixel (radius, radius).
        stride: pixels from one grid point to the next.
    """

    codes: NDArray[np.int8]
    energy: NDArray[np.float32]
    radius: int
    stride: int


def radial(n: int, m: int, rho: NDArray[np.float64]) -> NDArray[np.float64]:
    """The radial polynomial of Zernike's order n and repetition m at 0 <= rho <= 1."""
    total = np.zeros_like(rho)
    for k in range((n - m) // 2 + 1):
        coefficient = (
            (-1) ** k
            * math.factorial(n - k)
            / (
                math.factorial(k)
                * math.factorial((n + m) // 2 - k)
                * math.factorial((n - m) // 2 - k)
            )
        )
        total += coefficient * rho ** (n - 2 * k)
    return total


def basis(radius: int, lift: float = 0.0) -> NDArray[np.float64]:
    """The filters, float64 (2, len(PAIRS), 2 * radius + 1, 2 * radius + 1): real, imaginary parts.

    Those of repetition 0 have no imaginary part. Each is of zero sum on the discrete disc, so that
    a constant added to the image changes nothing, and of mean square 1 / (pixels of the disc)
    (both parts together), so that moments are in grey levels.

    Args:
        radius: of the disc, in pixels; its rim lies half a pixel further out.
        lift: filters of order n are multiplied by n ** lift. Images have most of their contrast in
            the lowest orders, and most of what tells one disc from another in the higher.
    """
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    rho = np.hypot(x, y) / (radius + 0.5)
    inside = rho <= 1.0
    angle = np.arctan2(y, x)
    filters = np.zeros((2, len(PAIRS), *inside.shape))
    for index, (n, m) in enumerate(PAIRS):
        profile = np.where(inside, radial(n, m, np.minimum(rho, 1.0)), 0.0)
        parts = (profile * np.cos(m * angle), -profile * np.sin(m * angle))
        for part, values in enumerate(parts):
            filters[part, index] = np.where(inside, values - values[inside].mean(), 0.0)
        if m == 0:
            filters[_IMAGINARY, index] = 0.0
        norm = math.sqrt((filters[:, index] ** 2).sum() * np.count_nonzero(inside))
        filters[:, index] *= n**lift / norm
    return filters


@kernel(
    "void(float32[:, :, ::1], float32[:, :, ::1], int64[::1], int64, int64, int8[:, :, ::1],"
    " float32[:, ::1])",
    parallel=True,
)
def _describe(
    folded: NDArray[np.float32],
    weights: NDArray[np.float32],
    symmetry: NDArray[np.int64],
    radius: int,
    stride: int,
    codes: NDArray[np.int8],
    energy: NDArray[np.float32],
) -> None:
    height, width = energy.shape
    moments = weights.shape[0]
    half = moments // 2
    for turn in prange(height):
        row = np.int64(turn)
        middle = row * stride + radius
        sums = np.zeros((moments, width), np.float32)
        quadrants = np.empty((4, width), np.float32)
        for dy in range(radius + 1):
            up, down = middle - dy, middle + dy
            for dx in range(radius + 1):
                # Every filter is even or odd along x and along y: four pixels, one weight.
                left, right = radius - dx, radius + dx
                a = folded[up, left % stride, left // stride :]
                b = folded[up, right % stride, right // stride :]
                c = folded[down, left % stride, left // stride :]
                d = folded[down, right % stride, right // stride :]
                for j in range(width):
                    quadrants[0, j] = (a[j] + b[j]) + (c[j] + d[j])  # even, even
                    quadrants[1, j] = (b[j] - a[j]) + (d[j] - c[j])  # odd in x
                    quadrants[2, j] = (c[j] + d[j]) - (a[j] + b[j])  # odd in y
                    quadrants[3, j] = (d[j] - c[j]) - (b[j] - a[j])  # odd in both
                for k in range(moments):
                    weight = weights[k, dy, dx]
                    if weight != 0.0:
                        total = sums[k]
                        values = quadrants[symmetry[k]]
                        for j in range(width):
                            total[j] += weight * values[j]
        for j in range(width):
            squares = np.float32(0.0)
            for k in range(moments):
                squares += sums[k, j] * sums[k, j]
            energy[row, j] = squares
            scale = np.float32(0.0)
            if squares > 1e-6:
                scale = np.float32(FULL) / np.float32(math.sqrt(squares))
            for k in range(half):
                codes[row, j, k] = np.int8(round(sums[k, j] * scale))
                codes[row, j, LANES + k] = np.int8(round(sums[half + k, j] * scale))
            codes[row, j, half] = 0
            codes[row, j, LANES + half] = 0


def _quadrant(filters: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The lower right quadrant of each filter, and which of the four symmetries it has.

    Filters: float64 (k, 2r + 1, 2r + 1). A weight on an axis counts for two pixels, that in the
    middle for four, since the sum over quadrants meets them so often.
    """
    radius = filters.shape[1] // 2
    quadrant = filters[:, radius:, radius:].copy()
    quadrant[:, 0, :] /= 2.0
    quadrant[:, :, 0] /= 2.0
    odd_x = np.abs(filters + filters[:, :, ::-1]).sum(axis=(1, 2)) < 1e-9
    odd_y = np.abs(filters + filters[:, ::-1, :]).sum(axis=(1, 2)) < 1e-9
    empty = np.abs(filters).sum(axis=(1, 2)) == 0.0
    symmetry = np.where(empty, 0, odd_x + 2 * odd_y).astype(np.int64)
    return np.ascontiguousarray(quadrant, np.float32), symmetry


def grid_shape(shape: tuple[int, int], radius: int, stride: int) -> tuple[int, int]:
    """Rows and columns of grid points whose discs lie inside an image of (H, W)."""
    rows, columns = (max(0, (side - 2 * radius - 1) // stride + 1) for side in shape)
    return rows, columns


def describe(
    image: NDArray[np.float32], *, radius: int, stride: int = 1, lift: float = 0.0
) -> Moments:
    """The Zernike moments of the discs around every `stride`-th pixel both ways.

    Args:
        image: float32 (H, W), in grey levels.
        radius: of the discs, in pixels.
        stride: pixels between grid points.
        lift: see `basis`.

    Returns:
        Moments of all discs that lie inside the image.

    Raises:
        ValueError: not such an image, or a radius or stride under 1.
    """
    if image.ndim != 2 or image.dtype != np.float32:
        raise ValueError(f"an image is float32 (H, W). Got: {image.dtype} {image.shape}")
    if radius < 1 or stride < 1:
        raise ValueError(f"radius and stride are at least 1. Got: {radius} and {stride}")
    rows, columns = grid_shape((image.shape[0], image.shape[1]), radius, stride)
    if not rows or not columns:
        rows = columns = 0
    codes = np.zeros((rows, columns, 2 * LANES), np.int8)
    energy = np.zeros((rows, columns), np.float32)
    if rows:
        filters = basis(radius, lift).reshape(-1, 2 * radius + 1, 2 * radius + 1)
        weights, symmetry = _quadrant(filters)
        _describe(_folded(image, stride), weights, symmetry, radius, stride, codes, energy)
    return Moments(codes, energy, radius, stride)


def _folded(image: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Columns by remainder, float32 (H, stride, columns): grid neighbours lie side by side."""
    height, width = image.shape
    columns = -(-width // stride)
    padded = np.zeros((height, columns * stride), np.float32)
    padded[:, :width] = image
    return np.ascontiguousarray(padded.reshape(height, columns, stride).transpose(0, 2, 1))


@kernel("void(int8[:, ::1], float32[::1], int64[::1], uint8[:, ::1])", parallel=True)
def _invariants(
    codes: NDArray[np.int8],
    energy: NDArray[np.float32],
    points: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    for turn in prange(points.size):
        n = np.int64(turn)
        code = codes[points[n]]
        for k in range(LANES - 1):
            re, im = np.float32(code[k]), np.float32(code[LANES + k])
            if REPETITION[k] == 0:
                out[n, k] = np.uint8(128 + code[k])
            else:
                out[n, k] = np.uint8(round(np.sqrt(re * re + im * im)))
        # A contrast changed by a fifth moves it by 4, as little as noise moves a magnitude.
        level = 64.0 + 8.0 * np.log2(energy[points[n]] + 1e-3)
        out[n, LANES - 1] = np.uint8(min(max(level, 0.0), 255.0))


def invariants(moments: Moments, points: NDArray[np.int64]) -> NDArray[np.uint8]:
    """What neither a turn nor a reflection changes, for some points.

    Args:
        points: int64 (n,), row * w + column on the grid.

    Returns:
        uint8 (n, LANES): the magnitudes of the moments in the order of `PAIRS`, those of repetition
        0 with their sign and 128 added; last 64 + 8 log2 of the energy.
    """
    out = np.empty((points.size, LANES), np.uint8)
    _invariants(moments.codes.reshape(-1, 2 * LANES), moments.energy.ravel(), points, out)
    return out
