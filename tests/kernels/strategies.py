"""Masks and runs for Hypothesis: shapes, types, memory orders, strides and densities."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

LAYOUTS = (
    "C",
    "F",
    "transposed",
    "rows flipped",
    "columns flipped",
    "every other",
    "crop",
    "frozen",
)
DENSITIES = (0.0, 0.02, 0.1, 0.5, 0.9, 0.98, 1.0)


def laid_out(mask: NDArray[Any], layout: str) -> NDArray[Any]:
    """The same values in another memory order, or as a view with other strides."""
    height, width = mask.shape
    if layout == "F":
        return np.asfortranarray(mask)
    if layout == "transposed":
        return np.ascontiguousarray(mask.T).T
    if layout == "rows flipped":
        return np.ascontiguousarray(mask[::-1])[::-1]
    if layout == "columns flipped":
        return np.asfortranarray(mask[:, ::-1])[:, ::-1]
    if layout == "every other":
        wide = np.ones((2 * height, 3 * width), mask.dtype)
        wide[::2, ::3] = mask
        return wide[::2, ::3]
    if layout == "crop":
        frame = np.ones((height + 2, width + 5), mask.dtype)
        frame[1:-1, 2:-3] = mask
        return frame[1:-1, 2:-3]
    copy = np.ascontiguousarray(mask)
    if layout == "frozen":
        copy.flags.writeable = False
    return copy


@st.composite
def plain_masks(draw: st.DrawFn, longest: int = 150) -> NDArray[np.bool_]:
    """A bool mask (H, W), C-contiguous: noise, or noise in blocks, so that runs get long."""
    # Whole words are 64 rows, so sizes around its multiples matter most.
    sizes = st.one_of(st.integers(0, longest), st.sampled_from([1, 8, 63, 64, 65, 127, 128, 129]))
    height, width = draw(sizes), draw(sizes)
    density = draw(st.sampled_from(DENSITIES))
    block = draw(st.sampled_from([1, 1, 3, 20]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    small = random.random((height // block + 1, width // block + 1)) < density
    return np.kron(small, np.ones((block, block), np.bool_))[:height, :width].copy()


@st.composite
def masks(draw: st.DrawFn, longest: int = 150) -> NDArray[Any]:
    """A bool or uint8 mask (H, W) in any layout; uint8 ones hold any value where set."""
    mask: NDArray[Any] = draw(plain_masks(longest))
    if draw(st.booleans()):
        random = np.random.default_rng(0)
        mask = np.where(mask, random.integers(1, 256, mask.shape), 0).astype(np.uint8)
    return laid_out(mask, draw(st.sampled_from(LAYOUTS)))


@st.composite
def untidy_runs(draw: st.DrawFn, size: int = 400, most: int = 40) -> NDArray[np.int64]:
    """Runs within `size` pixels that are valid but not canonical: adjacent ones and empty ones."""
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=most)))
    runs = [
        (start, draw(st.sampled_from([0, end - start, (end - start) // 2])))
        for start, end in pairwise(cuts)
    ]
    return np.array(runs, np.int64).reshape(-1, 2)
