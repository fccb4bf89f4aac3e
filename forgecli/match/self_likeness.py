"""A region beside itself: whether it repeats in itself, and whether it is its own mirror image.

A hatched bar, a lattice and a ladder of a gel agree with themselves a period further on, and a
round cell with itself turned over. Such a region agrees with others of its kind as well as with a
copy, so its agreement says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from forgecli.match.agreement import Mask
from forgecli.match.bands import FloatImage

_LARGEST = 48
"""Pixels: of a larger region the middle is looked at. Repeats and symmetries show there too."""
_NEAREST = 4
"""Pixels: what is alike nearer than this is one edge, no period."""
_BESIDE = 2
"""Pixels around a peak, among which nothing is higher."""
_PEAK = np.ones((2 * _BESIDE + 1, 2 * _BESIDE + 1), np.uint8)
_SHARED_MOVED, _SHARED_TURNED = 0.3, 0.6
"""Of the region, that must lie on itself when it is moved, or turned over; less agrees by chance.
Turned over, the place of the centre is free, and most of a copy must be seen."""
_FLAT = 0.01
"""Grey levels of standard deviation up to which a region is flat."""


def self_likeness(bands: Sequence[FloatImage], inside: Mask) -> list[tuple[float, float]]:
    """How well a region correlates with itself, moved and turned over, in several bands.

    Autocorrelation of the masked region, normalised by what of it lies on itself (Padfield, "Masked
    object registration in the Fourier domain", IEEE TIP 2012, with one mean for all moves).

    Args:
        bands: float32 (h, w) each, around the region, without its ground.
        inside: bool (h, w), the region, of at least one pixel.

    Returns:
        for every band the highest peak of its correlation with itself moved by 4 px or more, and
        the highest of its correlation with itself turned by half a turn, about whatever point. Both
        from 0 to 1; 0 and 0 of a region that is flat.
    """
    part = _middle(inside)
    mask = inside[part]
    count = int(np.count_nonzero(mask))
    if count == 0:  # of a large ring, the middle
        return [(0.0, 0.0)] * len(bands)
    size = (_fast(mask.shape[0]), _fast(mask.shape[1]))
    centred = [_centred(band[part], mask) for band in bands]
    seen = mask.astype(np.float32)
    spectra = np.fft.rfft2(np.stack([*centred, *map(np.square, centred), seen]), size)
    values, squares, region = spectra[: len(bands)], spectra[len(bands) : -1], spectra[-1:]
    back = np.conj(region)
    shared, turned_shared, *found = np.fft.irfft2(
        np.concatenate(
            (
                region * back, region * region, values * np.conj(values), squares * back,
                values * values, squares * region,
            )
        ),
        size,
    )  # fmt: skip
    # A move and its opposite say the same, so half of them are looked at, and what peaks need.
    height, width = mask.shape
    down, across = np.arange(-_BESIDE, height), np.arange(1 - width, width)
    here = np.ix_(down % size[0], across % size[1])
    there = np.ix_(-down % size[0], -across % size[1])
    few = shared[here] < _SHARED_MOVED * count
    far = (down**2)[:, None] + across**2 >= _NEAREST**2
    enough = turned_shared >= _SHARED_TURNED * count
    results = []
    for number, own in enumerate(centred):
        moved, energy, turned, turned_energy = found[number :: len(bands)]
        total = float(np.square(own).sum())
        if total <= _FLAT**2 * count:
            results.append((0.0, 0.0))
            continue
        least = 1e-6 * total
        both = np.maximum(energy[here], least) * np.maximum(energy[there], least)
        alike = moved[here] / np.sqrt(both)
        alike[few] = 0.0
        peaks = far & (alike >= cv2.dilate(alike, _PEAK) - 1e-6)
        over = turned[enough] / np.maximum(turned_energy[enough], least)
        results.append((_share(alike[peaks]), _share(over)))
    return results


def _centred(image: FloatImage, mask: Mask) -> FloatImage:
    """A region less its mean, and zero around it."""
    return np.where(mask, image - image[mask].mean(), np.float32(0.0)).astype(np.float32)


@cache
def _fast(side: int) -> int:
    """A size that is transformed fast, in which a row of so many pixels meets itself only once."""
    return int(cv2.getOptimalDFTSize(2 * side - 1))


def _middle(inside: Mask) -> tuple[slice, slice]:
    """The box of a region, or, of a large one, a box around its centre."""
    parts = []
    for axis in (1, 0):
        along = np.flatnonzero(inside.any(axis=axis))
        first, last = int(along[0]), int(along[-1]) + 1
        if last - first > _LARGEST:
            weight = np.count_nonzero(inside, axis=axis)
            centre = round(float(np.average(np.arange(weight.size), weights=weight)))
            first = min(max(first, centre - _LARGEST // 2), last - _LARGEST)
            last = first + _LARGEST
        parts.append(slice(first, last))
    return parts[0], parts[1]


def _share(values: FloatImage) -> float:
    return float(np.clip(values.max(initial=0.0), 0.0, 1.0))
