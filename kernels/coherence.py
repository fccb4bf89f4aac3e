"""Where a field of matches agrees with itself: neighbours that one local map explains.

The error of the local affine fit tells copies from chance (Cozzolino, Poggi, Verdoliva, "Efficient
dense-field copy-move forgery detection", TIFS 2015); here it is fitted to those neighbours that the
point's own turn already explains, as least squares with a pull towards that turn.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from kernels.field import COSINES, FIELD, SCALE, SINES, Field
from kernels.jit import kernel


@kernel(f"void({FIELD}, int64, float64, int32, int32[:, ::1])", parallel=True)
def _agreeing(
    target: NDArray[np.int32],
    turns: NDArray[np.uint8],
    mirrored: NDArray[np.bool_],
    score: NDArray[np.int32],
    reach: int,
    tolerance: float,
    worth: int,
    count: NDArray[np.int32],
) -> None:
    height, width = target.shape
    for loop in prange(height):
        y = np.int64(loop)
        for x in range(width):
            count[y, x] = 0
            if target[y, x] < 0 or score[y, x] < worth:
                continue
            c, s = COSINES[turns[y, x]], SINES[turns[y, x]]
            flip = -1.0 if mirrored[y, x] else 1.0
            gx, gy = target[y, x] % width, target[y, x] // width
            total = 0
            for ny in range(max(0, int(y) - reach), min(height, int(y) + reach + 1)):
                for nx in range(max(0, x - reach), min(width, x + reach + 1)):
                    if score[ny, nx] < worth or mirrored[ny, nx] != mirrored[y, x]:
                        continue
                    u, v = float(nx - x), flip * (ny - y)
                    ex = gx + c * u - s * v - target[ny, nx] % width
                    ey = gy + s * u + c * v - target[ny, nx] // width
                    if ex * ex + ey * ey <= tolerance * tolerance:
                        total += 1
            count[y, x] = total


@kernel(
    f"void({FIELD}, int64[::1], int64, float64, int32, float64, float64[:, ::1], float64[::1])",
    parallel=True,
)
def _local_maps(
    target: NDArray[np.int32],
    turns: NDArray[np.uint8],
    mirrored: NDArray[np.bool_],
    score: NDArray[np.int32],
    points: NDArray[np.int64],
    reach: int,
    tolerance: float,
    worth: int,
    pull: float,
    maps: NDArray[np.float64],
    error: NDArray[np.float64],
) -> None:
    height, width = target.shape
    for loop in prange(points.size):
        n = np.int64(loop)
        x, y = points[n] % width, points[n] // width
        c, s = COSINES[turns[y, x]], SINES[turns[y, x]]
        flip = -1.0 if mirrored[y, x] else 1.0
        gx, gy = float(target[y, x] % width), float(target[y, x] // width)
        ma, mb, mc, md = c, -s * flip, s, c * flip
        rms = math.inf
        for _ in range(2):
            # Sums over those that agree: offsets, their residuals, and the products of both.
            count = su = sv = sp = sq = 0.0
            suu = suv = svv = spu = spv = squ = sqv = spp = 0.0
            for ny in range(max(0, y - reach), min(height, y + reach + 1)):
                for nx in range(max(0, x - reach), min(width, x + reach + 1)):
                    if score[ny, nx] < worth or mirrored[ny, nx] != mirrored[y, x]:
                        continue
                    u, v = float(nx - x), float(ny - y)
                    p = target[ny, nx] % width - (gx + ma * u + mb * v)
                    q = target[ny, nx] // width - (gy + mc * u + md * v)
                    if p * p + q * q > tolerance * tolerance:
                        continue
                    count += 1.0
                    su += u
                    sv += v
                    sp += p
                    sq += q
                    suu += u * u
                    suv += u * v
                    svv += v * v
                    spu += p * u
                    spv += p * v
                    squ += q * u
                    sqv += q * v
                    spp += p * p + q * q
            if count < 3.0:
                break
            suu += pull - su * su / count
            svv += pull - sv * sv / count
            suv -= su * sv / count
            spu -= sp * su / count
            spv -= sp * sv / count
            squ -= sq * su / count
            sqv -= sq * sv / count
            determinant = suu * svv - suv * suv
            da = (spu * svv - spv * suv) / determinant
            db = (spv * suu - spu * suv) / determinant
            dc = (squ * svv - sqv * suv) / determinant
            dd = (sqv * suu - squ * suv) / determinant
            ma += da
            mb += db
            mc += dc
            md += dd
            gx += (sp - da * su - db * sv) / count
            gy += (sq - dc * su - dd * sv) / count
            rms = math.sqrt(spp / count)
        maps[n, 0], maps[n, 1] = x, y
        maps[n, 2], maps[n, 3] = gx, gy
        maps[n, 4], maps[n, 5], maps[n, 6], maps[n, 7] = ma, mb, mc, md
        error[n] = rms


def _least(worth: float) -> int:
    """The least score that counts: above that of points without a match."""
    return max(1, int(worth * SCALE))


def agreeing(
    field: Field, *, reach: int = 4, tolerance: float = 1.5, worth: float = 0.8
) -> NDArray[np.int32]:
    """How many points around each one lie where its own map says.

    Args:
        reach: points to each side that are looked at; a point counts itself.
        tolerance: grid points that a neighbour's goal may lie off.
        worth: similarity under which a point does not count.

    Returns:
        int32 (h, w), 0 where a point has no worthy match.
    """
    count = np.empty(field.target.shape, np.int32)
    _agreeing(*field.parts(), reach, tolerance, _least(worth), count)
    return count


def local_maps(
    field: Field,
    points: NDArray[np.int64],
    *,
    reach: int = 4,
    tolerance: float = 1.5,
    worth: float = 0.8,
    pull: float = 10.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Affine maps fitted to the neighbours that agree with each point.

    Args:
        points: int64 (n,), row * w + column, each with a match.
        reach, tolerance, worth: as in `agreeing`.
        pull: how strongly a map is held to its point's own turn, in squared grid points: it decides
            where few neighbours agree, and hardly matters where many do.

    Returns:
        float64 (n, 8) in grid points: x, y, x and y of the copy, and the 2x2 map of offsets row by
        row, as in `kernels.correlate.refine`; float64 (n,), the root mean square error before the
        last step, in grid points.
    """
    maps = np.empty((points.size, 8))
    error = np.empty(points.size)
    _local_maps(*field.parts(), points, reach, tolerance, _least(worth), pull, maps, error)
    return maps, error
