"""What separates a copy from a look-alike, measured on a grown region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask, Placed, Window, correlation_inside, view
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.candidates import Candidate
from forgecli.match.compute import CPU, Compute
from forgecli.match.outline import gain_and_offset
from forgecli.match.printed import print_of
from forgecli.match.seam import Seam
from forgecli.match.self_likeness import self_likeness
from forgecli.match.texture import independent_samples, information, two_levels

FEATURES = (
    "log_area",
    "solidity",
    "elongation",
    "local_mean",
    "local_low",
    "fine_mean",
    "fine_low",
    "fine_all",
    "noise_all",
    "low_all",
    "drop_fine",
    "drop_local",
    "ring_drop",
    "residual",
    "residual_relative",
    "contrast",
    "corner",
    "gain",
    "log_scale",
    "stretch",
    "turned",
    "mirrored",
    "distance",
    "log_support",
    "log_density",
    "log_rivals",
    "noise",
    "levels",
    "flat",
    "steep",
    "saturated",
    "independent_low",
    "information_low",
    "information_fine",
    "information_noise",
    "two_levels",
    "plateau",
    "crisp",
    "quiet",
    "repeats_fine",
    "symmetric_fine",
)
"""Names of the columns, in order."""

_MOVES = np.array([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
"""Pixels by which the copy is moved: in its place, and beside it."""
_MARGIN = 14
"""Pixels around a region that are looked at too."""
_SIDE = 7
"""Of the window of a local correlation."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """A candidate beside its copy.

    Attributes:
        window: around the region.
        mask: the region, bool (h, w), and `inside` what of it has a copy inside the image.
        there: what stands at the copy, smoothed, float32 (h, w); NaN outside of the image.
        local, fine: local correlation of the smooth and of the middle band, float32 (h, w).
        middle, low: correlation of two bands over the region, float64 (len(_MOVES),).
    """

    window: Window
    mask: Mask
    inside: Mask
    there: FloatImage
    local: FloatImage
    fine: FloatImage
    middle: NDArray[np.float64]
    low: NDArray[np.float64]


def measure_all(
    bands: Bands,
    candidates: Sequence[Candidate],
    flat: Mask,
    compute: Compute = CPU,
    *,
    seam: Seam | None = None,
) -> NDArray[np.float64]:
    """The statistics of all candidates of an image, float64 (len(candidates), len(FEATURES)).

    Args:
        bands: the image.
        candidates: grown regions with their maps.
        flat: bool (H, W), pixels equal to their neighbours, as drawings have and photographs not;
            with a seam, of the picture left of it.
        compute: where regions are compared with their copies.
        seam: where the image is two pictures; regions lie left of it and their copies right.
    """
    shape = bands.shape if seam is None else (bands.shape[0], seam.begins)
    # Regions come in the windows they grew in, ten times as large as most of them.
    windows = [_tight(one.first).grown(_MARGIN, shape) for one in candidates]
    features = np.empty((len(candidates), len(FEATURES)))
    for some in _together(windows, compute.at_once):
        compared = _compare(bands, candidates[some], windows[some], compute, seam)
        for row, candidate, found in zip(features[some], candidates[some], compared, strict=True):
            row[:] = _statistics(bands, candidate, found, flat, seam)
    return features


def _tight(placed: Placed) -> Window:
    """The smallest window around a region; its own of one without pixels."""
    rows, columns = np.flatnonzero(placed.mask.any(1)), np.flatnonzero(placed.mask.any(0))
    window = placed.window
    if rows.size == 0:
        return window
    return Window(
        window.left + int(columns[0]),
        window.top + int(rows[0]),
        window.left + int(columns[-1]) + 1,
        window.top + int(rows[-1]) + 1,
    )


def _together(windows: Sequence[Window], most: int) -> Iterator[slice]:
    """Windows one after the other with no more than so many pixels, or one that has more."""
    start = total = 0
    for n, window in enumerate(windows):
        area = window.width * window.height
        if n > start and total + area > most:
            yield slice(start, n)
            start, total = n, 0
        total += area
    if windows:
        yield slice(start, len(windows))


def _compare(
    bands: Bands,
    candidates: Sequence[Candidate],
    windows: Sequence[Window],
    compute: Compute,
    seam: Seam | None,
) -> list[_Compared]:
    """Compare candidates with their copies, all in a few calls."""
    affines = np.array([candidate.affine for candidate in candidates], np.float64)
    boxes = np.array([(w.left, w.top, w.right, w.bottom) for w in windows], np.int64)
    smooth = compute.view_correlations(bands.smooth, boxes, affines, _SIDE)
    middle = compute.view_correlations(bands.middle, boxes, affines, _SIDE)
    if seam is not None:
        smooth = seam.without(smooth, windows, affines, _SIDE)
        middle = seam.without(middle, windows, affines, _SIDE)
    masks, insides, pixels = [], [], []
    for candidate, window, (there, _) in zip(candidates, windows, smooth, strict=True):
        mask = candidate.first.into(window)
        inside = mask & np.isfinite(there)
        if np.count_nonzero(inside) < 8:
            inside = mask
        decides = inside
        if seam is not None:  # moved, none of them may reach into it
            decides = inside & ~seam.unknown(window, candidate.affine, float(_MOVES.max()))
        rows, columns = np.nonzero(decides)
        masks.append(mask)
        insides.append(inside)
        pixels.append((rows + window.top, columns + window.left))
    moved = compute.region_correlations(bands.middle, pixels, affines, _MOVES)
    low = compute.region_correlations(bands.low, pixels, affines, _MOVES)
    return [
        _Compared(window, mask, inside, there, local, fine, at_middle, at_low)
        for window, mask, inside, (there, local), (_, fine), at_middle, at_low in zip(
            windows, masks, insides, smooth, middle, moved, low, strict=True
        )
    ]


def measure(bands: Bands, candidate: Candidate, flat: Mask) -> NDArray[np.float64]:
    """The statistics of one candidate, float64 (len(FEATURES),). See `measure_all`."""
    features: NDArray[np.float64] = measure_all(bands, [candidate], flat)[0]
    return features


def _statistics(
    bands: Bands,
    candidate: Candidate,
    compared: _Compared,
    flat: Mask,
    seam: Seam | None,
) -> NDArray[np.float64]:
    affine, window = candidate.affine, compared.window
    mask, inside, smooth_there = compared.mask, compared.inside, compared.there
    local, fine = compared.local, compared.fine
    values: dict[str, float] = {}

    smooth = window.cut(bands.smooth)
    low = np.ascontiguousarray(window.cut(bands.low))
    grey, grey_there = view(bands, "grey", affine, window)
    area = float(np.count_nonzero(inside))

    contour = max(
        cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0],
        key=len,
    )
    hull = max(float(cv2.contourArea(cv2.convexHull(contour))), 1.0)
    (_, _), (w, h), _ = cv2.minAreaRect(contour)
    values["log_area"] = np.log(area)
    values["solidity"] = float(cv2.contourArea(contour)) / hull
    values["elongation"] = (min(w, h) + 1.0) / (max(w, h) + 1.0)

    values["local_mean"] = _z(float(local[inside].mean()))
    values["local_low"] = _z(float(np.quantile(local[inside], 0.1)))
    values["fine_mean"] = _z(float(fine[inside].mean()))
    values["fine_low"] = _z(float(np.quantile(fine[inside], 0.25)))
    in_place, *beside = compared.middle.tolist()
    low_in_place, *low_beside = compared.low.tolist()
    values["fine_all"] = _z(in_place)
    finest = grey - smooth
    in_noise = correlation_inside(finest, grey_there - smooth_there, inside)
    values["noise_all"] = _z(in_noise)
    values["low_all"] = _z(low_in_place)

    values["drop_fine"] = in_place - max(beside)
    values["drop_local"] = values["low_all"] - _z(max(low_beside))

    near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    far = cv2.dilate(mask.astype(np.uint8), np.ones((21, 21), np.uint8)) > 0
    ring = far & ~near & np.isfinite(smooth_there)
    outside = float(local[ring].mean()) if ring.any() else 0.0
    values["ring_drop"] = float(local[inside].mean()) - outside

    p = smooth[inside].astype(np.float64)
    q = smooth_there[inside].astype(np.float64)
    gain, offset = gain_and_offset(p, q)
    residual = float(np.sqrt(np.mean((p - gain * q - offset) ** 2)))
    contrast = float(p.std())
    values["residual"] = np.log((residual + 0.05) / bands.noise)
    values["residual_relative"] = np.log((residual + 0.05) / (contrast + 0.05))
    values["contrast"] = np.log((contrast + 0.05) / bands.noise)
    values["gain"] = abs(np.log(min(max(abs(gain), 0.1), 10.0)))
    values["corner"] = _cornerness(low, inside)

    linear = affine[:, :2]
    determinant = float(np.linalg.det(linear))
    singular = np.linalg.svd(linear, compute_uv=False)
    turn = np.degrees(np.arctan2(linear[1, 0], linear[0, 0]))
    values["log_scale"] = abs(0.5 * np.log(max(abs(determinant), 1e-6)))
    values["stretch"] = float(np.log(singular[0] / max(singular[1], 1e-6)))
    values["turned"] = min(abs((turn + 45.0) % 90.0 - 45.0), 20.0)
    values["mirrored"] = float(determinant < 0)
    ys, xs = np.nonzero(mask)
    middle_point = np.array([xs.mean() + window.left, ys.mean() + window.top, 1.0])
    away = affine @ middle_point - middle_point[:2]
    if seam is not None:
        away[0] -= seam.ends
    values["distance"] = float(np.log(np.hypot(*away) / np.sqrt(area)))

    values["log_support"] = np.log1p(candidate.support)
    values["log_density"] = np.log1p(candidate.support) - values["log_area"]
    values["log_rivals"] = np.log1p(candidate.rivals)
    values["noise"] = np.log(bands.noise)
    levels = np.count_nonzero(np.bincount(np.rint(grey[inside]).astype(np.int64)))
    values["levels"] = np.log(levels)
    flat_here = flat[window.top : window.bottom, window.left : window.right]
    values["flat"] = float(flat_here[near].mean())
    step = np.abs(cv2.Laplacian(smooth, cv2.CV_32F))
    values["steep"] = float(np.log1p(np.quantile(step[inside], 0.95)))
    ends = (grey <= 2) | (grey >= 253)
    values["saturated"] = float(ends[near].mean())

    samples = independent_samples(low, inside)
    values["independent_low"] = np.log(samples)
    values["information_low"] = np.log1p(information(low_in_place, samples))
    for name, band, agreed in (
        ("information_fine", window.cut(bands.middle), in_place),
        ("information_noise", finest, in_noise),
    ):
        values[name] = np.log1p(information(agreed, independent_samples(band, inside)))
    values["two_levels"] = two_levels(grey[inside])
    values |= print_of(grey, inside)._asdict()
    # In the low band they cost as much again, and told nothing more out of fold.
    own = self_likeness([window.cut(bands.middle)], inside)[0]
    values["repeats_fine"], values["symmetric_fine"] = own
    return np.array([values[name] for name in FEATURES], np.float64)


def flat_pixels(bands: Bands) -> Mask:
    """Pixels equal to their right and lower neighbours, bool (H, W)."""
    grey = bands.grey
    flat = np.zeros(bands.shape, bool)
    flat[:-1, :-1] = (grey[:-1, :-1] == grey[:-1, 1:]) & (grey[:-1, :-1] == grey[1:, :-1])
    return flat


def _z(correlation: float) -> float:
    """Fisher's transform, which makes differences near 1 as telling as those near 0."""
    return float(np.arctanh(min(max(correlation, -0.9), 0.9995)))


def _cornerness(image: NDArray[np.float32], inside: Mask) -> float:
    """Ratio of the structure tensor's eigenvalues over a region: 0 for a straight edge, 1 at most.

    Along a straight edge anything agrees with anything.
    """
    gx = cv2.Sobel(image, cv2.CV_32F, 1, 0)[inside].astype(np.float64)
    gy = cv2.Sobel(image, cv2.CV_32F, 0, 1)[inside].astype(np.float64)
    xx, yy, xy = float((gx * gx).mean()), float((gy * gy).mean()), float((gx * gy).mean())
    root = float(np.hypot(xx - yy, 2 * xy))
    return (xx + yy - root) / max(xx + yy + root, 1e-9)
