"""The bands of a blot or gel, and the lanes they stand in.

A band is a stripe across its lane, darker than the ground above and below it (in fluorescence and
stained gels lighter). What is compared with what, and how, is in `blots`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Window
from forgecli.match.bands import FloatImage
from forgecli.match.settings import MatchSettings

_STEP = 1.6
"""From one level to the next, when bands that touch are told apart."""
_LEVELS = 8
_CLEAR = 1.35
"""Times its level, that a piece's peak is high if it is a band beside another."""
_CORE = 0.4
"""A band is measured where it stands out by more than this share of its peak."""
_CLEARLY_SKEWED = 0.4
"""Of 1, which bands alone on even ground reach. Of the panels of 80 forged blots, 8 were taken for
the wrong kind by the sign of the skew alone, all of them below it."""
_DARK_GROUND, _LIGHT_GROUND = 100.0, 200.0
"""Grey levels beyond which the ground tells what bands are."""


@dataclass(frozen=True, slots=True)
class Band:
    """One band of a blot.

    Attributes:
        window: its box in the image.
        panel: number of the panel it is in.
        x, y: its centre of mass, in pixels of the image.
        spread_x, spread_y: standard deviations of its mass, in pixels.
        peak: grey levels between it and its ground.
        light: whether it is lighter than its ground.
    """

    window: Window
    panel: int
    x: float
    y: float
    spread_x: float
    spread_y: float
    peak: float
    light: bool

    @property
    def strength(self) -> float:
        """How much it stands out: contrast times the side of a square as large."""
        return self.peak * float(np.sqrt(self.spread_x * self.spread_y))


@dataclass(frozen=True, slots=True)
class Lane:
    """A column of bands.

    Attributes:
        window: from the panel's top to its bottom, as wide as its bands.
        panel: number of the panel.
        bands: indices of its bands, from top to bottom.
    """

    window: Window
    panel: int
    bands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Blob:
    """A connected piece above a level: box, area and highest value."""

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float
    level: float


