"""Find a cell, nucleus, band or particle by local segmentation, to have something to clone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from forgecli.synth.outline import Mask, Outline, outline_of
from forgecli.synth.texture import has_texture, noise_level, strongest_channel

_LONGEST_SIDE = 1000
"""Segmentation runs on an image of at most this size: outlines need no more."""
_MOST = 150
"""Components looked at in one image."""


def find_objects(
    rng: np.random.Generator,
    pixels: NDArray[np.uint8],
    share: tuple[float, float],
) -> list[Outline]:
    """Objects that stand alone against their surroundings, or compartments within walls.

    First, pixels that differ from the local background are cut into components (Otsu 1979), and
    touching ones parted at their necks (watershed on the distance to the rim). Where that gives
    fewer than three, regions are grown from the calm places of the image until they meet at edges
    (watershed on the gradient), as membranes part cells in electron microscopy.

    Args:
        pixels: uint8 (H, W, 3).
        share: least and most of the image that one object may cover.

    Returns:
        outlines that lie inside the image, are compact, and hold texture above the noise.
    """
    height, width = pixels.shape[:2]
    factor = min(1.0, _LONGEST_SIDE / max(height, width))
    small = pixels
    if factor < 1:
        less = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        small = np.asarray(less, np.uint8)
    limits = (share[0] * small[:, :, 0].size, share[1] * small[:, :, 0].size)
    grey = strongest_channel(small)
    noise = noise_level(grey)
    labels = _blobs(rng, small, limits)
    found = _compact(labels, grey, noise, limits)
    if len(found) < 3 or rng.random() < 0.1:
        found += _compact(_compartments(rng, grey), grey, noise, limits)
    if factor < 1:
        found = [bigger for item in found if (bigger := _enlarged(item, pixels.shape)) is not None]
    return found


def _blobs(
    rng: np.random.Generator, pixels: NDArray[np.uint8], limits: tuple[float, float]
) -> NDArray[np.int32]:
    """Components of what differs from the local background, int32 (H, W), 0 elsewhere."""
    contrast = _contrast(pixels)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    if abs(float(np.quantile(contrast, 0.995))) > abs(float(np.quantile(contrast, 0.005))):
        sign = 1.0 if rng.random() < 0.95 else -1.0
    else:
        sign = -1.0 if rng.random() < 0.95 else 1.0
    level = np.clip(contrast * sign, 0, None)
    top = float(np.quantile(level, 0.999))
    if top <= 0:
        return np.zeros(level.shape, np.int32)
    scaled = np.clip(level * (255 / top), 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    # Otsu halves the distance to the mean of the objects; dim ones and rims lie below that.
    mask = (scaled > threshold * rng.uniform(0.6, 1.0)).astype(np.uint8)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # A cell that is paler inside than at its rim comes out as a broken ring.
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return _parted(_filled(np.asarray(closed, np.uint8)), limits)


def _contrast(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Signed difference from the local background along the colour axis that differs most."""
    lab = cv2.cvtColor(cv2.GaussianBlur(pixels, (0, 0), 1.0), cv2.COLOR_RGB2LAB)
    eighth = cv2.resize(lab, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    side = max(3, (min(eighth.shape[:2]) // 2) | 1)
    ground = cv2.medianBlur(eighth, min(side, 61))
    ground = cv2.resize(ground, (lab.shape[1], lab.shape[0]), interpolation=cv2.INTER_LINEAR)
    difference = lab.astype(np.float32) - ground.astype(np.float32)
    some = difference[::3, ::3].reshape(-1, 3)
    _, vectors = np.linalg.eigh(some.T @ some)
    axis = vectors[:, -1] * (1.0 if vectors[0, -1] >= 0 else -1.0)
    contrast: NDArray[np.float32] = difference @ axis.astype(np.float32)
    return contrast


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask without holes."""
    outer, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, outer, -1, 1, cv2.FILLED)
    return filled


def _parted(mask: NDArray[np.uint8], limits: tuple[float, float]) -> NDArray[np.int32]:
    """Label components; those that are large or not convex are cut at their necks."""
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    blurred = cv2.GaussianBlur(depth, (0, 0), 1.5)
    reach = max(3, int(np.sqrt(limits[0]) / 2) | 1)
    peaks = (blurred >= cv2.dilate(blurred, np.ones((reach, reach), np.uint8)) - 1e-3) & (depth > 1)
    # Peaks that stand on one plateau, or on flanks of one hill, belong together.
    joined = cv2.dilate(peaks.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    _, numbered = cv2.connectedComponents((joined & (mask > 0)).astype(np.uint8))
    seeds = np.asarray(numbered, np.int32)
    ground = seeds.max() + 1
    seeds[mask == 0] = ground
    relief = 255 - np.clip(depth * (255 / max(1.0, float(depth.max()))), 0, 255)
    labels = cv2.watershed(cv2.merge([relief.astype(np.uint8)] * 3), seeds)
    labels[(labels == ground) | (labels < 0)] = 0
    return labels.astype(np.int32)


def _compartments(rng: np.random.Generator, grey: NDArray[np.float32]) -> NDArray[np.int32]:
    """Regions that meet at edges, int32 (H, W)."""
    smooth = cv2.GaussianBlur(grey, (0, 0), float(rng.uniform(1.5, 4.0)))
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    reach = int(rng.integers(9, 31)) | 1
    calm = cv2.GaussianBlur(slope, (0, 0), reach / 5)
    seeds = (calm <= cv2.erode(calm, np.ones((reach, reach), np.uint8))).astype(np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(seeds, np.ones((3, 3), np.uint8)))
    if count < 3:
        return np.zeros(grey.shape, np.int32)
    top = max(1e-3, float(np.quantile(slope, 0.98)))
    relief = np.clip(slope * (255 / top), 0, 255).astype(np.uint8)
    grown = cv2.watershed(cv2.merge([relief] * 3), labels.astype(np.int32))
    grown[grown < 0] = 0
    return grown.astype(np.int32)


def _compact(
    labels: NDArray[np.int32],
    grey: NDArray[np.float32],
    noise: float,
    limits: tuple[float, float],
) -> list[Outline]:
    """Those labels that are of a wanted size, inside, neither hairs nor combs, and not flat."""
    height, width = labels.shape
    count = int(labels.max()) + 1
    areas = np.bincount(labels.ravel(), minlength=count)
    fitting = np.flatnonzero((areas >= max(30.0, limits[0])) & (areas <= limits[1]))
    fitting = fitting[fitting > 0]
    if fitting.size == 0:
        return []
    chosen = fitting[:: max(1, fitting.size // _MOST)]
    boxes = ndimage.find_objects(labels)
    found = []
    for label in chosen:
        rows, columns = boxes[label - 1]
        left, top, right, bottom = columns.start, rows.start, columns.stop, rows.stop
        if left < 2 or top < 2 or right > width - 2 or bottom > height - 2:
            continue
        mask = _smooth(labels[top:bottom, left:right] == label)
        outline = outline_of(mask, int(left), int(top))
        if outline is None or not _is_solid(outline.mask):
            continue
        if _stands_out(outline, grey, noise) and has_texture(
            grey[outline.box], outline.mask, noise
        ):
            found.append(outline)
    return found


def _stands_out(outline: Outline, grey: NDArray[np.float32], noise: float) -> bool:
    """Whether a region differs from its rim, or holds strong structure of its own."""
    rows, columns = outline.box
    top, left = max(0, rows.start - 4), max(0, columns.start - 4)
    around = grey[top : rows.stop + 4, left : columns.stop + 4]
    inside = np.zeros(around.shape, np.uint8)
    height, width = outline.mask.shape
    y, x = rows.start - top, columns.start - left
    inside[y : y + height, x : x + width] = outline.mask
    rim = (cv2.dilate(inside, np.ones((7, 7), np.uint8)) > 0) & (inside == 0)
    core = around[inside > 0]
    step = abs(float(core.mean() - around[rim].mean()))
    return step > max(5.0, 1.5 * noise) or float(core.std()) > max(12.0, 3.0 * noise)


def _smooth(mask: Mask) -> Mask:
    """The largest piece of a mask, its outline rid of stairs."""
    soft = cv2.GaussianBlur(np.pad(mask, 3).astype(np.float32), (0, 0), 1.2)[3:-3, 3:-3]
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((soft > 0.5).astype(np.uint8))
    if count < 2:
        return mask
    return np.asarray(pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def _is_solid(mask: Mask) -> bool:
    """Whether a shape is a body: it nearly fills its convex hull, and is no thin line."""
    padded = np.pad(mask, 1).astype(np.uint8)
    outer, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.contourArea(cv2.convexHull(max(outer, key=len)))
    area = np.count_nonzero(mask)
    depth = float(cv2.distanceTransform(padded, cv2.DIST_L2, 3).max())
    return bool(area > 0.83 * max(1.0, hull) and depth >= 2.5 and area < 40 * depth * depth)


def _enlarged(outline: Outline, shape: tuple[int, ...]) -> Outline | None:
    """An outline found in a reduced image, in the full one."""
    factor = max(shape[:2]) / _LONGEST_SIDE
    height, width = outline.mask.shape
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    soft = cv2.resize(outline.mask.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    x, y = round(outline.x * factor), round(outline.y * factor)
    inside = (soft > 0.5)[: shape[0] - y, : shape[1] - x]
    return outline_of(inside, x, y)
