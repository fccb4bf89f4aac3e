"""How alike two bands of a blot are, beyond what all bands have in common.

Bands are alike by nature: stripes of one protein, run side by side. What two of them never share is
the fine course of their outline and the grain in them, so likeness is measured there too, after the
best shift, scale, pose, gain and offset.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Window, correlation_inside, warp_into
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.lanes import Band

_RIVALS = (8, 16)
ALIKE = np.array([-11.37, 1.02, 0.09, 0.0, 0.78, -0.92, 0.36, 0.82])
"""Intercept and weights of `likeness`, by logistic regression
(`python -m bench.blots --fit --forgeries 90 --largest 1500000`)."""
AMONG = np.array([-0.91, 1.19, -0.4])
"""Intercept, weight of the pair, weight of its rivals; likewise."""
_REACH_X, _REACH_Y = 2.0, 2.2
"""Half the size of a band in standard deviations of its mass; 1.73 for an even one."""


def extent_of(band: Band) -> tuple[float, float]:
    """Half the width and half the height of a band, in pixels."""
    return _REACH_X * band.spread_x + 1.0, _REACH_Y * band.spread_y + 1.0


def box_of(band: Band, margin: float, bounds: Window) -> Window:
    """The box of a band, `margin` times its size, cut at its panel."""
    half_x, half_y = extent_of(band)
    return Window(
        max(bounds.left, int(np.floor(band.x - margin * half_x))),
        max(bounds.top, int(np.floor(band.y - margin * half_y))),
        min(bounds.right, int(np.ceil(band.x + margin * half_x)) + 1),
        min(bounds.bottom, int(np.ceil(band.y + margin * half_y)) + 1),
    )


EVIDENCE = ("shape", "detail", "texture", "grain", "residual", "contrast", "log_area")
"""What `likeness` measures, in order."""


def likeness(views: Bands, band: Band, affine: Affine, panel: Window) -> NDArray[np.float64] | None:
    """How alike a band and what a map says is its copy are, float64 (len(EVIDENCE),).

    - shape: correlation of the smoothed image, that is of profile and outline;
    - detail: the same of its finer course, between a quarter and two thirds of its spread;
    - texture: between 1.2 and 3 px, every place with the same weight, so that edges do not decide;
    - grain: texture between 0.6 and 1.6 px;
    - residual: what is left after gain and offset, against the noise (logarithm);
    - contrast: of the band, against the noise (logarithm);
    - log_area: of the box, in pixels.

    Correlations are Fisher-transformed. None where most of the copy would lie outside the image.
    """
    window = box_of(band, 1.1, panel)
    # A rim for the filters, which are applied after the warp and see both sides alike.
    wide = window.grown(6, views.shape)
    here = np.ascontiguousarray(wide.cut(views.smooth))
    there = warp_into(views.smooth, affine, wide)
    inside = np.zeros(here.shape, bool)
    inside[
        window.top - wide.top : window.bottom - wide.top,
        window.left - wide.left : window.right - wide.left,
    ] = True
    known = np.isfinite(there)
    if np.count_nonzero(inside & known) < 0.7 * np.count_nonzero(inside):
        return None
    inside &= known
    there = np.where(known, there, np.float32(there[known].mean())).astype(np.float32)
    texture, texture_there = (_between(image, 1.2, 3.0) for image in (here, there))
    fine = max(1.2, 0.25 * band.spread_y)
    detail, detail_there = (_between(image, fine, 2.5 * fine) for image in (here, there))
    grain = np.ascontiguousarray(wide.cut(views.middle))
    grain_there = np.nan_to_num(warp_into(views.middle, affine, wide))
    floor = 0.2 * views.noise

    p, q = here[inside].astype(np.float64), there[inside].astype(np.float64)
    p, q = p - p.mean(), q - q.mean()
    energy = float(q @ q)
    gain = max(float(p @ q) / energy, 0.0) if energy > 1e-6 else 0.0
    residual = float(np.sqrt(np.mean((p - gain * q) ** 2)))
    return np.array(
        [
            _fisher(correlation_inside(here, there, inside)),
            _fisher(correlation_inside(detail, detail_there, inside)),
            _fisher(
                correlation_inside(_evened(texture, floor), _evened(texture_there, floor), inside)
            ),
            _fisher(correlation_inside(_evened(grain, floor), _evened(grain_there, floor), inside)),
            np.log((residual + 0.05) / views.noise),
            np.log((float(p.std()) + 0.05) / views.noise),
            np.log(float(np.count_nonzero(inside))),
        ]
    )


def _between(image: FloatImage, fine: float, coarse: float) -> FloatImage:
    """Band-pass between two Gaussian scales, in pixels."""
    return np.asarray(
        cv2.GaussianBlur(image, (0, 0), fine, borderType=cv2.BORDER_REFLECT_101)
        - cv2.GaussianBlur(image, (0, 0), coarse, borderType=cv2.BORDER_REFLECT_101),
        np.float32,
    )


def _evened(image: FloatImage, floor: float) -> FloatImage:
    """A band-pass divided by its own strength around every pixel, at least `floor`."""
    power = cv2.boxFilter(image * image, cv2.CV_32F, (7, 7), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(image / np.sqrt(np.maximum(power, 0) + np.float32(floor * floor)), np.float32)


def _fisher(correlation: float) -> float:
    """Fisher's transform: differences near 1 are as telling as those near 0."""
    return float(np.arctanh(np.clip(correlation, -0.95, 0.9998)))


def alike(evidence: NDArray[np.float64]) -> float:
    """Evidence of a pair as log-odds that it is a copy."""
    return float(ALIKE[0] + ALIKE[1:] @ evidence)


def among_rivals(
    values: NDArray[np.float64], weights: NDArray[np.float64] = AMONG
) -> NDArray[np.float64]:
    """How much each of a figure's pairs stands out from the others, as log-odds.

    Args:
        values: float64 (n,), `alike` of all the pairs of a figure.
        weights: as in `AMONG`.

    Figures differ in how alike their bands are: a loading control is all one band. What counts is
    the level of the 9th to the 16th pair, which copies, being few, do not reach.
    """
    if values.size == 0:
        return values
    ordered = np.sort(values)[::-1]
    first, last = _RIVALS
    level = float(ordered[first:last].mean()) if values.size > first else float(ordered[-1])
    return np.asarray(weights[0] + weights[1] * values + weights[2] * level)
