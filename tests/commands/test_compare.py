"""`forge compare` as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forgecli.commands import compare
from forgecli.errors import UsageError
from forgecli.score.problems import BadRows

app = typer.Typer()
app.command("compare", help=compare.HELP)(compare.compare)

TRUTH = """case_id,annotation,shape
authentic/1.png,authentic,authentic
forged/1.png,"[1, 4]","[4, 5]"
=c,"[1, 4]","[4, 5]"
"""
A = """case_id,annotation
authentic/1.png,authentic
forged/1.png,authentic
=c,"[1, 4]"
"""
B = """case_id,annotation
=c,"[1, 4]"
forged/1.png,"[1, 4]"
authentic/1.png,"[1, 1]"
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("gt.csv", TRUTH), ("a.csv", A), ("b.csv", B)):
        Path(name).write_text(text)


def run(*arguments: str) -> Any:
    line = ["a.csv", "b.csv", "gt.csv", *arguments]
    return CliRunner().invoke(app, line, catch_exceptions=False)


def test_tables() -> None:
    result = run()
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["A", "a.csv"] in lines
    row = next(line for line in lines if line[:1] == ["all"])
    assert row[:5] == ["all", "3", "0.6667", "0.6667", "+0.0000"]
    assert row[-3:] == ["1", "1", "1"]
    assert ["forged/1.png", "forged", "0.0000", "1.0000", "+1.0000"] in lines
    assert "3 images in 2 groups" in result.stdout
    assert "same score" not in result.stdout


def test_json() -> None:
    report = json.loads(run("--json", "--most", "1").stdout)
    assert report["overall"]["difference"] == 0
    assert report["overall"]["interval"]["holds_zero"] is True
    assert report["groups"] == 2
    assert report["authentic"]["worse"] == report["forged"]["better"] == 1
    assert len(report["most_changed"]) == 1
    assert run("--json").stdout == run("--json", "--seed", "0").stdout


def test_per_image() -> None:
    assert run("--per-image", "out.csv").exit_code == 0
    with Path("out.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["case_id"] for row in rows] == ["authentic/1.png", "forged/1.png", "'=c"]
    assert [row["group"] for row in rows] == ["1", "1", "'=c"]
    assert [float(row["difference"]) for row in rows] == [-1, 1, 0]


def test_per_image_is_not_replaced_unasked() -> None:
    Path("out.csv").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        run("--per-image", "out.csv")
    assert Path("out.csv").read_text() == "mine"
    assert run("--per-image", "out.csv", "--overwrite").exit_code == 0
    assert Path("out.csv").read_text() != "mine"


def test_inputs_are_not_overwritten() -> None:
    with pytest.raises(UsageError, match="is an input"):
        run("--per-image", "b.csv")
    assert Path("b.csv").read_text() == B


def test_bad_rows_are_errors_unless_lenient() -> None:
    Path("b.csv").write_text(B.replace("[1, 1]", "[1"))
    with pytest.raises(BadRows):
        run()
    result = run("--lenient", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["zeroed"] == 1
    assert "1 of 3 images score 0" in result.stderr


def test_a_file_that_is_not_there() -> None:
    Path("b.csv").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        run()
