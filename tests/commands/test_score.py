"""`forge score` as a user runs it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from forgecli import app

TRUTH = """case_id,annotation,shape
a,authentic,authentic
b,"[1, 4]","[4, 5]"
=c,"[1, 4];[9, 4]","[4, 5]"
d,authentic,authentic
"""
SUBMISSION = """case_id,annotation
d,"[1, 1]"
=c,"[1, 4];[9, 4]"
b,"[3, 4]"
a,authentic
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gt.csv").write_text(TRUTH)
    Path("sub.csv").write_text(SUBMISSION)


def forge(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the program in this process. Returns the exit code."""
    monkeypatch.setattr(sys, "argv", ["forge", *arguments])
    try:
        app.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert forge(monkeypatch, "score", "sub.csv", "gt.csv") == 0
    out, err = capsys.readouterr()
    assert "warning" not in err
    lines = [line.split() for line in out.splitlines()]
    assert ["all", "4", "0.6250", "0.5000", "0.1250"] in lines
    assert ["authentic", "2", "0.5000", "1.0000", "0.0000"] in lines
    assert ["forged", "2", "0.7500", "0.0000", "0.2500"] in lines
    assert ["2", "instances", "1", "1.0000", "0.0000", "0.1667"] in lines
    assert ["covered", ">", "5", "%", "2", "0.7500", "0.0000", "0.2500"] in lines
    assert ["false-positive", "rate", "0.5000", "1", "of", "2"] in lines


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert forge(monkeypatch, "score", "sub.csv", "gt.csv", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["score"] == report["overall"]["score"] == 0.625
    assert report["overall"]["all_authentic"] == 0.5
    assert report["forged"] == {
        "name": "forged",
        "images": 2,
        "score": 0.75,
        "all_authentic": 0,
        "whole_image": 0.25,
    }
    assert report["image_level"]["recall"] == 1
    assert len(report["by_coverage"]) == 6
    assert report["zeroed"] == report["problems"] == 0


def test_per_image(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forge(monkeypatch, "score", "sub.csv", "gt.csv", "--per-image", "out/images.csv") == 0
    with Path("out/images.csv").open(newline="") as text:
        rows = list(csv.reader(text))
    assert rows == [
        ["case_id", "score", "label", "n_true", "n_pred", "coverage", "problem"],
        ["a", "1.0", "authentic", "0", "0", "", ""],
        ["b", "0.5", "forged", "1", "1", "20", ""],
        ["'=c", "1.0", "forged", "2", "2", "40", ""],
        ["d", "0.0", "authentic", "0", "1", "", ""],
    ]


def test_per_image_is_not_replaced_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.csv").write_text("mine")
    asked = ["score", "sub.csv", "gt.csv", "--per-image", "mine.csv"]
    assert forge(monkeypatch, *asked) == 2
    assert Path("mine.csv").read_text() == "mine"
    assert forge(monkeypatch, *asked, "--overwrite") == 0
    assert Path("mine.csv").read_text().startswith("case_id,")


def test_per_image_is_not_an_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forge(monkeypatch, "score", "sub.csv", "gt.csv", "--per-image", "./gt.csv") == 2
    assert "is an input" in capsys.readouterr().err
    assert Path("gt.csv").read_text() == TRUTH


def test_problems(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sub.csv").write_text(SUBMISSION.replace("[3, 4]", "[3, 4, 5]").replace("a,", "z,"))
    assert forge(monkeypatch, "score", "sub.csv", "gt.csv") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: 3 problems:" in err
    assert "sub.csv:4: id 'b': expected a length" in err
    assert "sub.csv:5: id 'z': the id is not in gt.csv" in err
    assert "sub.csv: id 'a': there is no row" in err
    assert "try: mend the rows, or add --lenient" in err


def test_lenient(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sub.csv").write_text(SUBMISSION.replace("[3, 4]", "[3, 4, 5]").replace("a,", "z,"))
    arguments = ["--lenient", "--json", "--per-image", "images.csv"]
    assert forge(monkeypatch, "score", "sub.csv", "gt.csv", *arguments) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["score"], report["zeroed"], report["problems"]) == (0.25, 2, 3)
    assert "2 of 4 images score 0" in err
    assert "sub.csv:4: id 'b'" in err
    with Path("images.csv").open(newline="") as text:
        problems = {row["case_id"]: row["problem"] for row in csv.DictReader(text)}
    assert problems["a"].startswith("there is no row")
    assert problems["b"].startswith("expected a length")
    assert problems["d"] == ""


def test_a_file_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forge(monkeypatch, "score", "none.csv", "gt.csv") == 2
    assert "none.csv: cannot be read" in capsys.readouterr().err


def test_help_is_light() -> None:
    code = (
        "import sys; from forgecli.commands import score, truth;"
        "assert not {'numba', 'numpy', 'scipy', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
