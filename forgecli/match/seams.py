"""Seams: where two panels touch, or only a thin line parts them."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.gutters import Grey
from forgecli.match.settings import MatchSettings

_PARTS = 8
_LEAST_PART = 25
"""Pixels: in shorter parts of a seam, chance decides."""


def seams_of(
    part: Grey, axis: int, settings: MatchSettings, *, among_bands: bool = False
) -> list[int]:
    """Lines before which another picture begins, over the whole width or height of a block.

    Neighbours differ along a seam from end to end, and it is a pixel or two wide: the share of
    pixels that differ stands out of that of the lines around it, in every part of its length.
    Contours of cells and tissue are neither straight nor that long.

    Args:
        part: uint8 (h, w), the block.
        axis: 0 for seams between rows, 1 for seams between columns.
        among_bands: whether the block is a blot. Lanes and the edges of a gel are as straight as
            seams, but fainter; a row of bands has a straight edge above and below, and gaps.
    """
    contrast = settings.seam_contrast * (2.0 if among_bands else 1.0)
    if axis == 0:
        part = np.ascontiguousarray(part.T)
    height, width = part.shape
    if width < 2 * settings.min_panel or height < settings.seam_length:
        return []
    found: list[tuple[float, int]] = []
    for apart in (1, 3):  # a seam that was resampled is some pixels wide
        differs = _differing(part, apart, contrast, settings)
        peaks = _peaks(differs, settings.seam_excess + settings.seam_doubt / height**0.5, settings)
        found += [(excess, at + apart // 2 + 1) for excess, at in peaks]
    chosen: list[int] = []
    for _, at in sorted(found, reverse=True):
        if all(abs(at - other) >= settings.min_gutter for other in chosen):
            chosen.append(at)
    if among_bands:
        chosen = _without_rows_of_bands(part, sorted(chosen), settings)
    return _with_panels_between(sorted(chosen), width, settings)


def _without_rows_of_bands(part: Grey, seams: list[int], settings: MatchSettings) -> list[int]:
    """Those seams that do not enclose a row of bands: between two near ones lies a plain frame."""
    rows = set()
    for first, second in pairwise(seams):
        if second - first <= settings.thin_frame:
            along = part[:, first:second].mean(axis=1)
            off = np.abs(along - np.median(along)) > 2 * settings.gutter_ripple
            if off.mean() > settings.frame_gaps:
                rows |= {first, second}
    return [at for at in seams if at not in rows]


def _with_panels_between(seams: list[int], width: int, settings: MatchSettings) -> list[int]:
    """Those seams that have room for a panel, or for a frame, on either side."""
    kept: list[int] = []
    for number, at in enumerate(seams):
        before = at - (seams[number - 1] if number else 0)
        after = (seams[number + 1] if number + 1 < len(seams) else width) - at
        rooms = [
            room >= settings.min_panel or room <= settings.thin_frame for room in (before, after)
        ]
        if all(rooms) and max(before, after) >= settings.min_panel:
            kept.append(at)
    return kept


def _differing(
    part: Grey, apart: int, contrast: float, settings: MatchSettings
) -> NDArray[np.float32]:
    """Share of pixels that differ from those `apart` columns on, float32 (parts, w - apart)."""
    step = cv2.absdiff(part[:, apart:], part[:, :-apart])
    histogram = np.cumsum(cv2.calcHist([step], [0], None, [256], [0, 256]).ravel())
    common = int(np.searchsorted(histogram, settings.seam_quantile * step.size))
    marked = np.where(step > max(contrast, common), np.uint8(255), np.uint8(0))
    parts = min(_PARTS, max(2, part.shape[0] // _LEAST_PART))
    size = (step.shape[1], parts)
    shares = cv2.resize(marked.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(shares / 255, np.float32)


def _peaks(
    shares: NDArray[np.float32], excess: float, settings: MatchSettings
) -> list[tuple[float, int]]:
    """Columns that stand out of those around them in every part, with by how much."""
    mean = shares.mean(0)
    reach = settings.seam_surround
    padded = np.pad(mean, reach, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    inner = slice(reach - 4, reach + 5)
    beside = np.delete(around, np.r_[inner], axis=1)
    usual = np.quantile(beside, 0.75, axis=1)
    # One part of eight may be covered, or dark on both sides.
    weakest = np.sort(shares, axis=0)[1 if len(shares) == _PARTS else 0]
    stands_out = (
        (mean >= settings.seam_share)
        & (mean >= usual + excess)
        & (weakest >= np.maximum(settings.seam_weakest, 1.2 * usual))
    )
    return [
        (float(mean[at] - usual[at]), int(at))
        for at in np.flatnonzero(stands_out)
        if mean[at] >= mean[max(0, at - 3) : at + 4].max()
    ]
