"""Fit an affine map to all pixels of a region, robust to pixels that do not agree.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004,
section 3.2), with gain and offset free, and Tukey's biweight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel
from kernels.region_pixels import Doubles

_FEWEST = 24.0
"""Weight below which a region does not tell."""
_LEAST_GAIN = 0.1
"""A copy of less contrast, or a negative of it, is lost."""
_LEAST_SHARE = 0.3
"""Share of a region that must agree."""
_WORST_CONDITION = 4e6
"""Bound on the trace of the Gram matrix times that of its inverse, which is one to 36 times the
condition number, and near the lower end where one direction is undecided."""
_TELLING = 1000
"""Pixels that tell how much most differ, to a few per cent: a median takes longer than the rest."""
_BLOCK = 256
"""Pixels whose seven rows of numbers are worked on at once."""


@kernel("void(float32[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1])")
def _sample(image: NDArray[np.float32], places: Doubles, affine: Doubles, there: Doubles) -> None:
    """What a map says stands at each place, bilinear; NaN further than half a pixel outside."""
    height, width = image.shape
    for n in range(there.size):
        x, y = places[0, n], places[1, n]
        px = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2]
        py = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2]
        # Asked this way round, NaN is outside too.
        if not (px >= -0.5 and py >= -0.5 and px <= width - 0.5 and py <= height - 0.5):
            there[n] = np.nan
            continue
        px = min(max(px, 0.0), width - 1.0)
        py = min(max(py, 0.0), height - 1.0)
        ix = min(int(px), max(width - 2, 0))
        iy = min(int(py), max(height - 2, 0))
        right, below = min(ix + 1, width - 1), min(iy + 1, height - 1)
        fx, fy = px - ix, py - iy
        top = image[iy, ix] + fx * (image[iy, right] - image[iy, ix])
        low = image[below, ix] + fx * (image[below, right] - image[below, ix])
        there[n] = top + fy * (low - top)


@kernel(
    "void(float64[:, ::1], float64[::1], float64, float64[::1], float64[:, ::1], float64[::1])",
    fastmath=True,
)
def _weighted_sums(
    derivatives: Doubles,
    weight: Doubles,
    total: float,
    error: Doubles,
    gram: Doubles,
    slope: Doubles,
) -> None:
    """Gram matrix of the derivatives about their weighted mean, and their products with the error.

    Block by block, whose rows stay in the first cache; one product after the other, of which the
    compiler makes vector instructions.
    """
    count = weight.size
    mean = np.zeros(6)
    for k in range(6):
        common = 0.0
        for n in range(count):
            common += weight[n] * derivatives[k, n]
        mean[k] = common / total
    gram[:] = 0.0
    slope[:] = 0.0
    rows = np.empty((6, _BLOCK))
    weighted = np.empty(_BLOCK)
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        for k in range(6):
            for n in range(size):
                rows[k, n] = derivatives[k, start + n] - mean[k]  # brightness drops out
        for k in range(6):
            common = 0.0
            for n in range(size):
                weighted[n] = weight[start + n] * rows[k, n]
                common += weighted[n] * error[start + n]
            slope[k] += common
            for other in range(k, 6):
                common = 0.0
                for n in range(size):
                    common += weighted[n] * rows[other, n]
                gram[k, other] += common
    for k in range(6):
        for other in range(k):
            gram[k, other] = gram[other, k]


@kernel(
    "boolean(float32[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1],"
    " float64[::1], float64[:, ::1], float64[::1])"
)
def _normal_equations(
    image: NDArray[np.float32],
    places: Doubles,
    template: Doubles,
    derivatives: Doubles,
    affine: Doubles,
    weight: Doubles,
    gram: Doubles,
    slope: Doubles,
) -> bool:
    count = template.size
    there = np.empty(count)
    _sample(image, places, affine, there)
    total = mean_here = mean_there = 0.0
    seen = 0
    for n in range(count):
        if there[n] == there[n]:
            seen += 1
            total += weight[n]
            mean_here += weight[n] * template[n]
            mean_there += weight[n] * there[n]
    if total < _FEWEST:
        return False
    mean_here /= total
    mean_there /= total
    energy = common = 0.0
    for n in range(count):
        if there[n] == there[n]:
            p = template[n] - mean_here
            energy += weight[n] * p * p
            common += weight[n] * p * (there[n] - mean_there)
    gain = common / energy if energy > 1e-6 * total else 0.0
    if gain < _LEAST_GAIN:
        return False
    every = (seen + _TELLING - 1) // _TELLING
    sizes = np.empty((seen + every - 1) // every)
    at = 0
    for n in range(count):
        if there[n] == there[n]:
            there[n] = (there[n] - mean_there) / gain - (template[n] - mean_here)
            if at % every == 0:
                sizes[at // every] = abs(there[n])
            at += 1
    reach = 4.685 * max(1.4826 * np.median(sizes), 0.1)
    total = 0.0
    for n in range(count):
        weight[n] = 0.0
        if there[n] == there[n] and abs(there[n]) < reach:
            share = there[n] / reach
            weight[n] = (1.0 - share * share) ** 2
            total += weight[n]
        else:
            there[n] = 0.0  # which a weight of 0 would not make of NaN
    if total < _LEAST_SHARE * count:
        return False
    _weighted_sums(derivatives, weight, total, there, gram, slope)
    return True


@kernel("boolean(float64[:, ::1], float64[::1], float64[::1])")
def _solve(gram: Doubles, slope: Doubles, p: Doubles) -> bool:
    """Solve symmetric positive definite equations, inverting the matrix in place by Gauss-Jordan;
    False where they decide too little."""
    trace = inverse_trace = 0.0
    for k in range(6):
        trace += gram[k, k]
    for k in range(6):
        pivot = gram[k, k]
        if not pivot > 1e-12 * trace:
            return False
        gram[k, k] = 1.0
        for j in range(6):
            gram[k, j] /= pivot
        for i in range(6):
            if i != k:
                factor = gram[i, k]
                gram[i, k] = 0.0
                for j in range(6):
                    gram[i, j] -= factor * gram[k, j]
    for k in range(6):
        inverse_trace += gram[k, k]
        p[k] = 0.0
        for j in range(6):
            p[k] += gram[k, j] * slope[j]
    return trace * inverse_trace <= _WORST_CONDITION


@kernel(
    "boolean(float32[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1],"
    " float64, int64, float64)"
)
def _fit_affine(
    image: NDArray[np.float32],
    places: Doubles,
    template: Doubles,
    derivatives: Doubles,
    affine: Doubles,
    size: float,
    steps: int,
    still: float,
) -> bool:
    weight = np.ones(template.size)
    gram, slope, p = np.empty((6, 6)), np.empty(6), np.empty(6)
    for _ in range(steps):
        if not _normal_equations(image, places, template, derivatives, affine, weight, gram, slope):
            return False
        if not _solve(gram, slope, p):
            return False
        # W <- W o W(p)^-1, in units of the region's size
        e, f, g, h = 1.0 + p[0] / size, p[1] / size, p[3] / size, 1.0 + p[4] / size
        det = e * h - f * g
        if det < 0.2:
            return False
        e, f, g, h = h / det, -f / det, -g / det, e / det
        x = -(e * p[2] + f * p[5]) / size
        y = -(g * p[2] + h * p[5]) / size
        moved = 0.0
        for k in range(2):
            a, b = affine[k, 0], affine[k, 1]
            affine[k, 2] += a * x + b * y
            affine[k, 0], affine[k, 1] = a * e + b * g, a * f + b * h
        for k in range(6):
            moved += abs(p[k])
        if moved < still:
            break
    return True


def normal_equations(
    image: NDArray[np.float32],
    places: Doubles,
    template: Doubles,
    derivatives: Doubles,
    affine: Doubles,
    weight: Doubles,
) -> tuple[Doubles, Doubles] | None:
    """The equations of one step, and new weights.

    The copy's gain and offset are fitted with the weights of the step before; what differs then
    gives the new weights, which are used in the equations.

    Args:
        image: float32 (H, W), C-contiguous.
        places: float64 (2, n): x and y of the region's pixels.
        template: float64 (n,): the image there.
        derivatives: float64 (6, n): of the template by the six numbers of the step.
        affine: float64 (2, 3): maps the places to the copy, as fitted so far.
        weight: float64 (n,), 0 to 1; ones at first. Written to.

    Returns:
        Gram matrix, float64 (6, 6), and right-hand side, float64 (6,); None where too few pixels
        are inside or agree, or where the copy has next to no contrast, or a negative one.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    _check(places, template, derivatives, affine)
    if weight.shape != template.shape:
        raise ValueError(f"weights are ({template.size},). Got: {weight.shape}")
    gram, slope = np.empty((6, 6)), np.empty(6)
    if not _normal_equations(image, places, template, derivatives, affine, weight, gram, slope):
        return None
    return gram, slope


