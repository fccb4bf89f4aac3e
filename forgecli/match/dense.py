"""The dense source of proposals: copies too smooth or too small for keypoints.

A field of the most similar discs (`kernels.patchmatch`) covers the image; where neighbours in it
agree on one local map, the map is a proposal. Cozzolino, Poggi, Verdoliva, "Efficient dense-field
copy-move forgery detection", TIFS 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.compute import CPU, Compute, Field, Moments
from forgecli.match.evidence import share_around
from forgecli.match.proposals import Matches
from forgecli.match.settings import MatchSettings


@dataclass(frozen=True, slots=True)
class Discs:
    """Of an image, what a field is sought over.

    Attributes:
        moments: of the discs on its grid.
        takes_part: bool (h, w), those that may be evidence and that vary.
        stride: pixels from one to the next; the first is the pixel (`dense_radius`,
            `dense_radius`).
    """

    moments: Moments
    takes_part: Mask
    stride: int


def discs_of(
    bands: Bands,
    usable: Mask,
    settings: MatchSettings,
    compute: Compute = CPU,
    *,
    inside: Mask | None = None,
) -> Discs:
    """The discs of an image; arguments as for `dense_matches`."""
    stride = 1 if usable.size <= settings.dense_every_pixel else 2
    if inside is not None:
        usable = usable & (share_around(inside, settings.dense_radius) >= settings.patch_share)
    return describe_discs(bands.smooth, usable, stride, settings, compute)


def describe_discs(
    image: FloatImage, usable: Mask, stride: int, settings: MatchSettings, compute: Compute
) -> Discs:
    """The discs around every so manieth usable pixel of an image, float32 (H, W)."""
    moments = compute.describe(
        image, radius=settings.dense_radius, stride=stride, lift=settings.dense_lift
    )
    height, width = moments.energy.shape
    start = settings.dense_radius
    takes_part = usable[start::stride, start::stride][:height, :width]
    varies = moments.energy > settings.dense_contrast**2
    return Discs(moments, np.ascontiguousarray(takes_part & varies), stride)


def dense_matches(
    bands: Bands,
    usable: Mask,
    settings: MatchSettings,
    compute: Compute = CPU,
    *,
    inside: Mask | None = None,
    discs: Discs | None = None,
) -> Matches:
    """Local maps that the field of most similar discs agrees on, best supported first.

    Args:
        bands: the image.
        usable: bool (H, W); discs around other pixels are left out.
        settings: the section "Dense field", and `patch_share`.
        compute: where the field is made.
        inside: bool (H, W), pixels of panels; discs on the edges of panels are left out. None:
            all.
        discs: what `discs_of` says of all this, if it was asked already.

    Returns:
        float64 (n, 8), at most `settings.dense_matches`, spread over the image; each pair of places
        once, the upper one first.
    """
    if discs is None:
        discs = discs_of(bands, usable, settings, compute, inside=inside)
    field = compute.find_field(
        discs.moments,
        discs.takes_part,
        apart=max(1, math.ceil(settings.min_distance / discs.stride)),
        tables=settings.dense_orders,
        reach=settings.dense_beside,
        worth=settings.dense_similarity,
    )
    matches = _upper_first(maps_of(field, settings, compute))
    # A copy is found from both its ends.
    cells = np.floor(matches[:, :4] / settings.dense_cell).astype(np.int64)
    _, first = np.unique(cells, axis=0, return_index=True)
    matches = matches[np.sort(first)[: settings.dense_matches]]
    matches[:, :4] = matches[:, :4] * discs.stride + settings.dense_radius
    return np.ascontiguousarray(matches)


def maps_of(field: Field, settings: MatchSettings, compute: Compute) -> Matches:
    """Local maps that neighbours in a field agree on, in grid points, best supported first."""
    count = compute.agreeing(
        field,
        reach=settings.dense_reach,
        tolerance=settings.dense_tolerance,
        worth=settings.dense_similarity,
    )
    chosen = _best_of_cells(count, field.score, settings)
    maps, error = compute.local_maps(
        field,
        chosen,
        reach=settings.dense_reach,
        tolerance=settings.dense_tolerance,
        worth=settings.dense_similarity,
    )
    area = np.abs(maps[:, 4] * maps[:, 7] - maps[:, 5] * maps[:, 6])
    return maps[(error < settings.dense_error) & (area > settings.min_scale**2)]


def _best_of_cells(
    count: NDArray[np.int32], score: NDArray[np.int32], settings: MatchSettings
) -> NDArray[np.int64]:
    """The best supported point of each cell, best first."""
    worth = count.astype(np.float64) + score / (score.max(initial=1) + 1.0)
    side = settings.dense_cell
    rows, columns = -(-count.shape[0] // side), -(-count.shape[1] // side)
    padded = np.zeros((rows * side, columns * side))
    padded[: count.shape[0], : count.shape[1]] = worth
    cells = padded.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(-1, side * side)
    inside = cells.argmax(axis=1)
    best = cells[np.arange(len(cells)), inside]
    number = np.arange(len(cells))
    y = number // columns * side + inside // side
    x = number % columns * side + inside % side
    good = np.flatnonzero(best >= settings.dense_agreeing)
    good = good[np.argsort(-best[good], kind="stable")][: 4 * settings.dense_matches]
    return np.ascontiguousarray(y[good] * count.shape[1] + x[good])


def _upper_first(matches: Matches) -> Matches:
    """Turn round the matches whose second point is the upper one."""
    turned = (matches[:, 3] < matches[:, 1]) | (
        (matches[:, 3] == matches[:, 1]) & (matches[:, 2] < matches[:, 0])
    )
    out = matches.copy()
    out[turned, :4] = matches[turned][:, [2, 3, 0, 1]]
    linear = matches[turned, 4:].reshape(-1, 2, 2)
    out[turned, 4:] = np.linalg.inv(linear).reshape(-1, 4)
    return out
