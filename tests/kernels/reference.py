"""The kernels once more, written plainly: what the fast ones are tested against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Runs = NDArray[np.int64]


def encode(mask: NDArray[np.generic]) -> Runs:
    """Runs from the differences of the column-major flattening."""
    flat = np.concatenate([[0], (mask != 0).ravel(order="F"), [0]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat))
    return np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1).astype(np.int64)


def decode(runs: Runs, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask, one run at a time."""
    flat = np.zeros(shape[0] * shape[1], np.bool_)
    for start, length in runs:
        flat[start : start + length] = True
    return flat.reshape(shape, order="F")


def components(
    mask: NDArray[np.generic], connectivity: int
) -> list[tuple[int, tuple[int, ...], Runs]]:
    """Area, box and runs of every component, by the first pixel in column-major order."""
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    labels, count = ndimage.label(mask != 0, structure)
    found = []
    for label in range(1, count + 1):
        own = labels == label
        rows, columns = np.nonzero(own)
        box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        found.append((int(own.sum()), tuple(int(v) for v in box), encode(own)))
    return sorted(found, key=lambda component: component[2][0, 0])
