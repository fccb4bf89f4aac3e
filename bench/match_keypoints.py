"""Keypoint detectors of OpenCV beside SIFT as the match detector uses it.

Those of OpenCV 5 that need no weights. All are described by SIFT, so that what is compared is where
they look, and one comparison serves the mirrored form too. AKAZE, KAZE and BRISK left OpenCV's main
package with version 5; ALIKED and DISK came into it without their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage
from forgecli.match.keypoints import Keypoints, enlarged, find_keypoints, most_keypoints, root_sift
from forgecli.match.settings import MatchSettings

SIFT = "SIFT as it is"
_BLUR = 1.6
"""Of SIFT's first layer, in pixels; a keypoint's size is twice its standard deviation."""
_NEVER = 1_000_000
"""Pixels: no image is so long."""
_HARRIS_SIZES = (4.0, 6.4, 10.0, 16.0)

Pixels = NDArray[np.uint8]
Points = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]
"""What `described` takes, strongest first."""
Detector = Callable[[FloatImage, Mask, MatchSettings], Keypoints]


def described(
    image: Pixels,
    allowed: Pixels,
    points: NDArray[np.float64],
    sizes: NDArray[np.float64],
    angles: NDArray[np.float64] | None,
    most: int,
) -> Keypoints:
    """SIFT's descriptors, as RootSIFT, of points that something else has found.

    Args:
        image: uint8 (H, W).
        allowed: uint8 (H, W), 0 where no point may lie.
        points: (n, 2), strongest first. sizes: (n,), diameters.
        angles: (n,), degrees; None: of the gradient of the image blurred to the point's size
            (Brown, Szeliski, Winder, CVPR 2005).
        most: points kept.
    """
    at = np.clip(np.rint(points), 0, np.array(image.shape[::-1]) - 1).astype(np.int64)
    kept = np.flatnonzero(allowed[at[:, 1], at[:, 0]] > 0)[:most]
    points, sizes, at = points[kept], sizes[kept], at[kept]
    angles = _gradient_angles(image, at, sizes) if angles is None else angles[kept]
    if not len(points):
        return root_sift((), None, 1)
    octave = np.log2(np.maximum(sizes, 2 * _BLUR) / (2 * _BLUR))
    found = []
    for (x, y), size, angle, level in zip(points, sizes, angles, octave, strict=True):
        step, layer = int(level), round(3 * (level - int(level)))
        found.append(cv2.KeyPoint(x, y, size, angle, 1.0, step | (layer << 8)))
    kept_points, descriptors = cv2.SIFT.create(sigma=_BLUR).compute(image, found)
    return root_sift(kept_points, descriptors, 1)


def _gradient_angles(
    image: Pixels, at: NDArray[np.int64], sizes: NDArray[np.float64]
) -> NDArray[np.float64]:
    angles = np.zeros(len(at))
    for size in np.unique(np.round(np.log2(sizes))):
        blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.75 * 2.0**size)
        across, down = (cv2.Scharr(blurred, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
        mine = np.round(np.log2(sizes)) == size
        x, y = at[mine].T
        angles[mine] = np.degrees(np.arctan2(down[y, x], across[y, x])) % 360.0
    return angles


def _with(points_of: Callable[[Pixels, Pixels, int], Points]) -> Detector:
    """A detector from what finds (points, sizes, angles or None), strongest first."""

    def find(grey: FloatImage, usable: Mask, settings: MatchSettings) -> Keypoints:
        image, factor = enlarged(grey, settings)
        size = (image.shape[1], image.shape[0])
        wide = cv2.resize(usable.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        allowed = np.asarray(wide, np.uint8)
        most = most_keypoints(grey.shape, settings)
        points, sizes, angles = points_of(image, allowed, most)
        found = described(image, allowed, points, sizes, angles, most)
        return replace(
            found, points=(found.points + 0.5) / factor - 0.5, sizes=found.sizes / factor
        )

    return find


def _orb(image: Pixels, allowed: Pixels, most: int) -> Points:
    orb = cv2.ORB.create(nfeatures=most, nlevels=8, edgeThreshold=8, patchSize=31, fastThreshold=3)
    found = sorted(orb.detect(image, allowed), key=lambda point: -point.response)
    return _table(found, size=0.3)  # ORB's size is that of its patch


def _mser(image: Pixels, allowed: Pixels, most: int) -> Points:
    found = cv2.MSER.create(delta=3, min_area=20, max_area=5000, max_variation=0.5).detect(image)
    points, sizes, _ = _table(found, size=0.5)
    return points, sizes, None


def _harris(image: Pixels, allowed: Pixels, most: int) -> Points:
    points, sizes = [], []
    for size in _HARRIS_SIZES:
        blurred = cv2.GaussianBlur(image, (0, 0), size / 3)
        corners = cv2.goodFeaturesToTrack(
            blurred, most // len(_HARRIS_SIZES), 1e-4, size / 2, mask=allowed,
            blockSize=3 + int(size / 2), useHarrisDetector=False,
        )  # fmt: skip
        if corners is not None:
            points.append(corners.reshape(-1, 2).astype(np.float64))
            sizes.append(np.full(len(points[-1]), size))
    if not points:
        return np.empty((0, 2)), np.empty(0), None
    return np.concatenate(points), np.concatenate(sizes), None


def _table(found: Sequence[cv2.KeyPoint], size: float) -> Points:
    rows = [(*point.pt, size * point.size, point.angle) for point in found]
    table = np.array(rows, np.float64).reshape(-1, 4)
    return table[:, :2], table[:, 2], table[:, 3]


def _equalised(grey: FloatImage, usable: Mask, settings: MatchSettings) -> Keypoints:
    levels = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    even = cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8)).apply(levels)
    return find_keypoints(even.astype(np.float32), usable, settings)


def _other(**changed: Any) -> Detector:
    """SIFT at other settings."""
    return lambda grey, usable, settings: find_keypoints(grey, usable, replace(settings, **changed))


DETECTORS: dict[str, Detector] = {
    SIFT: find_keypoints,
    "SIFT, contrast threshold 0": _other(contrast_threshold=0.0),
    "SIFT, edge threshold 60": _other(edge_threshold=60.0),
    "SIFT, twice as many keypoints": _other(max_keypoints=2 * MatchSettings().max_keypoints),
    "SIFT, up to 700 px doubled, none halved": _other(upscale_below=700, halve_above=_NEVER),
    "SIFT, up to 1,400 px doubled": _other(upscale_below=1400, halve_above=_NEVER),
    "SIFT, three times enlarged": _other(max_upscale=3, upscale_below=1400, halve_above=_NEVER),
    "SIFT of equalised contrast (CLAHE)": _equalised,
    "ORB's corners (FAST over scales)": _with(_orb),
    "Shi-Tomasi corners at four scales": _with(_harris),
    "MSER": _with(_mser),
}
