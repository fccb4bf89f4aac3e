"""Copy-move detection as people write it with public packages, to stand beside `forge`.

None of them is tuned here: numbers are those of the tutorials and papers they come from. What makes
them look worse than they are was avoided: a point is not matched with itself or its neighbours, and
blocks of flat ground, which match everywhere, are left out.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.accuracy_measure import Mask, Method, Pixels

MIN_INLIERS = 10
"""MIN_MATCH_COUNT of OpenCV's tutorial on feature matching and homography."""
RATIO = 0.75
"""Lowe's test as in OpenCV's tutorial on feature matching."""
NEAR = 24.0
"""Pixels: points of one object resemble each other."""
MOST_POINTS = 5000
MOST_COPIES = 5

BLOCK = 16
"""Side of a block (Fridrich, Soukal, Lukas 2003)."""
FREQUENCIES = ((0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0))
"""Rows and columns of the coefficients kept, the first in zigzag order."""
STEP = 16.0
"""Quantisation of coefficients, in grey levels of an orthonormal transform: the first entry of
JPEG's luminance table."""
SHIFTS = 500
"""Pairs of blocks that one shift needs: a copy of some 38 x 38 pixels."""
FLAT = 3.0
"""Standard deviation in grey levels under which a block is ground."""


def sift(pixels: Pixels) -> list[Mask]:
    """SIFT, ratio test, RANSAC of a similarity, convex hulls of its inliers."""
    return _by_keypoints(pixels, cv2.SIFT_create(nfeatures=MOST_POINTS), cv2.NORM_L2)


def orb(pixels: Pixels) -> list[Mask]:
    """The same with ORB and its binary descriptors."""
    return _by_keypoints(pixels, cv2.ORB_create(nfeatures=MOST_POINTS), cv2.NORM_HAMMING)


def _by_keypoints(pixels: Pixels, detector: Any, norm: int) -> list[Mask]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    points, descriptors = detector.detectAndCompute(grey, None)
    if descriptors is None or len(points) < MIN_INLIERS:
        return []
    places = np.array([point.pt for point in points], np.float32)
    first, second = _self_matches(places, descriptors, norm)
    cv2.setRNGSeed(0)
    found = []
    for _ in range(MOST_COPIES):
        if len(first) < MIN_INLIERS:
            break
        affine, inliers = cv2.estimateAffinePartial2D(
            first, second, method=cv2.RANSAC, ransacReprojThreshold=3.0
        )
        used = np.zeros(len(first), bool) if inliers is None else inliers.ravel() > 0
        if affine is None or used.sum() < MIN_INLIERS:
            break
        mask = np.zeros(grey.shape, np.uint8)
        for side in (first, second):
            cv2.fillConvexPoly(mask, np.rint(cv2.convexHull(side[used])).astype(np.int32), 1)
        found.append(mask > 0)
        first, second = first[~used], second[~used]
    return found


def _self_matches(
    places: NDArray[np.float32], descriptors: NDArray[Any], norm: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pairs of points that pass the ratio test, float32 (n, 2) each, each pair once and from left
    to right, so that all pairs of one copy are mapped one way."""
    pairs = set()
    for one in cv2.BFMatcher(norm).knnMatch(descriptors, descriptors, k=4):
        own = one[0].queryIdx
        others = [m for m in one if np.hypot(*(places[m.trainIdx] - places[own])) > NEAR]
        if len(others) >= 2 and others[0].distance < RATIO * others[1].distance:
            ends = sorted((own, others[0].trainIdx), key=lambda index: tuple(places[index]))
            pairs.add(tuple(ends))
    ordered = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return places[ordered[:, 0]], places[ordered[:, 1]]


def blocks(pixels: Pixels) -> list[Mask]:
    """Block matching (Fridrich, Soukal, Lukas, Detection of copy-move forgery in digital images,
    2003): quantised DCT of all overlapping blocks, sorted as words, shifts counted among
    neighbours. One instance per shift that is frequent."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = grey.shape[0] - BLOCK + 1, grey.shape[1] - BLOCK + 1
    if height < 1 or width < 1:
        return []
    words = block_words(grey)
    rows, columns = np.nonzero(_deviation(grey) > FLAT)
    if len(rows) < 2:
        return []
    kept = words[:, rows, columns]
    order = np.lexsort(kept[::-1])
    equal = (kept[:, order[1:]] == kept[:, order[:-1]]).all(axis=0)
    a, b = order[:-1][equal], order[1:][equal]
    down, across = rows[b] - rows[a], columns[b] - columns[a]
    far = np.hypot(down, across) > NEAR
    a, b, down, across = a[far], b[far], down[far], across[far]
    turned = (down < 0) | ((down == 0) & (across < 0))
    a, b = np.where(turned, b, a), np.where(turned, a, b)
    shift = np.where(turned, -1, 1) * (down * (2 * width + 1) + across)
    values, counts = np.unique(shift, return_counts=True)
    found = []
    for index in np.argsort(-counts, kind="stable")[:MOST_COPIES]:
        if counts[index] < SHIFTS:
            break
        mask = np.zeros(grey.shape, np.uint8)
        for ends in (a, b):
            at = ends[shift == values[index]]
            mask[rows[at], columns[at]] = 1
        # From the corners of blocks to all of their pixels.
        whole = cv2.dilate(mask, np.ones((BLOCK, BLOCK), np.uint8), anchor=(BLOCK - 1, BLOCK - 1))
        found.append(whole > 0)
    return found


def block_words(grey: NDArray[np.float32]) -> NDArray[np.int16]:
    """The quantised DCT of every block, int16 (len(FREQUENCIES), H - 15, W - 15), at its upper left
    corner. A coefficient of all blocks is a separable filter over the image."""
    found = []
    for down, across in FREQUENCIES:
        filtered = cv2.sepFilter2D(grey, cv2.CV_32F, _cosine(across), _cosine(down), anchor=(0, 0))
        inside = filtered[: grey.shape[0] - BLOCK + 1, : grey.shape[1] - BLOCK + 1]
        found.append(np.rint(inside / STEP).astype(np.int16))
    return np.stack(found)


def _cosine(frequency: int) -> NDArray[np.float32]:
    """A row of the orthonormal DCT-II, float32 (BLOCK,)."""
    angle = np.pi * (np.arange(BLOCK) + 0.5) * frequency / BLOCK
    size = np.sqrt((1.0 if frequency == 0 else 2.0) / BLOCK)
    return (size * np.cos(angle)).astype(np.float32)


def _deviation(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard deviation of every block, float32 (H - 15, W - 15)."""
    mean = cv2.boxFilter(grey, cv2.CV_32F, (BLOCK, BLOCK), anchor=(0, 0))
    square = cv2.boxFilter(grey * grey, cv2.CV_32F, (BLOCK, BLOCK), anchor=(0, 0))
    variance = np.maximum(square - mean * mean, 0.0)
    return np.sqrt(variance[: grey.shape[0] - BLOCK + 1, : grey.shape[1] - BLOCK + 1])


PEERS: dict[str, Method] = {"SIFT + RANSAC": sift, "ORB + RANSAC": orb, "DCT blocks": blocks}
"""By the name that stands in the tables."""