def fit_affine(
    image: NDArray[np.float32],
    places: Doubles,
    template: Doubles,
    derivatives: Doubles,
    affine: Doubles,
    *,
    size: float,
    steps: int,
    still: float = 0.01,
) -> Doubles | None:
    """The affine map under which an image best agrees with its copy on a region.

    Args:
        image, places, template: as in `normal_equations`, but the places count from the region's
            middle in units of its size, so that each of a step's six numbers is about the pixels
            by which it moves the region's edge.
        derivatives: float64 (6, n): gx u, gx v, gx, gy u, gy v, gy, with u, v the places and
            gx, gy the template's derivatives by pixel.
        affine: float64 (2, 3), from those places to the copy's pixels: the map to start from.
        size: pixels to the places' unit.
        steps: at most so many Gauss-Newton steps.
        still: sum of a step's six numbers, without their signs, after which the fit is done.

    Returns:
        The map, float64 (2, 3), from those places to the copy's pixels; None where
        `normal_equations` gives none, or they do not decide six numbers, or the map collapses.

    Raises:
        ValueError: the arrays do not fit each other.
    """
    _check(places, template, derivatives, affine)
    fitted = np.array(affine, np.float64)
    if not _fit_affine(image, places, template, derivatives, fitted, size, steps, still):
        return None
    return fitted


def _check(places: Doubles, template: Doubles, derivatives: Doubles, affine: Doubles) -> None:
    count = template.size
    shapes = (places.shape, template.shape, derivatives.shape, affine.shape)
    if shapes != ((2, count), (count,), (6, count), (2, 3)):
        raise ValueError(f"arrays are (2, n), (n,), (6, n) and (2, 3). Got: {shapes}")
