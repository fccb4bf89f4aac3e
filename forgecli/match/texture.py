"""How much a region's agreement is worth: of a smooth blob as much as of a few pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage

_FLAT = 0.01
"""Grey levels of standard deviation up to which a region is flat: what arithmetic leaves."""
_SURE = 0.9995
"""Correlation over which a region does not count as more alike."""


def independent_samples(image: FloatImage, inside: Mask) -> float:
    """How many independent samples the pixels of a region are worth, from 1 to their number.

    Neighbours are alike, so a correlation over n pixels of a texture scatters as one over fewer:
    over n divided by the sum of the texture's squared correlations with itself, moved by every
    distance (Clifford, Richardson and Hemon, Biometrics 1989, with the copy's texture taken for
    like the region's). By Parseval's theorem that sum is one over the squared power spectrum.

    Args:
        image: float32 (h, w), a band around the region.
        inside: bool (h, w), the region, of at least one pixel.

    Returns:
        1 of a region that is flat.
    """
    area = int(np.count_nonzero(inside))
    values = np.where(inside, image - image[inside].mean(), np.float32(0.0))
    energy = float(np.square(values).sum())
    if energy <= _FLAT**2 * area:
        return 1.0
    size = (cv2.getOptimalDFTSize(values.shape[0]), cv2.getOptimalDFTSize(values.shape[1]))
    spectrum = np.fft.rfft2(values, size)
    squared = np.square(spectrum.real**2 + spectrum.imag**2, dtype=np.float64)
    both = 2.0 * squared.sum() - squared[:, 0].sum()  # the half that is not kept mirrors the other
    if size[1] % 2 == 0:
        both -= squared[:, -1].sum()
    alike = both / (size[0] * size[1] * energy**2)
    return float(np.clip(area / alike, 1.0, area))


def information(correlation: float, samples: float) -> float:
    """How much better "the same content" explains what two regions share than chance does.

    The logarithm of the ratio of likelihoods of two normal variables that correlate, and of two
    that do not; 0 where they correlate negatively. At least 0, in nats.
    """
    share = min(max(correlation, 0.0), _SURE)
    return float(-0.5 * samples * np.log1p(-share * share))


def two_levels(grey: NDArray[np.float32]) -> float:
    """Share of the variance of grey levels that the best split into two levels explains.

    Near 1 for print, drawings and what was thresholded. Otsu's criterion (IEEE Trans. SMC 1979),
    of levels from 0 to 255, float32 (n,); 1 where all are the same.
    """
    counts = np.bincount(np.clip(np.rint(grey), 0, 255).astype(np.int64), minlength=256)
    levels, share = np.arange(256.0), counts / max(grey.size, 1)
    mean = float(share @ levels)
    variance = float(share @ (levels - mean) ** 2)
    if variance < 1e-6:
        return 1.0
    below, sums = np.cumsum(share), np.cumsum(share * levels)
    split = (below > 0.0) & (below < 1.0)
    between = (mean * below - sums)[split] ** 2 / (below * (1.0 - below))[split]
    return float(min(between.max() / variance, 1.0))
