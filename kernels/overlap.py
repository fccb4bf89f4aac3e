"""The algebra of runs: areas, unions, intersections and F1 without making a mask.

Runs are int64 (k, 2), column-major (start, length), 0-based, starts ascending and runs not
overlapping. Adjacent runs and runs of length 0 are allowed going in; results are canonical. See
`kernels.rle`. Two lists are swept once, so every function is linear in the number of runs,
whatever the size of the image. Values are not checked: `kernels.rle.canonical` does that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.jit import kernel, readonly
from kernels.rle import Runs, as_runs

_RUNS = readonly("int64", 2)
_OFFSETS = readonly("int64", 1)

# Which of (in neither, in a only, in b only, in both) are kept, as bits 0 to 3.
_UNION, _INTERSECTION, _DIFFERENCE = 0b1110, 0b1000, 0b0010


def area(runs: ArrayLike) -> int:
    """The number of pixels."""
    return int(as_runs(runs)[:, 1].sum())


def union(a: ArrayLike, b: ArrayLike) -> Runs:
    """The pixels of `a` or `b`."""
    return _combined(a, b, _UNION)


def intersection(a: ArrayLike, b: ArrayLike) -> Runs:
    """The pixels of both `a` and `b`."""
    return _combined(a, b, _INTERSECTION)


def difference(a: ArrayLike, b: ArrayLike) -> Runs:
    """The pixels of `a` that are not in `b`."""
    return _combined(a, b, _DIFFERENCE)


def intersection_area(a: ArrayLike, b: ArrayLike) -> int:
    """The number of pixels of both `a` and `b`."""
    return int(_shared(as_runs(a), as_runs(b)))


def f1(a: ArrayLike, b: ArrayLike) -> float:
    """The pixel F1, or Dice: twice the shared area over the sum of areas. 0 if both are empty."""
    a, b = as_runs(a), as_runs(b)
    areas = area(a) + area(b)
    return 2 * intersection_area(a, b) / areas if areas else 0.0


def f1_matrix(a: Sequence[ArrayLike], b: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """The `f1` of each of `a` with each of `b`.

    Returns:
        float64 (len(a), len(b)).
    """
    scores = np.empty((len(a), len(b)), np.float64)
    _f1_matrix(*_concatenated(a), *_concatenated(b), scores)
    return scores


def _combined(a: ArrayLike, b: ArrayLike, kept: int) -> Runs:
    a, b = as_runs(a), as_runs(b)
    out = np.empty((len(a) + len(b), 2), np.int64)
    count = _combine(a, b, kept, out)
    return out if count == len(out) else out[:count].copy()


def _concatenated(masks: Sequence[ArrayLike]) -> tuple[Runs, NDArray[np.int64]]:
    """All runs in one array, and where those of each mask begin and end in it."""
    arrays = [as_runs(runs) for runs in masks]
    offsets = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(runs) for runs in arrays], out=offsets[1:])
    runs = np.concatenate(arrays) if arrays else np.empty((0, 2), np.int64)
    return runs, offsets


@kernel(f"int64({_RUNS}, {_RUNS}, int64, int64[:, ::1])")
def _combine(a: Runs, b: Runs, kept: int, out: Runs) -> int:
    """Sweep the starts and ends of both lists in order; write runs where membership is kept.

    Entry 2 i of a list's boundaries is the start of run i, entry 2 i + 1 its end.
    """
    boundaries_a, boundaries_b = 2 * a.shape[0], 2 * b.shape[0]
    i = j = count = 0
    inside = False
    while i < boundaries_a or j < boundaries_b:
        here = np.iinfo(np.int64).max
        if i < boundaries_a:
            here = a[i >> 1, 0] + (i & 1) * a[i >> 1, 1]
        if j < boundaries_b:
            here = min(here, b[j >> 1, 0] + (j & 1) * b[j >> 1, 1])
        # Past all boundaries of this place: adjacent and empty runs leave no trace.
        while i < boundaries_a and a[i >> 1, 0] + (i & 1) * a[i >> 1, 1] == here:
            i += 1
        while j < boundaries_b and b[j >> 1, 0] + (j & 1) * b[j >> 1, 1] == here:
            j += 1
        now = bool((kept >> ((i & 1) + 2 * (j & 1))) & 1)
        if now and not inside:
            out[count, 0] = here
        elif inside and not now:
            out[count, 1] = here - out[count, 0]
            count += 1
        inside = now
    return count


@kernel(f"int64({_RUNS}, {_RUNS})")
def _shared(a: Runs, b: Runs) -> int:
    """The shared area."""
    total = i = j = 0
    while i < a.shape[0] and j < b.shape[0]:
        end_a = a[i, 0] + a[i, 1]
        end_b = b[j, 0] + b[j, 1]
        total += max(0, min(end_a, end_b) - max(a[i, 0], b[j, 0]))
        if end_a <= end_b:
            i += 1
        else:
            j += 1
    return total


@kernel()
def _first_reaching(runs: Runs, lowest: int) -> int:
    """The first run that ends after `lowest`, by bisection."""
    low, high = 0, runs.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if runs[middle, 0] + runs[middle, 1] > lowest:
            high = middle
        else:
            low = middle + 1
    return low


@kernel(f"void({_RUNS}, {_OFFSETS}, {_RUNS}, {_OFFSETS}, float64[:, ::1])")
def _f1_matrix(
    runs_a: Runs,
    offsets_a: NDArray[np.int64],
    runs_b: Runs,
    offsets_b: NDArray[np.int64],
    scores: NDArray[np.float64],
) -> None:
    areas_b = np.zeros(offsets_b.size - 1, np.int64)
    for m in range(offsets_b.size - 1):
        areas_b[m] = runs_b[offsets_b[m] : offsets_b[m + 1], 1].sum()
    for n in range(offsets_a.size - 1):
        a = runs_a[offsets_a[n] : offsets_a[n + 1]]
        area_a = a[:, 1].sum()
        for m in range(offsets_b.size - 1):
            b = runs_b[offsets_b[m] : offsets_b[m + 1]]
            shared = 0
            if area_a and areas_b[m]:
                # Masks that lie apart cost a bisection, not a sweep.
                shared = _shared(a[_first_reaching(a, b[0, 0]) :], b[_first_reaching(b, a[0, 0]) :])
            areas = area_a + areas_b[m]
            scores[n, m] = 2 * shared / areas if areas else 0.0
