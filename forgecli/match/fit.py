"""Fit a map to the whole of a copied region, to a small fraction of a pixel.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004,
section 3.2) over the pixels of a mask, with gain and offset free, and with weights that leave out
pixels that do not agree: one that was not copied would pull the map towards itself.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Window, warp_into
from forgecli.match.bands import FloatImage

Values = NDArray[np.float64]

_FEWEST_PIXELS = 24
_MOST_PIXELS = 20_000
"""More do not make six numbers any better known."""
_STILL = 0.01
"""Pixels that the furthest corner moves in a step after which the fit is done."""


def fit_map(
    image: FloatImage, affine: Affine, window: Window, inside: Mask, *, steps: int
) -> Affine | None:
    """The affine map under which the image best agrees with its warp on a mask.

    Args:
        image: float32 (H, W).
        affine: float64 (2, 3), the map to start from, within about two pixels of the truth.
        window: the mask's place.
        inside: bool (window.height, window.width), the pixels that count.
        steps: at most so many Gauss-Newton steps.

    Returns:
        The map, float64 (2, 3); None where the region holds too little to tell, or where it gets
        lost.
    """
    inside = _thinned(inside & np.isfinite(warp_into(image, affine, window)))
    rows, columns = np.nonzero(inside)
    if rows.size < _FEWEST_PIXELS:
        return None
    here = np.ascontiguousarray(window.cut(image))
    template = here[inside].astype(np.float64)

    # Offsets from the region's middle in units of its size: then each of the six parameters is
    # about the pixels by which it moves the region's edge.
    middle = np.array([columns.mean() + window.left, rows.mean() + window.top])
    u = columns + window.left - middle[0]
    v = rows + window.top - middle[1]
    size = max(float(np.abs(u).max()), float(np.abs(v).max()), 1.0)
    u, v = u / size, v / size
    gx = cv2.Sobel(here, cv2.CV_64F, 1, 0, ksize=3, scale=1 / 8)[inside]
    gy = cv2.Sobel(here, cv2.CV_64F, 0, 1, ksize=3, scale=1 / 8)[inside]
    steepest = np.stack((gx * u, gx * v, gx, gy * u, gy * v, gy))  # (6, n)

    to_image = np.array([[size, 0.0, middle[0]], [0.0, size, middle[1]], [0.0, 0.0, 1.0]])
    from_image = np.linalg.inv(to_image)
    moved = np.vstack((affine, (0.0, 0.0, 1.0))) @ to_image  # from the region's units to the copy
    weight = np.ones(rows.size)
    for _ in range(steps):
        there = warp_into(image, (moved @ from_image)[:2], window)[inside].astype(np.float64)
        known = np.isfinite(there)
        there[~known] = 0.0
        error = _error(template, there, weight * known)
        if error is None:
            return None
        weight = _tukey(error, known)
        total = float(weight.sum())
        if total < 0.3 * rows.size:
            return None
        centred = steepest - (steepest @ weight / total)[:, None]  # brightness drops out
        weighted = centred * weight
        gram = weighted @ centred.T
        if np.linalg.cond(gram) > 1e6:
            return None
        p = np.linalg.solve(gram, weighted @ error)
        step = np.eye(3)
        step[:2] += p.reshape(2, 3) / size
        if np.linalg.det(step) < 0.2:
            return None
        moved = moved @ np.linalg.inv(step)
        if np.abs(p).sum() < _STILL:
            break
    fitted: Affine = (moved @ from_image)[:2]
    return fitted


def _error(template: Values, there: Values, weight: Values) -> Values | None:
    """What `there` differs by from the template once its gain and offset are taken out."""
    total = float(weight.sum())
    if total < _FEWEST_PIXELS:
        return None
    p = template - (weight @ template) / total
    q = there - (weight @ there) / total
    energy = float((weight * p) @ p)
    gain = float((weight * p) @ q) / energy if energy > 1e-6 * total else 0.0
    if gain < 0.1:  # turned into its negative, or nothing to compare
        return None
    return np.asarray(q / gain - p)


def _tukey(error: Values, known: Mask) -> Values:
    """Tukey's biweight: what is far from the bulk of the errors was not copied and has no say."""
    scale = max(1.4826 * float(np.median(np.abs(error[known]))), 0.1)
    reach = np.clip(error / (4.685 * scale), -1.0, 1.0)
    return np.asarray(np.where(known, (1.0 - reach * reach) ** 2, 0.0))


def _thinned(mask: Mask) -> Mask:
    """The mask with every so manieth pixel left, where it holds more than are needed."""
    count = int(np.count_nonzero(mask))
    if count <= _MOST_PIXELS:
        return mask
    thin = np.zeros_like(mask)
    flat = np.flatnonzero(mask)
    thin.ravel()[flat[:: -(-count // _MOST_PIXELS)]] = True
    return thin
