"""What a row says of its image: `authentic`, or the runs of every instance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.rle import Runs, annotation_from_text, canonical

AUTHENTIC = "authentic"

MOST_INSTANCES = 100_000
"""In one annotation. Real images have at most 5."""

_NOTHING = frozenset({"", "nan", "none", "null", "na", "n/a"})
_WRITE_AUTHENTIC = f"write {AUTHENTIC} where there is no instance"
_WRITE_LISTS = (
    "write one list [start, length, start, length, ...] of whole numbers per instance, "
    "joined by ';'"
)


class BadAnnotation(ValueError):
    """An annotation that cannot be scored.

    Attributes:
        what: what is wrong with it. Pixels and runs are counted from 1, as in the text.
        mend: what to do about it.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")
        self.what = what
        self.mend = mend


def read_annotation(text: str, shape: tuple[int, int] | None) -> list[Runs]:
    """The instances of an annotation, each as canonical runs (see `kernels.rle`).

    Adjacent runs, runs of length 0 and, beside other instances, an empty list are allowed, as the
    competition allows them.

    Args:
        shape: (H, W) of the image; None where it is not known, then runs may end anywhere.

    Returns:
        Empty for `authentic`.

    Raises:
        BadAnnotation: anything else, nothing but empty lists, an odd count of numbers, runs that
            are unsorted, overlap, are negative or leave the image.
    """
    if text == AUTHENTIC:
        return []
    if not text.startswith("["):
        _refuse_words(text)
    if text.count(";") >= MOST_INSTANCES:
        raise BadAnnotation(f"there are more than {MOST_INSTANCES} instances", "join small ones")
    try:
        written = annotation_from_text(text)
    except ValueError as error:
        raise BadAnnotation(str(error), _WRITE_LISTS) from None
    if not any(len(runs) for runs in written):
        raise BadAnnotation("the list is empty", _WRITE_AUTHENTIC)
    pixels = shape[0] * shape[1] if shape else None
    instances = []
    for number, runs in enumerate(written, 1):
        place = f"instance {number}, " if len(written) > 1 else ""
        try:
            joined = canonical(runs)
        except ValueError:
            raise _fault(runs, place) from None
        if pixels is not None and len(joined) and joined[-1].sum() > pixels:
            assert shape is not None
            raise BadAnnotation(
                f"{place}the last run ends at pixel {joined[-1].sum()}, but the image of "
                f"{shape[0]} x {shape[1]} (height x width) has {pixels}",
                "encode the mask at the size of the image",
            )
        instances.append(joined)
    return instances


def _refuse_words(text: str) -> None:
    """Raise for what is known not to be lists and has a better mend than a position."""
    bare = text.strip().strip("\"'").casefold()
    if bare in _NOTHING:
        what = f"the annotation is {bare!r}" if bare else "the annotation is empty"
        raise BadAnnotation(what, _WRITE_AUTHENTIC)
    if bare == AUTHENTIC:
        raise BadAnnotation(f"the annotation is {text!r}", f"write exactly {AUTHENTIC}")
    if text.lstrip().startswith("{"):
        raise BadAnnotation("the annotation is a JSON object, such as {counts, size}", _WRITE_LISTS)


def _fault(runs: NDArray[np.int64], place: str) -> BadAnnotation:
    """Say which of the rules of `canonical` the runs, 0-based and as written, break first."""
    starts, lengths = runs[:, 0], runs[:, 1]
    ends = starts + lengths
    before = np.zeros(len(runs), bool)
    inside = before.copy()
    before[1:] = starts[1:] < starts[:-1]
    inside[1:] = starts[1:] < ends[:-1]
    at = int(np.flatnonzero((starts < 0) | (lengths < 0) | before | inside)[0])
    here = f"{place}run {at + 1} (start {starts[at] + 1}, length {lengths[at]}) "
    if starts[at] < 0:
        return BadAnnotation(here + "starts before the first pixel", "count pixels from 1")
    if lengths[at] < 0:
        return BadAnnotation(here + "has a negative length", "write lengths of 0 or more")
    if before[at]:
        return BadAnnotation(here + "starts before the run before it", "sort the runs by start")
    return BadAnnotation(
        here + f"overlaps the run before it, which ends at pixel {ends[at - 1]}",
        "join runs that overlap",
    )
