"""Proposals for copies that were scaled strongly: the dense field between two scales of an image.

The moments of a disc follow every turn but no change of scale by more than some 15 %, and keypoints
on a copy of half the size are few. So the discs of the image reduced by 2 and by the root of 2 are
compared with those of the image itself: what stands at half its size somewhere has equal discs in
both. Reduced images are small, so that it takes less time than the field of the image with itself.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.compute import CPU, Compute
from forgecli.match.dense import Discs, describe_discs, maps_of
from forgecli.match.proposals import Matches
from forgecli.match.settings import MatchSettings
from kernels.support import support

_RATIOS = (2.0, math.sqrt(2.0))
_SMOOTH = 0.8
"""Standard deviation in pixels that `Bands.smooth` is smoothed by."""


def scaled_matches(
    bands: Bands,
    usable: Mask,
    discs: Discs,
    settings: MatchSettings,
    compute: Compute = CPU,
) -> Matches:
    """Refined local maps between a place and where it stands much larger, the smaller place first.

    They are refined on the smoothed image and not on its low band: what is shape in the one place
    is texture in the other. Single ones agree by chance, at any scale, so those are kept that
    several around them agree with, as everywhere for strongly scaled maps.

    Args:
        bands: the image.
        usable: bool (H, W), what may be evidence.
        discs: of the image, see `forgecli.match.dense.discs_of`.
        settings: the sections of the dense field, "Proposals" and "Refinement".
        compute: where it is done.

    Returns:
        float64 (n, 8), as `refine_proposals` gives them.
    """
    found = [np.empty((0, 8))]
    for ratio in _RATIOS[: settings.scaled_ratios]:
        proposals = _between(bands, usable, discs, ratio, settings, compute)
        refined, correlation, _ = compute.refine(
            bands.smooth, proposals, radius=settings.patch_radius, steps=settings.refine_steps
        )
        alike = correlation > settings.min_patch_correlation
        refined = np.ascontiguousarray(refined[alike & _possible(refined, settings)])
        around = support(
            refined, radius=settings.cluster_radius, tolerance=settings.support_tolerance
        )
        found.append(refined[around >= settings.wide_support])
    return np.concatenate(found)


def _between(
    bands: Bands,
    usable: Mask,
    discs: Discs,
    ratio: float,
    settings: MatchSettings,
    compute: Compute,
) -> Matches:
    """What the field between the image and its reduced self agrees on, best supported first."""
    image, allowed = reduced(bands.grey, usable, ratio)
    small = describe_discs(image, allowed, discs.stride, settings, compute)
    if not small.takes_part.any() or not discs.takes_part.any():
        return np.empty((0, 8))
    field = compute.find_scaled_field(
        small.moments,
        small.takes_part,
        discs.moments,
        discs.takes_part,
        ratio=ratio,
        apart=math.ceil(settings.scaled_apart / discs.stride),
        tables=settings.scaled_orders,
        reach=settings.dense_beside,
        worth=settings.dense_similarity,
    )
    maps = maps_of(field, settings, compute)[: settings.scaled_matches]
    linear = np.linalg.inv(maps[:, 4:].reshape(-1, 2, 2)) * ratio
    on_grid = maps[:, :4] * discs.stride + settings.dense_radius
    reduced_at = (on_grid[:, :2] + 0.5) * ratio - 0.5
    return np.ascontiguousarray(
        np.column_stack((on_grid[:, 2:], reduced_at, linear.reshape(-1, 4)))
    )


def reduced(grey: FloatImage, usable: Mask, ratio: float) -> tuple[FloatImage, Mask]:
    """An image reduced by a ratio and smoothed as `Bands.smooth` is, and its usable pixels.

    The pixel (x, y) lies at ratio * (x + 0.5, y + 0.5) - 0.5 in the image.

    Args:
        grey: float32 (H, W).
        usable: bool (H, W).
        ratio: over 1.

    Returns:
        float32 and bool (floor(H / ratio), floor(W / ratio)).
    """
    width, height = (int(side / ratio) for side in (grey.shape[1], grey.shape[0]))
    if not width or not height:
        return np.empty((0, 0), np.float32), np.empty((0, 0), bool)
    lead = 0.5 * ratio - 0.5
    onto = np.array([[ratio, 0.0, lead], [0.0, ratio, lead]])

    def at(image: NDArray[Any], how: int) -> NDArray[Any]:
        flags = how | cv2.WARP_INVERSE_MAP
        found = cv2.warpAffine(
            image, onto, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(found)

    # What a pixel's own size blurs, half its side, is blurred by the reduced one's.
    sigma = 0.5 * math.sqrt(ratio * ratio - 1.0)
    sampled = at(cv2.GaussianBlur(grey, (0, 0), sigma), cv2.INTER_LINEAR)
    allowed = at(usable.astype(np.uint8), cv2.INTER_NEAREST)
    smooth = cv2.GaussianBlur(sampled, (0, 0), _SMOOTH, borderType=cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(smooth, np.float32), np.asarray(allowed > 0)


def _possible(matches: Matches, settings: MatchSettings) -> Mask:
    """Which maps scale and shear within bounds, and move their point far enough."""
    stretch = np.linalg.svd(matches[:, 4:].reshape(-1, 2, 2), compute_uv=False)
    scale = np.sqrt(stretch.prod(axis=1))
    sheared = stretch[:, 0] > settings.max_anisotropy * stretch[:, 1]
    moved = np.hypot(matches[:, 2] - matches[:, 0], matches[:, 3] - matches[:, 1])
    bounded = (scale > settings.wide_min_scale) & (scale < settings.wide_max_scale)
    return np.asarray(bounded & ~sheared & (moved >= settings.min_distance))
