"""Maps of logits and truths made for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from forgecli.tune.grid import Grid
from forgecli.tune.tables import ImageTable
from kernels.rle import Runs, encode

GRID = Grid(
    pixels=(0.1, 0.5, 0.9),
    min_areas=(0, 2, 5, 40),
    quantiles=(0.5, 0.9, 1.0),
    policies=("merged", "components"),
)


def blobs(
    random: np.random.Generator, shape: tuple[int, int], count: int
) -> list[NDArray[np.bool_]]:
    """Rectangles, which may touch, cross, and be the same."""
    height, width = shape
    masks = []
    for _ in range(count):
        mask = np.zeros(shape, bool)
        top, left = int(random.integers(height)), int(random.integers(width))
        mask[top : top + int(random.integers(1, 6)), left : left + int(random.integers(1, 6))] = 1
        masks.append(mask)
    return masks


def runs_of(masks: list[NDArray[np.bool_]]) -> list[Runs]:
    """The runs of masks."""
    return [encode(mask) for mask in masks]


def noisy_map(
    random: np.random.Generator,
    shape: tuple[int, int],
    truth: list[NDArray[np.bool_]],
    noise: float,
) -> NDArray[np.float32]:
    """float32 (1, H, W): the truth lifted above a noisy ground."""
    lifted = np.zeros(shape)
    for mask in truth:
        lifted += mask
    logits = 3 * (lifted - 0.7) + noise * random.normal(size=shape)
    return logits.astype(np.float32)[None]


@st.composite
def images(draw: st.DrawFn, channels: int = 1) -> Any:
    """Logits (K, H, W) and the true instances, as masks."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    truth = blobs(random, shape, draw(st.integers(0, 4)))
    noise = draw(st.sampled_from([0.0, 0.5, 3.0]))
    logits = [noisy_map(random, shape, truth, noise) for _ in range(channels)]
    return np.concatenate(logits), truth


def tables_of(seed: int, count: int, *, noise: float = 1.0, grid: Grid = GRID) -> list[ImageTable]:
    """Tables of random images, every second one authentic."""
    random = np.random.default_rng(seed)
    tables = []
    for index in range(count):
        shape = (20, 24)
        truth = blobs(random, shape, index % 2 * int(random.integers(1, 3)))
        logits = noisy_map(random, shape, truth, noise)
        tables.append(ImageTable.of(logits, runs_of(truth), grid, case_id=f"{index:03d}"))
    return tables
