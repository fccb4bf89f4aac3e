"""Lay the bands of a blot onto each other: shortlist by coarse shape, shift, fit, compare."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match.agreement import Window, warp_into
from forgecli.match.band_likeness import alike, among_rivals, box_of, extent_of, likeness
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.fit import fit_map
from forgecli.match.lanes import Band
from forgecli.match.settings import MatchSettings

POSES = ((1, 1), (-1, 1), (1, -1), (-1, -1))
"""As it is, mirrored left to right, mirrored top to bottom, turned by 180 degrees."""

_GRID = (12, 32)
"""Rows and columns of a band's descriptor."""
_OVERSAMPLED = 2
_APART = 1.5
"""Of the spreads of two bands, that their centres lie apart."""
_SHIFT = 4
"""Pixels around the first guess in which the best shift is sought."""
_FIT_STEPS = 6


@dataclass(frozen=True, slots=True)
class BandPair:
    """Two bands that look alike.

    Attributes:
        first, second: their indices.
        affine: maps the first onto the second, float64 (2, 3).
        evidence: see `band_likeness.likeness`.
        alike: the evidence as one number, log-odds of being a copy as far as the two alone tell.
        similarity: the same in view of how alike other bands of the figure are, which is what an
            authentic figure's bands are measured by.
    """

    first: int
    second: int
    affine: Affine
    evidence: NDArray[np.float64]
    alike: float
    similarity: float


def descriptors(grey: FloatImage, found: list[Band]) -> NDArray[np.float32]:
    """The coarse shape of every band in a frame of its own, float32 (n, rows, columns).

    Centre and spread of its mass are the frame, so shift and scale drop out; mean and norm are
    taken out for offset and gain. The broad profile that all bands share is filtered away.
    """
    rows, columns = _GRID
    shapes = np.zeros((len(found), rows, columns), np.float32)
    wide, tall = columns * _OVERSAMPLED, rows * _OVERSAMPLED
    for index, band in enumerate(found):
        half_x, half_y = (1.15 * value for value in extent_of(band))
        step_x, step_y = 2 * half_x / wide, 2 * half_y / tall
        frame = np.array(
            [
                [step_x, 0.0, band.x - half_x + 0.5 * step_x],
                [0.0, step_y, band.y - half_y + 0.5 * step_y],
            ]
        )
        cut = cv2.warpAffine(
            grey, frame, (wide, tall),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        small = cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA)
        fine = small - cv2.GaussianBlur(small, (0, 0), 3.0, borderType=cv2.BORDER_REFLECT_101)
        fine -= fine.mean()
        shapes[index] = fine / max(float(np.linalg.norm(fine)), 1e-6)
    return shapes


def shortlist(
    grey: FloatImage, found: list[Band], settings: MatchSettings
) -> list[tuple[int, int, int]]:
    """Pairs of bands worth aligning as (first, second, pose), the most alike first."""
    count = len(found)
    if count < 2:
        return []
    shapes = descriptors(grey, found)
    flat = shapes.reshape(count, -1)
    x, y = (np.array([getattr(band, name) for band in found]) for name in ("x", "y"))
    size_x = np.array([band.spread_x for band in found])
    size_y = np.array([band.spread_y for band in found])
    light = np.array([band.light for band in found])
    most = np.log(settings.band_scale)
    # Heights are a few pixels, and known less well than widths.
    fitting = np.abs(np.log(size_x[:, None] / size_x)) < 1.5 * most
    fitting &= np.abs(np.log(size_y[:, None] / size_y)) < 2.0 * most
    fitting &= light[:, None] == light
    # A band agrees with its own mirror image: two that overlap are no pair.
    apart = (np.abs(x[:, None] - x) > _APART * (size_x[:, None] + size_x)) | (
        np.abs(y[:, None] - y) > _APART * (size_y[:, None] + size_y)
    )
    far = np.hypot(x[:, None] - x, y[:, None] - y) >= settings.min_distance
    fitting &= apart & far
    alike = np.full((len(POSES), count, count), -np.inf, np.float32)
    for pose, (flip_x, flip_y) in enumerate(POSES):
        posed = np.ascontiguousarray(shapes[:, ::flip_y, ::flip_x]).reshape(count, -1)
        alike[pose] = np.where(fitting, flat @ posed.T, -np.inf)
    # A pair in one pose is the same from both sides.
    by_band = alike.transpose(1, 2, 0).reshape(count, -1)
    keep = min(settings.band_rivals, by_band.shape[1])
    best = np.argpartition(-by_band, keep - 1, axis=1)[:, :keep]
    pairs: dict[tuple[int, int, int], float] = {}
    for first in range(count):
        for place in best[first]:
            value = float(by_band[first, place])
            second, pose = divmod(int(place), len(POSES))
            if value > 0:
                key = (min(first, second), max(first, second), pose)
                pairs[key] = max(value, pairs.get(key, -1.0))
    ordered = sorted(pairs, key=lambda key: (-pairs[key], key))
    return ordered[: settings.band_pairs]


