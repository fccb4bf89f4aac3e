"""Fit a map to the whole of a copied region, to a small fraction of a pixel.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004,
section 3.2) over the pixels of a mask, with gain and offset free, and with weights that leave out
pixels that do not agree: one that was not copied would pull the map towards itself.
"""

from __future__ import annotations

import cv2
import numpy as np

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Window
from forgecli.match.bands import FloatImage
from kernels.region_fit import fit_affine

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
    rows, columns = np.nonzero(inside)
    x, y = columns + float(window.left), rows + float(window.top)
    there = affine[:, :2] @ (x, y) + affine[:, 2:]
    known = (there >= -0.5).all(axis=0)
    known &= (there[0] <= image.shape[1] - 0.5) & (there[1] <= image.shape[0] - 0.5)
    if not known.all():
        rows, columns, x, y = rows[known], columns[known], x[known], y[known]
    if rows.size > _MOST_PIXELS:
        every = -(-rows.size // _MOST_PIXELS)
        rows, columns, x, y = rows[::every], columns[::every], x[::every], y[::every]
    if rows.size < _FEWEST_PIXELS:
        return None
    here = np.ascontiguousarray(window.cut(image))
    middle = np.array([x.mean(), y.mean()])
    u, v = x - middle[0], y - middle[1]
    size = max(float(np.abs(u).max()), float(np.abs(v).max()), 1.0)
    u, v = u / size, v / size
    gx = cv2.Sobel(here, cv2.CV_64F, 1, 0, ksize=3, scale=1 / 8)[rows, columns]
    gy = cv2.Sobel(here, cv2.CV_64F, 0, 1, ksize=3, scale=1 / 8)[rows, columns]
    derivatives = np.stack((gx * u, gx * v, gx, gy * u, gy * v, gy))
    template = here[rows, columns].astype(np.float64)
    places = np.stack((u, v))

    to_image = np.array([[size, 0.0, middle[0]], [0.0, size, middle[1]], [0.0, 0.0, 1.0]])
    start = np.vstack((affine, (0.0, 0.0, 1.0))) @ to_image  # from the region's units to the copy
    fitted = fit_affine(
        image, places, template, derivatives, np.ascontiguousarray(start[:2]),
        size=size, steps=steps, still=_STILL,
    )  # fmt: skip
    if fitted is None:
        return None
    u_from = np.linalg.inv(to_image)
    found: Affine = (np.vstack((fitted, (0.0, 0.0, 1.0))) @ u_from)[:2]
    return found
