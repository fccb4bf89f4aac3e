"""What the match detector's kernels replace, as one writes it with NumPy and OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.bands import Bands
from forgecli.match.keypoints import MIRROR, Keypoints
from forgecli.match.proposals import Matches
from forgecli.match.settings import MatchSettings
from kernels.correlate import refine
from kernels.extent import extent
from kernels.local_correlation import local_correlation
from kernels.moved import correlations
from kernels.nearest import most_similar

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Material:
    """One image and what was found in it so far."""

    bands: Bands
    keypoints: Keypoints
    proposals: Matches
    settings: MatchSettings


@dataclass(frozen=True, slots=True)
class Comparison:
    """A kernel's call and the reference's, on the same work.

    Attributes:
        work: what is done, in words.
        by: the reference's name.
        ours, theirs: the calls.
        agree: whether both give the same, within tolerance.
    """

    work: str
    by: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    agree: Callable[[], bool]


def nearest(given: Material) -> Comparison:
    """All descriptors against all, plain and mirrored."""
    points, descriptors = given.keypoints.points, given.keypoints.descriptors
    apart, k = given.settings.min_distance, given.settings.neighbours

    def theirs() -> list[Image]:
        found = []
        for others in (descriptors, np.ascontiguousarray(descriptors[:, MIRROR])):
            rows = []
            for start in range(0, len(points), 1024):
                block = slice(start, start + 1024)
                similarity = descriptors[block] @ others.T
                dx = points[block, 0, None] - points[None, :, 0]
                dy = points[block, 1, None] - points[None, :, 1]
                similarity[dx * dx + dy * dy < apart * apart] = -np.inf
                best = np.argpartition(-similarity, k, axis=1)[:, :k]
                rows.append(-np.sort(-np.take_along_axis(similarity, best, axis=1), axis=1))
            found.append(np.concatenate(rows))
        return found

    def ours() -> list[Image]:
        both = most_similar(descriptors, MIRROR, points, apart=apart, k=k)
        return [value for _, value in both]

    def agree() -> bool:
        return all(np.allclose(a, b, atol=1e-4) for a, b in zip(ours(), theirs(), strict=True))

    return Comparison(
        f"{len(points)} descriptors, {k} nearest", "NumPy product and argpartition",
        ours, theirs, agree,
    )  # fmt: skip


def refined(given: Material) -> Comparison:
    """Proposals refined, one by one in the reference."""
    image, radius = given.bands.low, given.settings.patch_radius
    start = refine(image, given.proposals, radius=radius, steps=0)[1]
    some = np.ascontiguousarray(given.proposals[start > 0.5][:200])
    steps = given.settings.refine_steps

    def ours() -> NDArray[np.float32]:
        return refine(image, some, radius=radius, steps=steps, hopeless=-2.0)[1]

    def theirs() -> NDArray[np.float64]:
        return np.array([descended(image, match, radius, steps) for match in some])

    def agree() -> bool:
        # Whether a step leaves the image, or is the last, may hang on rounding.
        return bool(np.quantile(np.abs(ours() - theirs()), 0.9) < 1e-3)

    return Comparison(f"{len(some)} matches", "OpenCV warps, NumPy equations", ours, theirs, agree)


def descended(image: Image, match: NDArray[np.float64], radius: int, steps: int) -> float:
    """The correlation that inverse-compositional Gauss-Newton reaches, as the textbook has it."""
    side = 2 * radius + 1
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    corner = np.array([[1.0, 0.0, -radius], [0.0, 1.0, -radius], [0.0, 0.0, 1.0]])

    def normalised(warp: NDArray[np.float64]) -> NDArray[np.float64]:
        patch = cv2.warpAffine(image, (warp @ corner)[:2], (side, side), flags=flags)
        centred = np.asarray(patch, np.float64) - patch.mean()
        return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-9))

    x, y, tx, ty, a, b, c, d = match
    wide = np.array([[1.0, 0.0, x - radius - 1], [0.0, 1.0, y - radius - 1]])
    first = np.asarray(cv2.warpAffine(image, wide, (side + 2, side + 2), flags=flags), np.float64)
    gx = 0.5 * (first[1:-1, 2:] - first[1:-1, :-2])
    gy = 0.5 * (first[2:, 1:-1] - first[:-2, 1:-1])
    inner = first[1:-1, 1:-1] - first[1:-1, 1:-1].mean()
    norm = float(np.linalg.norm(inner))
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    jacobian = np.stack([gx * u, gx * v, gx, gy * u, gy * v, gy], axis=-1).reshape(-1, 6) / norm
    jacobian -= jacobian.mean(axis=0)
    gram = jacobian.T @ jacobian
    gram += 0.001 * np.diag(np.diag(gram))
    warp = np.array([[a, b, tx], [c, d, ty], [0.0, 0.0, 1.0]])
    patch = normalised(warp)
    best = float((patch * inner).sum() / norm)
    for _ in range(steps):
        p = np.linalg.solve(gram, jacobian.T @ (patch - inner / norm).ravel())
        step = np.array([[1 + p[0], p[1], p[2]], [p[3], 1 + p[4], p[5]], [0.0, 0.0, 1.0]])
        if abs(np.linalg.det(step)) < 0.2 or max(abs(p[2]), abs(p[5])) > radius:
            break
        warp = warp @ np.linalg.inv(step)
        patch = normalised(warp)
        best = max(best, float((patch * inner).sum() / norm))
        if abs(p[2]) + abs(p[5]) + radius * np.abs(p[[0, 1, 3, 4]]).sum() < 0.03:
            break
    return best


def reach(given: Material) -> Comparison:
    """Extents of refined matches, by warps, box filters and connected components."""
    settings, bands = given.settings, given.bands
    found, correlation, _ = refine(bands.low, given.proposals, radius=settings.patch_radius)
    some = np.ascontiguousarray(found[correlation > settings.min_patch_correlation][:300])
    radius, window = settings.extent_radius, settings.correlation_side
    limit = settings.extent_correlation

    def ours() -> NDArray[np.float32]:
        return extent(
            bands.smooth, bands.middle, some, radius=radius, window=window, threshold=limit
        )[:, 0]

    def theirs() -> NDArray[np.float32]:
        side = 2 * radius + 1
        areas = np.zeros(len(some), np.float32)
        for n, (x, y, tx, ty, a, b, c, d) in enumerate(some):
            left, top = round(x) - radius, round(y) - radius
            here = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
            linear = np.array([[a, b], [c, d]])
            moved = np.column_stack((linear, np.array([tx, ty]) + linear @ (left - x, top - y)))
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            p = np.asarray(
                cv2.warpAffine(bands.smooth, here, (side, side), flags=flags), np.float32
            )
            q = np.asarray(
                cv2.warpAffine(bands.smooth, moved, (side, side), flags=flags), np.float32
            )
            agrees = (boxed_correlation(p, q, window) > limit).astype(np.uint8)
            _, labels = cv2.connectedComponents(agrees, connectivity=4)
            middle = labels[radius - 3 : radius + 4, radius - 3 : radius + 4]
            areas[n] = np.isin(labels, np.setdiff1d(middle, [0])).sum()
        return areas

    def agree() -> bool:
        # At the neighbourhood's border windows are cut here and reflected there.
        one, two = ours(), theirs()
        return bool(np.median(np.abs(one - two)) <= 2)

    return Comparison(
        f"{len(some)} matches", "OpenCV warps, boxes and components", ours, theirs, agree
    )


def boxed_correlation(first: Image, second: Image, side: int) -> NDArray[np.float64]:
    """Local normalised correlation by OpenCV's box filters; -1 where a box is flat."""

    def box(image: NDArray[Any]) -> NDArray[np.float64]:
        mean = cv2.boxFilter(image, cv2.CV_64F, (side, side), borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(mean, np.float64)

    level = np.float32(first.mean())
    p, q = first - level, second - level
    mean_p, mean_q = box(p), box(q)
    var_p, var_q = box(p * p) - mean_p * mean_p, box(q * q) - mean_q * mean_q
    usable = (var_p > 1e-3) & (var_q > 1e-3)
    correlation = np.full(first.shape, -1.0)
    covariance = box(p * q) - mean_p * mean_q
    correlation[usable] = covariance[usable] / np.sqrt(var_p[usable] * var_q[usable])
    return correlation


def local(given: Material) -> Comparison:
    """Local correlation in a window of 200 x 200 pixels."""
    image = given.bands.smooth
    first = np.ascontiguousarray(image[20:220, 20:220])
    second = np.ascontiguousarray(image[23:223, 19:219])
    side = given.settings.correlation_side
    return Comparison(
        "200 x 200 pixels",
        "OpenCV box filters",
        lambda: local_correlation(first, second, side),
        lambda: boxed_correlation(first, second, side),
        lambda: bool(
            np.allclose(
                local_correlation(first, second, side),
                boxed_correlation(first, second, side),
                atol=2e-3,
            )
        ),
    )


def moved(given: Material) -> Comparison:
    """Correlation of a disc with its copy and with what stands 2 px beside it."""
    image = given.bands.middle
    disc = cv2.circle(np.zeros((81, 81), np.uint8), (40, 40), 40, (1,), cv2.FILLED) > 0
    rows, columns = np.nonzero(disc)
    affine = np.array([[0.9, -0.3, 150.0], [0.3, 0.9, 120.0]])
    moves = np.array([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]])

    def theirs() -> NDArray[np.float64]:
        found = []
        for move in moves:
            there = cv2.warpAffine(
                image, affine + np.array([[0, 0, move[0]], [0, 0, move[1]]]), (81, 81),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
            found.append(np.corrcoef(image[:81, :81][disc], there[disc])[0, 1])
        return np.array(found)

    def ours() -> NDArray[np.float64]:
        return correlations(image, rows, columns, affine, moves)

    return Comparison(
        f"{rows.size} pixels, 5 places", "OpenCV warps, NumPy corrcoef", ours, theirs,
        lambda: bool(np.allclose(ours(), theirs(), atol=2e-3)),
    )  # fmt: skip


REFERENCES: dict[str, Callable[[Material], Comparison]] = {
    "nearest.most_similar": nearest,
    "correlate.refine": refined,
    "extent.extent": reach,
    "local_correlation": local,
    "moved.correlations": moved,
}
"""By the kernel's name."""
