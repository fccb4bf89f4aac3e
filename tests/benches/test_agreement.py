"""Submissions are the same where they differ by rounding only."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from bench.agreement import agreement, described
from kernels.rle import annotation_to_text, encode

SHAPES = {"a": (100, 120), "b": (80, 80), "c": (50, 60)}


def masks() -> dict[str, list[np.ndarray]]:
    first, second = np.zeros(SHAPES["a"], bool), np.zeros(SHAPES["a"], bool)
    first[10:40, 10:50], second[60:90, 70:110] = True, True
    third = np.zeros(SHAPES["c"], bool)
    third[5:25, 5:45] = True
    return {"a": [first, second], "b": [], "c": [third]}


def write(file: Path, found: dict[str, list[np.ndarray]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("case_id", "annotation"))
        for name, instances in found.items():
            text = annotation_to_text([encode(mask) for mask in instances])
            writer.writerow((name, text if instances else "authentic"))
    return file


def test_equal_ones_whatever_their_order(tmp_path: Path) -> None:
    turned = {name: each[::-1] for name, each in reversed(masks().items())}
    found = agreement(write(tmp_path / "a.csv", masks()), write(tmp_path / "b.csv", turned), SHAPES)
    assert (found.score, found.different) == (1.0, 0.0)
    assert found.equal


def test_a_pixel_at_the_threshold_is_allowed(tmp_path: Path) -> None:
    other = masks()
    other["a"][0][9, 10] = True
    found = agreement(write(tmp_path / "a.csv", masks()), write(tmp_path / "b.csv", other), SHAPES)
    assert found.different == pytest.approx(1 / (12000 + 6400 + 3000))
    assert 0.999 < found.score < 1
    assert found.equal


@pytest.mark.parametrize("change", ["instance", "moved", "flagged"])
def test_more_is_not(tmp_path: Path, change: str) -> None:
    other = masks()
    if change == "instance":
        other["a"] = [other["a"][0] | other["a"][1]]
    elif change == "moved":
        other["c"] = [np.roll(other["c"][0], 1, axis=0)]
    else:
        other["b"] = [np.ones(SHAPES["b"], bool)]
    found = agreement(write(tmp_path / "a.csv", masks()), write(tmp_path / "b.csv", other), SHAPES)
    assert not found.equal


def test_rows_that_are_missing_end_it(tmp_path: Path) -> None:
    fewer = {name: each for name, each in masks().items() if name != "b"}
    with pytest.raises(SystemExit):
        agreement(write(tmp_path / "a.csv", masks()), write(tmp_path / "b.csv", fewer), SHAPES)


def test_the_set_is_described(tmp_path: Path) -> None:
    found = described(write(tmp_path / "a.csv", masks()), SHAPES)
    assert (found["files"], found["none"], found["few"], found["many"]) == (3, 1, 2, 0)
    assert found["megapixels"]["sum"] == pytest.approx(0.0214)
