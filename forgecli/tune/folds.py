"""Folds in which no image is on both sides of its twin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.groups import Grouping, group_cases, sources_of
from forgecli.cases.split import Member, split_by_fold
from forgecli.detection import Case
from forgecli.score.coverage import bucket


def groups_of(cases: Sequence[Case]) -> tuple[NDArray[np.int64], Grouping]:
    """int64 (N,), a number for each case's group, and how they were grouped.

    Raises:
        Unreadable: a card of `forge synth` is damaged.
    """
    grouping = group_cases(cases, {case.case_id: sources_of(case) for case in cases})
    names = [grouping.group_of[case.case_id] for case in cases]
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64), grouping


def folds_of(
    cases: Sequence[Case],
    groups: NDArray[np.int64],
    coverage: Sequence[float | None],
    folds: int,
    seed: int,
) -> NDArray[np.int64]:
    """int64 (N,), a fold for each image: whole groups, classes and coverages spread evenly.

    The same for the same cases and seed, whatever their order.

    Args:
        cases: with ids that differ.
        groups: of each.
        coverage: percent of each image that true instances cover; None if it is authentic.
        folds: how many; as many as there are groups if there are fewer, but at least 2.
        seed: another one, other folds.

    Raises:
        UsageError: there are fewer than two groups.
    """
    first = {int(number): "" for number in groups}  # named by their ids: the order does not count
    for case, number in zip(cases, groups.tolist(), strict=True):
        first[number] = min(first[number] or case.case_id, case.case_id)
    members = [
        Member(case.case_id, first[number], _strata(percent))
        for case, number, percent in zip(cases, groups.tolist(), coverage, strict=True)
    ]
    fold_of = {
        case_id: number
        for number, split in enumerate(split_by_fold(members, max(2, min(folds, len(first))), seed))
        for case_id in split.validation
    }
    return np.array([fold_of[case.case_id] for case in cases], np.int64)


def _strata(coverage: float | None) -> tuple[str, ...]:
    if coverage is None:
        return ("class authentic",)
    return ("class forged", f"coverage {bucket(coverage)}")
