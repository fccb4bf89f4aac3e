"""Labelled images, on which two forms of a network are compared."""

from __future__ import annotations

from pathlib import Path

from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.detection import Case, Picture
from forgecli.score.annotation import read_annotation
from forgecli.score.dataset_truth import Remarks, find_cases, truth_rows
from forgecli.score.problems import BadRows
from kernels.rle import Runs


def labelled(dataset: Path, most: int) -> list[Case]:
    """Labelled images of a data set, evenly spread over forged and authentic ones.

    Args:
        dataset: see `find_cases`.
        most: how many at most.

    Raises:
        UsageError: there are none, or nothing tells their labels.
    """
    cases = find_cases([dataset], id_from="path")
    forged = [case for case in cases if case.mask is not None]
    others = [case for case in cases if case.mask is None]
    share = min(len(forged), max(most - len(others), -(-most // 2)))
    return [*_spread(forged, share), *_spread(others, most - share)]


def read_labelled(case: Case) -> tuple[Picture, list[Runs]] | None:
    """A picture and its true instances; None if one of them cannot be read."""
    try:
        picture, _ = read_picture(case)
        row = next(iter(truth_rows([case], Remarks())))
    except (Unreadable, TooLarge, BadRows):
        return None
    shape = (int(picture.pixels.shape[0]), int(picture.pixels.shape[1]))
    if not min(shape):
        return None
    return picture, read_annotation(row[1], shape)


def _spread(cases: list[Case], most: int) -> list[Case]:
    count = min(most, len(cases))
    return [cases[index * len(cases) // count] for index in range(count)]
