"""Column-major run-length coding of masks, in memory and as competition text.

A mask at rest is its runs: an int64 array (k, 2) of (start, length) over the column-major
(Fortran) flattening, 0-based. They are canonical: starts ascending, runs neither overlapping nor
adjacent, lengths positive. Only in text are starts 1-based.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import bitplane, runtext
from kernels.jit import kernel, readonly

Runs = NDArray[np.int64]
"""int64 (k, 2): column-major (start, length), 0-based. See the module."""

Mask = NDArray[np.bool_] | NDArray[np.uint8]
"""bool or uint8 (H, W), nonzero where set."""

_RUNS = readonly("int64", 2)
_NO_RUNS_SHAPE = (0, 2)


def encode(mask: Mask) -> Runs:
    """The canonical runs of a mask.

    Args:
        mask: bool or uint8 (H, W), any memory order and strides; nonzero is set. C-contiguous and
            Fortran-contiguous masks are read as they lie, others are copied first.

    Raises:
        ValueError: not two-dimensional, or of another dtype.
    """
    pixels = contiguous_pixels(mask)
    height, width = pixels.shape
    if pixels.size == 0:
        return np.empty(_NO_RUNS_SHAPE, np.int64)
    if pixels.flags.f_contiguous:
        height, width = pixels.size, 1
    marked = bitplane.empty_words(height, width)
    summary = bitplane.empty_words(len(marked), width)
    if pixels.flags.f_contiguous:
        changes = bitplane.mark_flat_changes(pixels.ravel(order="F"), marked, summary)
    else:
        changes = bitplane.mark_changes(pixels, marked, summary)
    runs = np.empty(changes + (changes & 1), np.int64)
    bitplane.list_runs(marked, summary, height, width, runs)
    return runs.reshape(-1, 2)


def decode(runs: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of runs.

    Args:
        runs: int64 (k, 2). They may be in any order and overlap; a pixel is set if one covers it.
        shape: (H, W) of the mask.

    Returns:
        bool (H, W), C-contiguous.

    Raises:
        ValueError: a run leaves the mask, or has a negative start or length.
    """
    height, width = shape
    if height < 0 or width < 0:
        raise ValueError(f"a mask has a height and a width of 0 or more. Got: {shape}")
    array = as_runs(runs)
    outside = _first_outside(array, height * width)
    if outside >= 0:
        raise ValueError(
            f"run {outside} leaves the {height} x {width} mask of {height * width} pixels. "
            f"Got: start {array[outside, 0]}, length {array[outside, 1]}"
        )
    mask = np.empty((height, width), np.uint8)
    if mask.size:
        words = bitplane.empty_words(height, width)
        words[:] = 0
        bitplane.set_runs(array, height, words)
        bitplane.unpack(words, mask)
    return mask.view(np.bool_)


def canonical(runs: ArrayLike) -> Runs:
    """Runs without empty ones, adjacent ones joined.

    Args:
        runs: int64 (k, 2). Adjacent runs and runs of length 0 are allowed.

    Raises:
        ValueError: a negative start or length, a start that is less than the one before it, a run
            that starts before the end of the one before it.
    """
    array = as_runs(runs)
    joined = np.empty_like(array)
    count, fault, at = _join(array, joined)
    if fault:
        start, length = array[at]
        raise ValueError(f"run {at} {_FAULTS[fault]}. Got: start {start}, length {length}")
    return joined if count == len(joined) else joined[:count].copy()


def to_text(runs: ArrayLike) -> str:
    """Runs as a JSON list with 1-based starts, as in a submission: ``[1, 2, 5, 1]``.

    Raises:
        ValueError: a negative start or length.
    """
    array = as_runs(runs)
    bad = _first_outside(array, np.iinfo(np.int64).max)
    if bad >= 0:
        start, length = array[bad]
        raise ValueError(f"run {bad} is not a run. Got: start {start}, length {length}")
    return runtext.write(array)


def from_text(text: str | bytes) -> NDArray[np.int64]:
    """The runs of a JSON list of 1-based starts and lengths, as they are written.

    They are not sorted, joined or checked against an image, so that a caller can judge them:
    starts may be negative, lengths too. `canonical` makes `Runs` of them.

    Returns:
        int64 (k, 2), 0-based. Every number is between -2**62 and 2**62, so no sum overflows.

    Raises:
        ValueError: not such a list. Says what was expected at which character, counted from 1.
    """
    return runtext.read(text)


def annotation_to_text(instances: Iterable[ArrayLike]) -> str:
    """The annotation of an image with these instances: their lists joined by ``;``.

    An empty annotation is not valid in a submission; what stands for no instance is the caller's.
    """
    return ";".join(to_text(runs) for runs in instances)


def annotation_from_text(text: str | bytes) -> list[NDArray[np.int64]]:
    """The runs of each instance of an annotation, as they are written. See `from_text`.

    Raises:
        ValueError: as `from_text`, with the number of the instance, counted from 1.
    """
    parts: list[Any] = text.split(";") if isinstance(text, str) else text.split(b";")
    instances = []
    for number, part in enumerate(parts, 1):
        try:
            instances.append(from_text(part))
        except ValueError as error:
            if len(parts) == 1:
                raise
            raise ValueError(f"instance {number}: {error}") from None
    return instances


def as_runs(runs: ArrayLike) -> Runs:
    """`runs` as a C-contiguous int64 (k, 2), copied only if it is not one. Values are not checked.

    Raises:
        ValueError: another shape, or values that are not whole numbers.
    """
    array = np.asarray(runs)
    if array.shape in ((0,), _NO_RUNS_SHAPE):
        return np.empty(_NO_RUNS_SHAPE, np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise ValueError(f"runs are integers of shape (k, 2). Got: {array.dtype} {array.shape}")
    return np.require(array, np.int64, ["C", "A"])


def contiguous_pixels(mask: Mask) -> NDArray[np.uint8]:
    """A mask as uint8, C- or Fortran-contiguous, copied only if it is neither.

    Raises:
        ValueError: not two-dimensional, or of another dtype.
    """
    array = np.asarray(mask)
    if array.ndim != 2 or array.dtype not in (np.bool_, np.uint8):
        raise ValueError(
            f"a mask is a bool or uint8 array of shape (H, W). Got: {array.dtype} {array.shape}"
        )
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = array.copy(order="K")
    return array.view(np.uint8)


@kernel(f"int64({_RUNS}, int64)")
def _first_outside(runs: Runs, size: int) -> int:
    """The first run that is not within `size` pixels, or -1."""
    for i in range(runs.shape[0]):
        start, length = runs[i]
        if start < 0 or length < 0 or start > size or length > size - start:
            return i
    return -1


_FAULTS = ("", "is negative", "starts before the one before it", "overlaps the one before it")


@kernel(f"UniTuple(int64, 3)({_RUNS}, int64[:, ::1])")
def _join(runs: Runs, joined: Runs) -> tuple[int, int, int]:
    """Write canonical runs. Returns their number, the fault if any, and the faulty run."""
    count = 0
    last_start = last_end = 0
    for i in range(runs.shape[0]):
        start, length = runs[i]
        if start < 0 or length < 0:
            return 0, 1, i
        if start < last_start:
            return 0, 2, i
        if start < last_end:
            return 0, 3, i
        last_start = start
        last_end = start + length
        if length == 0:
            continue
        if count and joined[count - 1, 0] + joined[count - 1, 1] == start:
            joined[count - 1, 1] += length
        else:
            joined[count, 0] = start
            joined[count, 1] = length
            count += 1
    return count, 0, 0
