"""Masks for the kernels that find components: shapes that are hard, and how masks lie on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.cuda.batch import Table, table_of, words_per_column
from kernels.cuda.components import words_of
from tests.kernels.strategies import plain_masks

Mask = NDArray[np.bool_]


def packed(masks: Sequence[Mask], min_area: int = 0) -> tuple[Table, NDArray[np.uint32]]:
    """A table of masks and their bit words."""
    table = table_of([mask.shape for mask in masks], [(1, 1)] * len(masks))
    table["min_area"] = min_area
    words = np.zeros(max(words_of(table), 1), np.uint32)
    for row, mask in zip(table, masks, strict=True):
        height, width = mask.shape
        padded = np.zeros((width, 32 * words_per_column(height)), np.bool_)
        padded[:, :height] = mask.T
        own = np.packbits(padded, axis=1, bitorder="little").view("<u4").ravel()
        start = int(row["word_offset"])
        words[start : start + own.size] = own
    return table, words


def spiral(side: int) -> Mask:
    """One line, wound up: the longest way from a component's first piece to its last."""
    mask = np.zeros((side, side), np.bool_)
    top, left, bottom, right = 0, 0, side - 1, side - 1
    row, column = 0, 0
    while top <= bottom and left <= right:
        mask[row, column : right + 1] = True
        mask[row : bottom + 1, right] = True
        mask[bottom, left : right + 1] = True
        top, bottom, right = top + 2, bottom - 2, right - 2
        if top > bottom:
            break
        mask[top : bottom + 3, left] = True
        row, column = top, left
        left += 2
    return mask


def drawn(side: int) -> dict[str, Mask]:
    """Masks by name, of about this side."""
    empty = np.zeros((side, side + 3), np.bool_)
    rows, columns = np.indices(empty.shape)
    comb = empty.copy()
    comb[::2] = True
    comb[:, -1] = True
    return {
        "empty": empty,
        "full": ~empty,
        "checkerboard": (rows + columns) % 2 == 0,
        "comb to the left": comb,
        "comb to the right": comb[:, ::-1].copy(),
        "comb upwards": comb.T.copy(),
        "columns": columns % 2 == 0,
        "rows": rows % 2 == 0,
        "spiral": spiral(side),
        "spiral turned": np.rot90(spiral(side)).copy(),
        "stairs": (rows - columns) % 8 < 2,
        "stairs back": (rows + columns) % 8 < 2,
        "one row": np.arange(5 * side)[None] % 3 > 0,
        "one column": np.arange(5 * side)[:, None] % 3 > 0,
        "one pixel": np.ones((1, 1), np.bool_),
        "last pixel": (rows == side - 1) & (columns == side + 2),
        "arcs": ((rows - side) ** 2 + (columns - side // 2) ** 2) // side % 2 == 0,
    }


def some(longest: int = 100) -> st.SearchStrategy[Mask]:
    """Masks that are not empty arrays: noise, blocks, and what `drawn` draws."""
    shapes = st.integers(1, longest * 4 // 5).flatmap(
        lambda side: st.sampled_from(list(drawn(side).values()))
    )
    return st.one_of(plain_masks(longest).filter(lambda mask: mask.size > 0), shapes)
