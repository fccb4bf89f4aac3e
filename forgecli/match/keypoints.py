"""RootSIFT keypoints of faint texture, in original and in mirrored form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage
from forgecli.match.settings import MatchSettings

_ROOM = 1.1
"""Keypoints that are described for each that is kept, where there are more than are kept."""

_CELLS, _ANGLES = 4, 8
MIRROR = np.array(
    [
        ((_CELLS - 1 - row) * _CELLS + column) * _ANGLES + (_ANGLES - angle) % _ANGLES
        for row in range(_CELLS)
        for column in range(_CELLS)
        for angle in range(_ANGLES)
    ]
)
"""Which entry of a descriptor is each entry of its mirrored form: turning a patch over across its
own orientation reverses the rows of cells and every angle."""
NEGATIVE = np.array(
    [
        ((_CELLS - 1 - row) * _CELLS + _CELLS - 1 - column) * _ANGLES + angle
        for row in range(_CELLS)
        for column in range(_CELLS)
        for angle in range(_ANGLES)
    ]
)
"""The same for the keypoint of the image's negative, which lies where it did, turned by half a
turn: its gradients and its own orientation point the other way, and so the cells change places."""


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Keypoints of one image, in pixels of the input.

    Attributes:
        points: float64 (n, 2), x and y.
        sizes: float64 (n,), SIFT's diameters.
        angles: float64 (n,), radians.
        descriptors: float32 (n, 128), unit length: RootSIFT (Arandjelovic and
            Zisserman, CVPR 2012).
    """

    points: NDArray[np.float64]
    sizes: NDArray[np.float64]
    angles: NDArray[np.float64]
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    def mirrored(self) -> NDArray[np.float32]:
        """The descriptors that the mirrored image would have, without computing them again."""
        return self.descriptors[:, MIRROR]


def find_keypoints(grey: FloatImage, usable: Mask, settings: MatchSettings) -> Keypoints:
    """The strongest keypoints of a grey image.

    Args:
        grey: float32 (H, W), 0 to 255.
        usable: bool (H, W); keypoints elsewhere are left out.
        settings: thresholds and how many.
    """
    image, factor = enlarged(grey, settings)
    # One call for all builds one pyramid. SIFT limits the number before it looks at the mask, so
    # the limit leaves room for what lies elsewhere.
    share = max(float(usable.mean()) if usable.size else 0.0, 0.2)
    most = most_keypoints(grey.shape, settings)
    sift = cv2.SIFT.create(
        nfeatures=int(_ROOM * most / share),
        nOctaveLayers=3,
        contrastThreshold=settings.contrast_threshold,
        edgeThreshold=settings.edge_threshold,
        sigma=1.6,
    )
    size = (image.shape[1], image.shape[0])
    allowed = cv2.resize(usable.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    found, descriptors = sift.detectAndCompute(image, allowed)
    # The two ends of a copy have the same response: a limit by response keeps or drops both.
    if len(found) > most:
        strength = np.array([point.response for point in found])
        strongest = np.argsort(-strength, kind="stable")[:most]
        found, descriptors = [found[n] for n in strongest], descriptors[strongest]
    return root_sift(found, descriptors, factor)


def most_keypoints(shape: tuple[int, ...], settings: MatchSettings) -> int:
    """How many keypoints are kept of an image: more of one over a megapixel, by the root of its
    area. All against all costs the square, so that a pixel costs the same then."""
    megapixels = shape[0] * shape[1] / 1e6
    return int(settings.max_keypoints * max(1.0, math.sqrt(megapixels)))


def root_sift(
    found: Sequence[cv2.KeyPoint], descriptors: NDArray[Any] | None, factor: float
) -> Keypoints:
    """SIFT's keypoints and descriptors, float32 (n, 128), of an image resized by a factor."""
    if not found or descriptors is None:
        return Keypoints(np.empty((0, 2)), np.empty(0), np.empty(0), np.empty((0, 128), np.float32))
    table = np.array([(*point.pt, point.size, point.angle) for point in found], np.float64)
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return Keypoints(
        points=np.ascontiguousarray((table[:, :2] + 0.5) / factor - 0.5),
        sizes=table[:, 2] / factor,
        angles=np.deg2rad(table[:, 3]),
        descriptors=np.sqrt(descriptors / total).astype(np.float32),
    )


def enlarged(grey: FloatImage, settings: MatchSettings) -> tuple[NDArray[np.uint8], float]:
    """The image that keypoints are sought in, uint8, and how many times it is enlarged: a half is
    reduced."""
    factor = upscale_factor(grey.shape, settings)
    stretched = _stretch(grey)
    if factor == 1:
        return _levels(stretched), factor
    how = cv2.INTER_CUBIC
    if factor < 1:
        # Made even, so that every pixel is the mean of four, and points keep their places.
        odd = [side % 2 for side in grey.shape]
        stretched = np.pad(stretched, ((0, odd[0]), (0, odd[1])), mode="edge")
        how = cv2.INTER_AREA
    resized = cv2.resize(stretched, None, fx=factor, fy=factor, interpolation=how)
    return _levels(np.asarray(resized, np.float32)), factor


def upscale_factor(shape: tuple[int, ...], settings: MatchSettings) -> float:
    """How many times an image is enlarged before its keypoints are sought; 0.5 for a large one."""
    long_side = max(shape[0], shape[1], 1)
    if long_side > settings.halve_above:
        return 0.5
    return float(max(1, min(settings.max_upscale, -(-settings.upscale_below // long_side))))


def _levels(image: FloatImage) -> NDArray[np.uint8]:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _stretch(grey: FloatImage) -> FloatImage:
    """Grey levels stretched to 0..255 between their outermost 0.2 %: faint images are common."""
    low, high = np.percentile(grey[::3, ::3], (0.2, 99.8))
    scale = 255.0 / max(float(high - low), 1.0)
    return np.asarray(np.clip((grey - np.float32(low)) * np.float32(scale), 0, 255), np.float32)
