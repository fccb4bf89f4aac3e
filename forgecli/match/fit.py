"""Fit a map to the whole of a copied region, to a small fraction of a pixel.

Inverse-compositional Gauss-Newton (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004,
section 3.2) over the pixels of a mask, with gain and offset free, and with weights that leave out
pixels that do not agree: one that was not copied would pull the map towards itself.
"""

from __future__ import annotations

import numpy as np

from forgecli.detection import Affine
from forgecli.match.agreement import Mask, Window
from forgecli.match.bands import FloatImage
from kernels.region_fit import fit_affine
from kernels.region_pixels import gather

_FEWEST_PIXELS = 24
_MOST_PIXELS = 6_000
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
        window: the mask's place, in the image as a whole.
        inside: bool (window.height, window.width), the pixels that count.
        steps: at most so many Gauss-Newton steps.

    Returns:
        The map, float64 (2, 3); None where the region holds too little to tell, or where it gets
        lost.

    Raises:
        ValueError: the window reaches out of the image.
    """
    region = gather(image, (window.left, window.top), inside, affine, most=_MOST_PIXELS)
    if region.template.size < _FEWEST_PIXELS:
        return None
    size = region.size
    to_image = np.array([[size, 0.0, region.x], [0.0, size, region.y], [0.0, 0.0, 1.0]])
    start = np.vstack((affine, (0.0, 0.0, 1.0))) @ to_image  # from the region's units to the copy
    fitted = fit_affine(
        image, region.places, region.template, region.derivatives,
        np.ascontiguousarray(start[:2]), size=size, steps=steps, still=_STILL,
    )  # fmt: skip
    if fitted is None:
        return None
    u_from = np.linalg.inv(to_image)
    found: Affine = (np.vstack((fitted, (0.0, 0.0, 1.0))) @ u_from)[:2]
    return found
