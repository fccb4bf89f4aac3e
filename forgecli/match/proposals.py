"""Local affine matches: each says that one small patch of the image stands elsewhere too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forgecli.match.bands import Bands
from forgecli.match.compute import CPU, Compute
from forgecli.match.keypoints import MIRROR, NEGATIVE, Keypoints
from forgecli.match.settings import MatchSettings
from kernels.nearest import Best
from kernels.support import support

Matches = NDArray[np.float64]
"""float64 (n, 8): x, y of a point, x, y of its copy, and the 2x2 map of offsets, row by row."""


def propose(
    keypoints: Keypoints, settings: MatchSettings, compute: Compute = CPU, *, negative: bool = False
) -> Matches:
    """Match the keypoints of one image with each other, in original and in mirrored form.

    Every keypoint is compared with all others that are not its neighbours; those of its nearest
    that stand out against the last one looked at are proposals (the generalised 2-nearest-neighbour
    test, Amerini et al., TIFS 2011, with an absolute bound). The map of a proposal comes from the
    two keypoints' scales and orientations.

    Args:
        keypoints: of the image.
        settings: thresholds.
        compute: where they are compared.
        negative: match them with those of the image's negative.
    """
    if len(keypoints) < settings.neighbours + 1:
        return np.empty((0, 8))

    def most_similar(order: NDArray[np.int64]) -> tuple[Best, Best]:
        return compute.most_similar(
            keypoints.descriptors,
            order,
            keypoints.points,
            apart=settings.min_distance,
            k=settings.neighbours,
            least=_least_similarity(settings),
        )

    if negative:  # neither of its forms is among those as they are
        both = most_similar(NEGATIVE)[1], most_similar(NEGATIVE[MIRROR])[1]
    else:
        both = most_similar(MIRROR)
    found = []
    for mirrored, (index, similarity) in zip((False, True), both, strict=True):
        first, second = _standing_out(index, similarity, settings)
        found.append(_maps(keypoints, first, second, mirrored))
    matches = np.concatenate(found)
    if negative:  # its keypoints are turned by half a turn
        matches[:, 4:] *= -1.0
    near = _near_similarity(matches, settings)
    wide = np.flatnonzero(_near_similarity(matches, settings, strongly_scaled=True) & ~near)
    together = _supported(matches[wide], settings.wide_looseness, settings)
    return np.concatenate((matches[near], matches[wide[together]]))


def _least_similarity(settings: MatchSettings) -> float:
    """Of a neighbour so far away that any near enough to count stands out against it."""
    distance = settings.max_descriptor_distance / max(settings.max_ratio, 1e-3)
    return 1.0 - 0.5 * distance * distance - 1e-6


def _standing_out(
    index: NDArray[np.int64], similarity: NDArray[np.float32], settings: MatchSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each keypoint and each of its neighbours that is near, and nearer than the last one."""
    distance = np.sqrt(np.maximum(2.0 - 2.0 * similarity, 0.0))
    ratio_to = distance[:, -1:] * settings.max_ratio
    good = (index >= 0) & (distance < settings.max_descriptor_distance) & (distance < ratio_to)
    good[:, -1] = False
    row, rank = np.nonzero(good)
    return row, index[row, rank]


def _maps(
    keypoints: Keypoints,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    mirrored: bool,
) -> Matches:
    """Rotate the first orientation to the x axis, mirror if asked, rotate to the second, scale."""
    scale = keypoints.sizes[second] / keypoints.sizes[first]
    cos_a, sin_a = np.cos(keypoints.angles[first]), np.sin(keypoints.angles[first])
    cos_b, sin_b = np.cos(keypoints.angles[second]), np.sin(keypoints.angles[second])
    flip = -1.0 if mirrored else 1.0
    return np.column_stack(
        (
            keypoints.points[first],
            keypoints.points[second],
            scale * (cos_b * cos_a + flip * sin_b * sin_a),
            scale * (cos_b * sin_a - flip * sin_b * cos_a),
            scale * (sin_b * cos_a - flip * cos_b * sin_a),
            scale * (sin_b * sin_a + flip * cos_b * cos_a),
        )
    )


def _near_similarity(
    matches: Matches, settings: MatchSettings, *, strongly_scaled: bool = False
) -> NDArray[np.bool_]:
    """Which maps scale within bounds, hardly shear, and move their point far enough."""
    low, high = settings.min_scale, settings.max_scale
    if strongly_scaled:
        low, high = settings.wide_min_scale, settings.wide_max_scale
    a, b, c, d = matches[:, 4:].T
    determinant = np.abs(a * d - b * c)
    energy = a * a + b * b + c * c + d * d
    # Singular values s1 >= s2: s1^2 + s2^2 = energy, s1 * s2 = determinant.
    ratio = energy / np.maximum(2.0 * determinant, 1e-9)
    anisotropy = ratio + np.sqrt(np.maximum(ratio * ratio - 1.0, 0.0))
    scale = np.sqrt(determinant)
    moved = np.hypot(matches[:, 2] - matches[:, 0], matches[:, 3] - matches[:, 1])
    return np.asarray(
        (scale > low)
        & (scale < high)
        & (anisotropy < settings.max_anisotropy)
        & (moved >= settings.min_distance)
    )


def _supported(matches: Matches, tolerance: float, settings: MatchSettings) -> NDArray[np.bool_]:
    """Which matches several others around them agree with."""
    around = support(matches, radius=settings.cluster_radius, tolerance=tolerance)
    return np.asarray(around >= settings.wide_support)


def refine_proposals(
    bands: Bands, matches: Matches, settings: MatchSettings, compute: Compute = CPU
) -> tuple[Matches, NDArray[np.float32]]:
    """Refine proposals; keep those that agree, with their correlation.

    They are compared in the low band, which survives compression and noise. Where a copy was
    blended into its surroundings (Perez, Gangnet, Blake, "Poisson image editing", SIGGRAPH 2003)
    the shading on it is new and only its texture is not: what half agrees is compared in the
    middle band too.

    Strongly scaled maps are kept only where several agree: chance finds a likeness at any scale,
    and hardly ever the same one twice side by side.
    """
    refined, correlation, _ = compute.refine(
        bands.low, matches, radius=settings.patch_radius, steps=settings.refine_steps
    )
    alike = correlation > settings.min_patch_correlation
    half = np.flatnonzero(~alike & (correlation > settings.half_alike))
    fine, texture, _ = compute.refine(
        bands.middle,
        np.ascontiguousarray(matches[half]),
        radius=settings.patch_radius,
        steps=settings.refine_steps,
        promising=settings.fine_promising,
    )
    good = texture > settings.min_fine_correlation
    refined[half[good]], correlation[half[good]] = fine[good], texture[good]
    alike[half[good]] = True
    near = alike & _near_similarity(refined, settings)
    scaled = alike & ~near & _near_similarity(refined, settings, strongly_scaled=True)
    wide = np.flatnonzero(scaled)
    near[wide[_supported(refined[wide], settings.support_tolerance, settings)]] = True
    return np.ascontiguousarray(refined[near]), correlation[near]
