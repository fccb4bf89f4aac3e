from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.forest import sum_of_trees

Tree = tuple[list[int], list[float], list[int], list[int], list[float]]


def grown(rng: np.random.Generator, splits: int, columns: int) -> Tree:
    """A tree of so many splits, made by splitting leaves drawn at random."""
    feature, threshold, left, right, value = [0], [0.0], [-1], [-1], [float(rng.normal())]
    for _ in range(splits):
        leaf = int(rng.choice([node for node, to in enumerate(left) if to < 0]))
        feature[leaf] = int(rng.integers(columns))
        threshold[leaf] = float(rng.integers(-3, 4))  # whole, so that samples meet it exactly
        left[leaf], right[leaf] = len(left), len(left) + 1
        for _ in range(2):
            feature.append(0)
            threshold.append(0.0)
            left.append(-1)
            right.append(-1)
            value.append(float(np.float32(rng.normal())))
    return feature, threshold, left, right, value


def walked(tree: Tree, sample: np.ndarray) -> float:
    feature, threshold, left, right, value = tree
    node = 0
    while left[node] >= 0:
        node = left[node] if sample[feature[node]] <= threshold[node] else right[node]
    return value[node]


@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.integers(0, 9), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_as_one_tree_after_the_other(seed: int, trees: int, splits: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.integers(-4, 5, (7, columns)).astype(np.float32)
    forest = [grown(rng, splits, columns) for _ in range(trees)]
    sizes = [len(tree[2]) for tree in forest]
    roots = np.cumsum([0, *sizes])[:-1].astype(np.int32)

    def row(place: int, dtype: type, *, moved: bool = False) -> np.ndarray:
        parts = [
            np.where(np.array(tree[place]) < 0, -1, np.array(tree[place]) + root)
            if moved
            else np.array(tree[place])
            for tree, root in zip(forest, roots, strict=True)
        ]
        return np.concatenate([np.zeros(0), *parts]).astype(dtype)

    said = sum_of_trees(
        samples, roots, row(0, np.int32), row(1, np.float32), row(2, np.int32, moved=True),
        row(3, np.int32, moved=True), row(4, np.float32),
    )  # fmt: skip
    wanted = [sum(walked(tree, sample) for tree in forest) for sample in samples]
    assert said.dtype == np.float32
    np.testing.assert_allclose(said, wanted, atol=1e-5)
