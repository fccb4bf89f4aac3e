from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.detection import Case, Label
from forgecli.errors import UsageError
from forgecli.tune.folds import folds_of, groups_of


def twins(count: int, folder: Path = Path("/none")) -> tuple[list[Case], list[float | None]]:
    cases, coverage = [], []
    for index in range(count):
        for label in Label:
            name = f"train_images/{label}/{index}.png"
            cases.append(Case(name, folder / name, label=label))
            coverage.append(1.0 + index % 3 if label is Label.FORGED else None)
    return cases, coverage


@given(st.integers(2, 30), st.integers(2, 6), st.integers(0, 99), st.randoms())
def test_twins_are_in_one_fold_whatever_the_order(
    count: int, folds: int, seed: int, random: object
) -> None:
    cases, coverage = twins(count)
    groups, _ = groups_of(cases)
    fold = folds_of(cases, groups, coverage, folds, seed)
    assert (fold[::2] == fold[1::2]).all()
    assert set(fold.tolist()) == set(range(min(folds, count)))
    order = list(range(len(cases)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = [cases[index] for index in order]
    again = folds_of(
        shuffled, groups_of(shuffled)[0], [coverage[index] for index in order], folds, seed
    )
    assert (again == fold[order]).all()


def test_another_seed_makes_other_folds() -> None:
    cases, coverage = twins(20)
    groups, _ = groups_of(cases)
    assert (
        folds_of(cases, groups, coverage, 4, 0) != folds_of(cases, groups, coverage, 4, 1)
    ).any()


def test_one_group_cannot_be_folded() -> None:
    cases, coverage = twins(1)
    with pytest.raises(UsageError, match="form 1 group"):
        folds_of(cases, np.zeros(2, np.int64), coverage, 5, 0)


def test_images_made_from_one_source_are_a_group(tmp_path: Path) -> None:
    cases, _ = twins(6, tmp_path)
    (tmp_path / "cards").mkdir()
    for index, source in enumerate("aabbcd"):
        card = tmp_path / "cards" / f"{index}.json"
        card.write_text(json.dumps({"sources": [source]}))
    groups, grouping = groups_of(cases)
    assert grouping.joined == "sources"
    assert len(set(groups.tolist())) == 4
    assert groups[0] == groups[2] != groups[4]
