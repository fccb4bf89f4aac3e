"""The sum of many regression trees, for many samples: what a network's layer is to pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel, readonly

_FLOATS, _WHOLE = readonly("float32", 1), readonly("int32", 1)


@kernel(
    f"void({readonly('float32', 2)}, {_WHOLE}, {_WHOLE}, {_FLOATS}, {_WHOLE}, {_WHOLE}, {_FLOATS},"
    " float32[::1])"
)
def _sums(
    samples: NDArray[np.float32],
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    value: NDArray[np.float32],
    total: NDArray[np.float32],
) -> None:
    for row in range(samples.shape[0]):
        held = 0.0
        for tree in range(roots.shape[0]):
            node = roots[tree]
            while left[node] >= 0:
                goes_left = samples[row, feature[node]] <= threshold[node]
                node = left[node] if goes_left else right[node]
            held += value[node]
        total[row] = held


def sum_of_trees(
    samples: NDArray[np.float32],
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    value: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The values of the leaves that every sample ends in, added up.

    A sample goes left where its statistic is at most the node's threshold.

    Args:
        samples: float32 (n, statistics), C-contiguous.
        roots: int32 (trees,), the first node of every tree.
        feature, threshold, left, right, value: (nodes,) of all trees in one row, int32 and float32;
            `left` is -1 at a leaf, and an index into the same row elsewhere.

    Returns:
        float32 (n,).
    """
    total = np.empty(len(samples), np.float32)
    _sums(samples, roots, feature, threshold, left, right, value, total)
    return total
