"""Refine local affine matches inside one image and measure how well their patches agree.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004,
section 3.2) on patches normalised to zero mean and unit variance, so that a change of brightness or
contrast costs nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.jit import kernel

_PATCH = "float32[:, ::1], float64, float64, float64, float64, float64, float64"


@kernel("boolean(" + _PATCH + ", int64, float32[:, ::1])")
def _sample(
    image: NDArray[np.float32],
    a: float,
    b: float,
    c: float,
    d: float,
    x: float,
    y: float,
    radius: int,
    out: NDArray[np.float32],
) -> bool:
    """Bilinear samples at (x, y) + [[a, b], [c, d]] @ (u, v) for u, v in -radius..radius."""
    height, width = image.shape
    reach_x = (abs(a) + abs(b)) * radius
    reach_y = (abs(c) + abs(d)) * radius
    # Asked this way round, NaN is outside too.
    if not (x - reach_x >= 0.0 and y - reach_y >= 0.0):
        return False
    if not (x + reach_x < width - 1.001 and y + reach_y < height - 1.001):
        return False
    for v in range(-radius, radius + 1):
        for u in range(-radius, radius + 1):
            px = x + a * u + b * v
            py = y + c * u + d * v
            ix = int(px)
            iy = int(py)
            fx = np.float32(px - ix)
            fy = np.float32(py - iy)
            top = image[iy, ix] + fx * (image[iy, ix + 1] - image[iy, ix])
            low = image[iy + 1, ix] + fx * (image[iy + 1, ix + 1] - image[iy + 1, ix])
            out[v + radius, u + radius] = top + fy * (low - top)
    return True


@kernel("float64(float32[:, ::1])")
def _normalise(patch: NDArray[np.float32]) -> float:
    """Take mean and norm out of a patch in place; return its standard deviation."""
    n = patch.size
    mean = 0.0
    for value in patch.flat:
        mean += float(value)
    mean /= n
    energy = 0.0
    for value in patch.flat:
        energy += (float(value) - mean) ** 2
    if energy <= 1e-12:
        return 0.0
    scale = np.float32(1.0 / math.sqrt(energy))
    shift = np.float32(mean)
    for i in range(patch.shape[0]):
        for j in range(patch.shape[1]):
            patch[i, j] = (patch[i, j] - shift) * scale
    return math.sqrt(energy / n)


@kernel("boolean(float64[:, ::1])")
def _invert(h: NDArray[np.float64]) -> bool:
    """Invert a symmetric positive definite matrix in place by Gauss-Jordan; False if singular."""
    n = h.shape[0]
    for k in range(n):
        pivot = h[k, k]
        if pivot < 1e-9:
            return False
        h[k, k] = 1.0
        for j in range(n):
            h[k, j] /= pivot
        for i in range(n):
            if i != k:
                factor = h[i, k]
                h[i, k] = 0.0
                for j in range(n):
                    h[i, j] -= factor * h[k, j]
    return True


@kernel(
    "void(float32[:, ::1], float64[:, ::1], int64, int64, float64, float64[:, ::1], float32[::1],"
    " float32[::1])",
    parallel=True,
)
def _refine(
    image: NDArray[np.float32],
    matches: NDArray[np.float64],
    radius: int,
    steps: int,
    hopeless: float,
    refined: NDArray[np.float64],
    correlation: NDArray[np.float32],
    contrast: NDArray[np.float32],
) -> None:
    side = 2 * radius + 1
    for m in prange(matches.shape[0]):
        correlation[m] = -1.0
        contrast[m] = 0.0
        for k in range(8):
            refined[m, k] = matches[m, k]
        template = np.empty((side + 2, side + 2), np.float32)
        patch = np.empty((side, side), np.float32)
        inner = np.empty((side, side), np.float32)
        sx, sy = matches[m, 0], matches[m, 1]
        if not _sample(image, 1.0, 0.0, 0.0, 1.0, sx, sy, radius + 1, template):
            continue
        for i in range(side):
            for j in range(side):
                inner[i, j] = template[i + 1, j + 1]
        deviation = _normalise(inner)
        if deviation == 0.0:
            continue
        tx, ty = matches[m, 2], matches[m, 3]
        a, b, c, d = matches[m, 4], matches[m, 5], matches[m, 6], matches[m, 7]
        if not _sample(image, a, b, c, d, tx, ty, radius, patch):
            continue
        other = _normalise(patch)
        if other == 0.0:
            continue
        score = 0.0
        for i in range(side):
            for j in range(side):
                score += patch[i, j] * inner[i, j]
        correlation[m] = score
        contrast[m] = min(deviation, other)
        if score < hopeless:
            continue

        # Steepest-descent images of the template and the inverse of their Gram matrix.
        unit = 1.0 / (deviation * side)
        steepest = np.empty((6, side, side))
        gram = np.zeros((6, 6))
        for i in range(side):
            for j in range(side):
                gx = 0.5 * (template[i + 1, j + 2] - template[i + 1, j]) * unit
                gy = 0.5 * (template[i + 2, j + 1] - template[i, j + 1]) * unit
                u = float(j - radius)
                v = float(i - radius)
                steepest[0, i, j] = gx * u
                steepest[1, i, j] = gx * v
                steepest[2, i, j] = gx
                steepest[3, i, j] = gy * u
                steepest[4, i, j] = gy * v
                steepest[5, i, j] = gy
        # Zero-mean columns, so that brightness drops out of the fit as it does of the patches.
        for k in range(6):
            mean = 0.0
            for i in range(side):
                for j in range(side):
                    mean += steepest[k, i, j]
            mean /= side * side
            for i in range(side):
                for j in range(side):
                    steepest[k, i, j] -= mean
        for k in range(6):
            for other_k in range(k, 6):
                total = 0.0
                for i in range(side):
                    for j in range(side):
                        total += steepest[k, i, j] * steepest[other_k, i, j]
                gram[k, other_k] = total
                gram[other_k, k] = total
        for k in range(6):
            gram[k, k] *= 1.001
        if not _invert(gram):
            continue

        best = score
        slope = np.empty(6)
        for _ in range(steps):
            for k in range(6):
                slope[k] = 0.0
            for i in range(side):
                for j in range(side):
                    # The patch is scaled to the template's gain before they are compared.
                    error = patch[i, j] - inner[i, j]
                    for k in range(6):
                        slope[k] += steepest[k, i, j] * error
            p = np.zeros(6)
            for k in range(6):
                for other_k in range(6):
                    p[k] += gram[k, other_k] * slope[other_k]
            # W <- W o W(p)^-1
            e, f, g, h = 1.0 + p[0], p[1], p[3], 1.0 + p[4]
            det = e * h - f * g
            if abs(det) < 0.2 or abs(p[2]) > radius or abs(p[5]) > radius:
                break
            ie, jf, ig, ih = h / det, -f / det, -g / det, e / det
            ox = -(ie * p[2] + jf * p[5])
            oy = -(ig * p[2] + ih * p[5])
            tx += a * ox + b * oy
            ty += c * ox + d * oy
            a, b, c, d = a * ie + b * ig, a * jf + b * ih, c * ie + d * ig, c * jf + d * ih
            if not _sample(image, a, b, c, d, tx, ty, radius, patch):
                break
            other = _normalise(patch)
            if other == 0.0:
                break
            score = 0.0
            for i in range(side):
                for j in range(side):
                    score += patch[i, j] * inner[i, j]
            if score > best:
                best = score
                correlation[m] = score
                contrast[m] = min(deviation, other)
                refined[m, 2] = tx
                refined[m, 3] = ty
                refined[m, 4] = a
                refined[m, 5] = b
                refined[m, 6] = c
                refined[m, 7] = d
            move = abs(p[2]) + abs(p[5]) + radius * (abs(p[0]) + abs(p[1]) + abs(p[3]) + abs(p[4]))
            if move < 0.03:
                break


@kernel("void(float32[:, ::1], float64[:, ::1], int64, float32[::1])", parallel=True)
def _agreement(
    image: NDArray[np.float32],
    matches: NDArray[np.float64],
    radius: int,
    correlation: NDArray[np.float32],
) -> None:
    side = 2 * radius + 1
    for m in prange(matches.shape[0]):
        correlation[m] = -1.0
        first = np.empty((side, side), np.float32)
        second = np.empty((side, side), np.float32)
        if not _sample(image, 1.0, 0.0, 0.0, 1.0, matches[m, 0], matches[m, 1], radius, first):
            continue
        if not _sample(
            image,
            matches[m, 4],
            matches[m, 5],
            matches[m, 6],
            matches[m, 7],
            matches[m, 2],
            matches[m, 3],
            radius,
            second,
        ):
            continue
        if _normalise(first) == 0.0 or _normalise(second) == 0.0:
            continue
        total = 0.0
        for i in range(side):
            for j in range(side):
                total += first[i, j] * second[i, j]
        correlation[m] = total


def _check(matches: NDArray[np.float64]) -> None:
    if matches.ndim != 2 or matches.shape[1] != 8:
        raise ValueError(f"matches are (n, 8). Got: {matches.shape}")


def refine(
    image: NDArray[np.float32],
    matches: NDArray[np.float64],
    *,
    radius: int = 8,
    steps: int = 8,
    hopeless: float = 0.2,
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Move each local affine match to where its two patches agree best.

    Args:
        image: float32 (H, W), C-contiguous, usually a band-pass.
        matches: float64 (n, 8): x, y of the first point, x, y of the second, then the linear map
            a, b, c, d from offsets at the first to offsets at the second, row by row.
        radius: the patch is 2 * radius + 1 pixels wide at the first point.
        steps: at most so many Gauss-Newton steps.
        hopeless: matches that correlate less than this before the first step are left as they are.

    Returns:
        The matches with second point and map refined; the normalised correlation of each, float32,
        -1 where a patch leaves the image or is flat; the lower standard deviation of the two
        patches, float32, in the image's unit.

    Raises:
        ValueError: matches have not 8 columns.
    """
    _check(matches)
    refined = np.empty_like(matches)
    correlation = np.empty(len(matches), np.float32)
    contrast = np.empty(len(matches), np.float32)
    _refine(image, matches, radius, steps, hopeless, refined, correlation, contrast)
    return refined, correlation, contrast


def agreement(
    image: NDArray[np.float32], matches: NDArray[np.float64], *, radius: int = 8
) -> NDArray[np.float32]:
    """Normalised correlation of the two patches of each match, -1 where one leaves the image.

    Shapes and errors as in `refine`.
    """
    _check(matches)
    correlation = np.empty(len(matches), np.float32)
    _agreement(image, matches, radius, correlation)
    return correlation