def first_guess(
    views: Bands,
    first: Band,
    second: Band,
    pose: int,
    panel: Window,
    settings: MatchSettings,
) -> tuple[float, Affine]:
    """The map of one band onto another in a pose up to a pixel or so, and how well it agrees."""
    flip_x, flip_y = POSES[pose]
    scale = float(
        np.exp(
            0.7 * np.log(second.spread_x / first.spread_x)
            + 0.3 * np.log(second.spread_y / first.spread_y)
        )
    )
    scale = float(np.clip(scale, 1 / settings.band_scale, settings.band_scale))
    window = box_of(first, 1.1, panel)
    best: tuple[float, Affine] | None = None
    # Most copies are not scaled at all, and spreads are not known that well.
    for factor in (1.0, scale) if abs(scale - 1) > 0.03 else (1.0,):
        linear = factor * np.diag([float(flip_x), float(flip_y)])
        start = np.column_stack(
            (linear, np.array([second.x, second.y]) - linear @ np.array([first.x, first.y]))
        )
        found = _best_shift(views.low, start, window)
        if best is None or found[0] > best[0]:
            best = found
    assert best is not None
    return best


def align(
    views: Bands, first: Band, affine: Affine, panel: Window, settings: MatchSettings
) -> Affine:
    """A first guess fitted to the whole of a band and its surroundings.

    The guess itself, where that cannot be done or would scale or shear more than people do.
    """
    window = box_of(first, settings.band_margin, panel)
    inside = np.ones((window.height, window.width), bool)
    fitted = fit_map(views.smooth, affine, window, inside, steps=_FIT_STEPS)
    if fitted is None or not _is_small_change(fitted, settings):
        return affine
    centre = np.array([first.x, first.y, 1.0])
    return fitted if float(np.hypot(*((fitted - affine) @ centre))) < 2 * _SHIFT else affine


def _best_shift(image: FloatImage, affine: Affine, window: Window) -> tuple[float, Affine]:
    """The map moved by whole pixels to where the window agrees best, with its correlation."""
    wide = Window(
        window.left - _SHIFT, window.top - _SHIFT, window.right + _SHIFT, window.bottom + _SHIFT
    )
    there = warp_into(image, affine, wide)
    known = np.isfinite(there)
    if not known.any():
        return -1.0, affine
    there = np.where(known, there, there[known].mean()).astype(np.float32)
    here = np.ascontiguousarray(window.cut(image))
    agreement = cv2.matchTemplate(there, here, cv2.TM_CCOEFF_NORMED)
    row, column = divmod(int(agreement.argmax()), agreement.shape[1])
    moved = affine.copy()
    moved[:, 2] += affine[:, :2] @ np.array([column - _SHIFT, row - _SHIFT], np.float64)
    return float(agreement[row, column]), moved


def _is_small_change(affine: Affine, settings: MatchSettings) -> bool:
    """Whether a map scales within the bounds of bands and hardly shears."""
    longest, shortest = np.linalg.svd(affine[:, :2], compute_uv=False)
    most = settings.band_scale
    return bool(longest < 1.05 * most and shortest > 0.95 / most and longest < 1.2 * shortest)


def pairs_of(
    views: Bands, found: list[Band], panels: tuple[Window, ...], settings: MatchSettings
) -> list[BandPair]:
    """Bands that look most alike, aligned, each pair in its best pose, the most similar first."""
    guesses = []
    for first, second, pose in shortlist(views.grey, found, settings):
        panel = panels[found[first].panel]
        agreement, affine = first_guess(views, found[first], found[second], pose, panel, settings)
        guesses.append((agreement, first, second, affine))
    guesses.sort(key=lambda guess: (-guess[0], *guess[1:3]))
    best: dict[tuple[int, int], BandPair] = {}
    for _, first, second, guess in guesses[: settings.band_fits]:
        panel = panels[found[first].panel]
        affine = align(views, found[first], guess, panel, settings)
        evidence = likeness(views, found[first], affine, panel)
        if evidence is None:
            continue
        pair = BandPair(first, second, affine, evidence, alike(evidence), 0.0)
        held = best.get((first, second))
        if held is None or pair.alike > held.alike:
            best[first, second] = pair
    ordered = sorted(best.values(), key=lambda pair: (-pair.alike, pair.first, pair.second))
    standing = among_rivals(np.array([pair.alike for pair in ordered]))
    return [
        replace(pair, similarity=float(value))
        for pair, value in zip(ordered, standing, strict=True)
    ]
