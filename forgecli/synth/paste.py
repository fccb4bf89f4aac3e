"""Put a patch into an image: with a hard edge, a soft one, or by Poisson blending."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from forgecli.synth.outline import Mask
from forgecli.synth.transform import Patch

_UNKNOWNS = 5000
"""The membrane is solved on a grid of at most so many points; it is smooth, so that is enough."""


def paste(
    ground: NDArray[np.uint8], patch: Patch, mask: Mask, mode: str, half_width: float
) -> NDArray[np.uint8]:
    """Blend a patch into what lies under it.

    Whatever the mode, `mask` is where the patch has more than half of the weight.

    Args:
        ground: uint8 (h, w, 3).
        patch: of the same size.
        mask: bool (h, w).
        mode: ``hard``, ``feather`` or ``poisson``.
        half_width: of the soft edge, in pixels; used by ``feather``.
    """
    below = ground.astype(np.float32)
    if mode == "feather":
        alpha = soft_edge(mask, half_width)
    elif mode == "poisson":
        patch = patch + membrane(below - patch, mask)
        alpha = mask.astype(np.float32)
    else:
        alpha = mask.astype(np.float32)
    mixed = below + alpha[:, :, None] * (patch - below)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def soft_edge(mask: Mask, half_width: float) -> NDArray[np.float32]:
    """Weights from 1 inside to 0 outside, above 0.5 exactly where `mask` is set.

    A region that is thin keeps a core of full weight.
    """
    if mask.all() or not mask.any():
        return mask.astype(np.float32)
    padded = np.pad(mask, 1).astype(np.uint8)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    half_width = min(half_width, 0.4 * float(inside.max()))
    distance = np.where(mask, inside - 0.5, 0.5 - outside)
    return np.clip(0.5 + distance / (2 * max(half_width, 0.25)), 0, 1).astype(np.float32)


def membrane(difference: Patch, mask: Mask) -> Patch:
    """The smoothest field inside a region that takes given values on its rim.

    Added to the patch, it makes the patch meet its surroundings while its gradients change as
    little as can be (Perez, Gangnet, Blake, "Poisson image editing", 2003; the membrane form is
    theirs as well). Solves Laplace's equation with the values just outside the mask as the border.

    Args:
        difference: float32 (h, w, 3), ground minus patch.
        mask: bool (h, w).
    """
    factor = max(1.0, float(np.sqrt(np.count_nonzero(mask) / _UNKNOWNS)))
    if factor > 1:
        size = (max(3, round(mask.shape[1] / factor)), max(3, round(mask.shape[0] / factor)))
        small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
        coarse = cv2.resize(difference, size, interpolation=cv2.INTER_AREA)
        field = _solve(np.asarray(coarse, np.float32), small)
        # Just outside the coarse region the border's own values hold; without them the field
        # would fade towards the rim when it is enlarged.
        field = np.where(small[:, :, None], field, coarse)
        fine = cv2.resize(field, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(fine, np.float32)
    return _solve(difference, mask)


def _solve(difference: NDArray[np.float32], mask: Mask) -> NDArray[np.float32]:
    """Laplace's equation inside `mask`, with `difference` around it as the border."""
    inside = np.pad(mask, 1)
    values = np.pad(difference, ((1, 1), (1, 1), (0, 0)), mode="edge")
    index = np.full(inside.shape, -1, np.int64)
    rows, columns = np.nonzero(inside)
    index[rows, columns] = np.arange(rows.size)
    right = np.zeros((rows.size, 3))
    first: list[NDArray[np.int64]] = []
    second: list[NDArray[np.int64]] = []
    here = np.arange(rows.size)
    for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        near = index[rows + down, columns + across]
        known = near < 0
        right[known] += values[rows[known] + down, columns[known] + across]
        first.append(here[~known])
        second.append(near[~known])
    i, j = np.concatenate(first), np.concatenate(second)
    laplace = (
        sparse.csc_matrix((np.full(i.size, -1.0), (i, j)), shape=(rows.size, rows.size))
        + sparse.identity(rows.size, format="csc") * 4.0
    )
    field = np.zeros((*inside.shape, 3), np.float32)
    field[rows, columns] = linalg.splu(laplace).solve(right)
    return field[1:-1, 1:-1]
