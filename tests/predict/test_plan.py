"""Rows from images, or from a sample submission."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from forgecli.detection import Case
from forgecli.errors import UsageError
from forgecli.predict.plan import plan_rows, read_ids


def cases(*names: str) -> list[Case]:
    return [Case(name, Path(name + ".png")) for name in names]


def test_without_a_sample_the_cases_are_the_rows() -> None:
    plan = plan_rows(cases("b", "a"))
    assert [row.case_id for row in plan.rows] == ["b", "a"]
    assert (plan.images, plan.missing, plan.ignored, plan.warnings()) == (2, 0, 0, [])


def test_sample_gives_rows_order_and_counts(tmp_path: Path) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_text("annotation,case_id\nauthentic,c\nauthentic,a\nauthentic,x\n")
    plan = plan_rows(cases("a", "b", "c"), sample)
    assert [(row.case_id, row.case is not None) for row in plan.rows] == [
        ("c", True), ("a", True), ("x", False),
    ]  # fmt: skip
    assert (plan.images, plan.missing, plan.ignored) == (2, 1, 1)
    said = " ".join(plan.warnings())
    assert "1 ids of the sample" in said and "1 images are not in the sample" in said


def test_accents_match_however_they_are_spelt(tmp_path: Path) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_text("case_id\nu\u0308ber\n", "utf-8")
    plan = plan_rows(cases("\u00fcber"), sample)
    assert plan.images == 1
    assert plan.rows[0].case_id == "u\u0308ber", "the row has the sample's spelling"


def test_ids_that_look_like_formulas_are_warned_of() -> None:
    assert any("spreadsheet" in text for text in plan_rows(cases("=1+1", "a")).warnings())


def test_an_earlier_submission_is_a_sample(tmp_path: Path) -> None:
    sample = tmp_path / "s.csv"
    sample.write_text('case_id,annotation\na,"[' + "1, 1, " * 50_000 + '9, 9]"\nb,authentic\n')
    limit = csv.field_size_limit()
    assert read_ids(sample) == ["a", "b"]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column case_id"),
        (b"id,annotation\n1,authentic\n", "no column case_id"),
        (b"case_id,annotation\n", "no rows"),
        (b"case_id\na\nb\na\n", "'a' twice .line 4, in line 2 before"),
        (b"annotation,case_id\nauthentic\n", "empty case_id .line 2"),
        (b"case_id\n\xff\xfe\n", "not a CSV file in UTF-8"),
        ("case_id\na\n".encode("utf-16"), "not a CSV file in UTF-8"),
    ],
)
def test_bad_samples_are_wrong_use(tmp_path: Path, content: bytes, said: str) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_bytes(content)
    with pytest.raises(UsageError, match=said) as raised:
        read_ids(sample)
    assert raised.value.file == sample


def test_missing_sample(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_ids(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        read_ids(tmp_path)