def find_bands(
    grey: FloatImage, panel: Window, settings: MatchSettings, *, number: int = 0
) -> list[Band]:
    """The bands of one panel, the most conspicuous first; at most `settings.max_bands`.

    The ground is the closing of the image by a vertical line that is longer than a band is high
    (a black top-hat, Meyer 1979): the smear of a lane runs along the line and belongs to the
    ground, a band runs across it. What stands out is cut at rising levels; where a piece falls
    into several band-like ones, those are taken.

    Panels are often cut close to their bands, so the ground just outside is looked at too; the
    centre of a band lies in its panel.

    Args:
        grey: float32 (H, W), 0 to 255, the whole figure.
        panel: the panel to look in.
        number: of the panel, for `Band.panel`.
    """
    if min(panel.width, panel.height) < settings.min_panel // 2:
        return []
    margin = round(np.clip(settings.ground_margin * panel.height, 4, settings.ground_length // 2))
    window = panel.grown(margin, (grey.shape[0], grey.shape[1]))
    part = _levelled(window.cut(grey), panel, window)
    shrink = np.sqrt(part.size / settings.band_pixels)
    if shrink > 1:
        smaller = cv2.resize(part, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        part = np.asarray(smaller, np.float32)
    height, light = _standing_out(part, settings)
    across, down = window.width / height.shape[1], window.height / height.shape[0]
    found = []
    for blob in _separated(height, _least_height(height, part, settings), settings):
        measured = _mass(height, blob, settings)
        if measured is None:
            continue
        x, y, spread_x, spread_y = measured
        x = window.left + (x + 0.5) * across - 0.5
        y = window.top + (y + 0.5) * down - 0.5
        if not (panel.left <= x < panel.right and panel.top <= y < panel.bottom):
            continue
        found.append(
            Band(
                window=Window(
                    window.left + round(blob.x * across),
                    window.top + round(blob.y * down),
                    window.left + round((blob.x + blob.width) * across),
                    window.top + round((blob.y + blob.height) * down),
                ),
                panel=number,
                x=x,
                y=y,
                spread_x=spread_x * across,
                spread_y=spread_y * down,
                peak=blob.peak,
                light=light,
            )
        )
    found.sort(key=lambda band: (-band.strength, band.x, band.y))
    return found[: settings.max_bands]


def _levelled(part: FloatImage, panel: Window, window: Window) -> FloatImage:
    """A part of a figure in which the gutter around a panel is neither lighter nor darker than it.

    A white gutter beside a grey strip would make the whole strip a band.
    """
    own = np.s_[
        panel.top - window.top : panel.bottom - window.top,
        panel.left - window.left : panel.right - window.left,
    ]
    if part[own].size == part.size:
        return part
    low, high = np.percentile(part[own], (5, 95))
    levelled = np.clip(part, low, high)
    levelled[own] = part[own]
    return np.asarray(levelled, np.float32)


def _standing_out(part: FloatImage, settings: MatchSettings) -> tuple[FloatImage, bool]:
    """By how many grey levels each pixel differs from its ground, and whether it is lighter."""
    smooth = np.asarray(cv2.GaussianBlur(part, (0, 0), 1.0), np.float32)
    length = int(np.clip(settings.ground_share * part.shape[0], 9, settings.ground_length)) | 1
    light = _is_light(smooth, length)
    if light:
        smooth = -smooth
    ground = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, np.ones((length, 1), np.uint8))
    return np.asarray(ground - smooth, np.float32), light


def _is_light(smooth: FloatImage, length: int) -> bool:
    """Whether the bands of a panel are lighter than their ground.

    Bands are the lesser part of a lane, so the lane is skewed to their side. The slots of a gel,
    writing, and a scale bar skew it too: where it is not clear, the ground tells, if it is almost
    black or almost white.
    """
    about = smooth - cv2.blur(smooth, (1, length))
    most = float(np.percentile(np.abs(about[::2, ::2]), 99))
    cubes = np.clip(about, -most, most) ** 3
    skew = float(cubes.mean()) / max(float(np.abs(cubes).mean()), 1e-6)
    ground = float(np.median(smooth[::2, ::2]))
    if abs(skew) < _CLEARLY_SKEWED and not _DARK_GROUND <= ground <= _LIGHT_GROUND:
        return ground < _DARK_GROUND
    return skew > 0


def _least_height(height: FloatImage, part: FloatImage, settings: MatchSettings) -> float:
    """Grey levels from which something may be a band: well above the ripple of the ground."""
    ripple = cv2.GaussianBlur(part, (0, 0), 1.0) - cv2.GaussianBlur(part, (0, 0), 3.0)
    # The quieter half: in a strip, bands are more than half of what there is.
    noise = float(np.quantile(np.abs(ripple[::2, ::2]), 0.25)) / 0.3186
    faintest = settings.band_faintest * float(height.max())
    return max(settings.band_contrast, settings.band_noise * noise, faintest)


def _separated(height: FloatImage, least: float, settings: MatchSettings) -> list[_Blob]:
    """Band-like pieces above the least level, those that touch told apart at higher ones."""
    tops: list[list[_Blob]] = []
    parents: list[list[int]] = []
    below: NDArray[np.int32] | None = None
    known = np.empty(0, np.int64)  # label of the level below -> number in its list
    for level in range(_LEVELS):
        cut = least * _STEP**level
        above = height > cut
        if not above.any():
            break
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            above.astype(np.uint8), connectivity=4
        )
        blobs: list[_Blob] = []
        parent: list[int] = []
        number = np.full(count, -1, np.int64)
        large = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= settings.min_area // 2)
        for label in large[np.argsort(-stats[large, cv2.CC_STAT_AREA])][: 2 * settings.max_bands]:
            x, y, wide, tall, area = (int(value) for value in stats[label])
            box = labels[y : y + tall, x : x + wide] == label
            row, column = divmod(int(box.argmax()), wide)
            under = -1 if below is None else int(known[below[y + row, x + column]])
            if below is not None and under < 0:
                continue
            number[label] = len(blobs)
            peak = float(height[y : y + tall, x : x + wide][box].max())
            blobs.append(_Blob(x, y, wide, tall, area, peak, cut))
            parent.append(under)
        tops.append(blobs)
        parents.append(parent)
        below, known = np.asarray(labels, np.int32), number
    return _chosen(tops, parents, height.shape, settings)


def _chosen(
    tops: list[list[_Blob]],
    parents: list[list[int]],
    shape: tuple[int, ...],
    settings: MatchSettings,
) -> list[_Blob]:
    """From the tree of pieces: the lowest band-like ones that do not fall into several."""
    inside: list[list[_Blob]] = []
    for level in reversed(range(len(tops))):
        below: list[list[_Blob]] = [[] for _ in range(len(tops[level - 1]) if level else 1)]
        for index, blob in enumerate(tops[level]):
            parts = inside[index] if inside else []
            # Grain splits a band too, but near its top.
            clear = [part for part in parts if part.peak >= _CLEAR * part.level]
            one = len(clear) < 2 and _is_band(blob, shape, settings)
            below[parents[level][index] if level else 0] += [blob] if one else clear or parts
        inside = below
    return inside[0] if inside else []


def _is_band(blob: _Blob, shape: tuple[int, ...], settings: MatchSettings) -> bool:
    """Whether a piece is about as wide as high or wider, and solid, and not the whole panel."""
    return (
        blob.height >= 3
        and blob.width >= 6
        and blob.area >= settings.min_area // 2
        and blob.width >= settings.band_aspect * blob.height
        and blob.width <= settings.band_width * shape[1]
        and blob.area >= 0.45 * blob.width * blob.height
    )


def _mass(
    height: FloatImage, blob: _Blob, settings: MatchSettings
) -> tuple[float, float, float, float] | None:
    """Centre and spread (x, y, spread x, spread y) of what stands out most of a piece.

    Relative to its own peak, so that gain and the level it was cut at change nothing. None for
    what is drawn in strokes, as letters are, or too small to be compared.
    """
    top, left = max(0, blob.y - 1), max(0, blob.x - 1)
    box = height[top : blob.y + blob.height + 1, left : blob.x + blob.width + 1]
    core = box > 0.5 * blob.peak
    rows, columns = np.flatnonzero(core.any(axis=1)), np.flatnonzero(core.any(axis=0))
    if rows.size == 0:
        return None
    spanned = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    if np.count_nonzero(core) < settings.band_solid * spanned:
        return None
    weight = np.maximum(box - _CORE * blob.peak, 0.0).astype(np.float64)
    total = float(weight.sum())
    across, down = weight.sum(axis=0) / total, weight.sum(axis=1) / total
    u, v = np.arange(across.size), np.arange(down.size)
    x, y = float(across @ u), float(down @ v)
    spread_x = float(np.sqrt(across @ (u - x) ** 2))
    spread_y = float(np.sqrt(down @ (v - y) ** 2))
    if spread_x < settings.least_spread:
        return None
    return left + x, top + y, spread_x, max(spread_y, 0.7)


def find_lanes(bands: list[Band], panels: tuple[Window, ...]) -> list[Lane]:
    """Group the bands of every panel into columns, from left to right.

    A band joins the lane whose width it shares by more than half of the narrower.
    """
    lanes = []
    for number, panel in enumerate(panels):
        columns: list[list[int]] = []
        members = [i for i, band in enumerate(bands) if band.panel == number]
        # Wide bands span their lane; narrow ones are then sorted into it.
        for index in sorted(members, key=lambda i: -bands[i].window.width):
            shares = [_shared_width(bands[index].window, bands[lane[0]].window) for lane in columns]
            best = int(np.argmax(shares)) if shares else -1
            if shares and shares[best] > 0.5:
                columns[best].append(index)
            else:
                columns.append([index])
        for column in sorted(columns, key=lambda lane: bands[lane[0]].x):
            left = int(np.median([bands[i].window.left for i in column]))
            right = int(np.median([bands[i].window.right for i in column]))
            ordered = tuple(sorted(column, key=lambda i: bands[i].y))
            lanes.append(Lane(Window(left, panel.top, right, panel.bottom), number, ordered))
    return lanes


def _shared_width(first: Window, second: Window) -> float:
    """Overlap along x as a share of the narrower window."""
    shared = min(first.right, second.right) - max(first.left, second.left)
    return shared / max(1, min(first.width, second.width))
