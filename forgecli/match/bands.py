"""The views of one image that the match detector compares: smoothed, low band, middle band."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]


def _blur(image: FloatImage, sigma: float) -> FloatImage:
    blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(blurred, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Bands:
    """Float32 (H, W) views of one image, C-contiguous, in grey levels.

    Attributes:
        grey: luma (ITU-R BT.601), 0 to 255.
        smooth: grey less its finest noise (Gaussian, sigma 0.8 px).
        low: band-pass from 1 to 6 px: shapes.
        middle: band-pass from 0.6 to 1.6 px: texture, in which copies agree and look-alikes do not.
        noise: standard deviation of the noise, in grey levels.
    """

    grey: FloatImage
    smooth: FloatImage
    low: FloatImage
    middle: FloatImage
    noise: float

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.grey.shape[0]), int(self.grey.shape[1])


def bands_of(pixels: NDArray[np.uint8]) -> Bands:
    """Split an RGB image, uint8 (H, W, 3), into the bands the detector works on."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return Bands(
        grey=grey,
        smooth=_blur(grey, 0.8),
        low=_blur(grey, 1.0) - _blur(grey, 6.0),
        middle=_blur(grey, 0.6) - _blur(grey, 1.6),
        noise=noise_level(grey),
    )


def noise_level(grey: FloatImage) -> float:
    """Standard deviation of the noise of a grey image, float32 (H, W).

    The mask of Immerkaer ("Fast noise variance estimation", CVIU 1996), which takes constants,
    ramps and edges out, with the median absolute deviation in place of the mean; flat pixels (of
    drawings, of clipped backgrounds) do not count. At least 0.3, which is what rounding makes.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel))
    response = response[response > 0]
    if response.size == 0:
        return 0.3
    return max(0.3, float(np.median(response)) / 0.6745 / 6.0)
