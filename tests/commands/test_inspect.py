"""`forge inspect` as a user runs it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forgecli import cores
from forgecli.commands import inspect
from forgecli.errors import UsageError
from tests.inspect.sets import Maker, clean, mask

app = typer.Typer()
app.command("inspect", help=inspect.HELP)(inspect.inspect)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cores, "available_cores", lambda: 0)  # in this process
    return clean(tmp_path / "set")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["set", *arguments], catch_exceptions=False)


def test_tables(made: Maker) -> None:
    result = run()
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["authentic", "3", "0", "21.9", "kB"] in lines
    assert ["ids", "in", "both", "classes", "1"] in lines
    assert ["0.5", "-", "1", "%", "1", "50.0", "%", "50.0", "%"] in lines
    assert ["2", "1", "50.0", "%"] in lines
    assert "5 images; nothing wrong found" in result.stderr


def test_json(made: Maker) -> None:
    made.mask("train_masks/4.npy", mask((0, 0, 8, 8), (4, 4, 8, 8)))
    report = json.loads(run("--json").stdout)
    assert report["images"] == 5
    assert [each["path"] for each in report["findings"]["overlapping instances"]] == [
        "train_masks/4.npy"
    ]
    assert report["coverage"]["buckets"]["> 5 %"] == 1
    assert report["wrong"] == 1


def test_index(made: Maker) -> None:
    made.image("train_images/authentic/=1+1.png", 9)
    made.data("train_images/authentic/bad.png", b"bad")
    made.mask("train_masks/4.npy", mask((0, 0, 8, 8), (4, 4, 8, 8)))
    assert run("--index", "out/index.csv").exit_code == 3
    with Path("out/index.csv").open(newline="") as text:
        rows = {row["path"]: row for row in csv.DictReader(text)}
    assert len(rows) == 7
    forged = rows["train_images/forged/2.png"]
    assert [forged[name] for name in ("id", "class", "height", "width", "instances")] == [
        "2", "forged", "40", "60", "2",
    ]  # fmt: skip
    assert (forged["largest_instance"], forged["smallest_instance"]) == ("140", "100")
    assert float(forged["coverage"]) == pytest.approx(10)
    assert (
        "overlapping instances: instances 1 and 2" in rows["train_images/forged/4.png"]["problems"]
    )
    bad = rows["train_images/authentic/bad.png"]
    assert bad["status"] == "unreadable" and bad["height"] == bad["mean_red"] == ""
    assert any(row["id"] == "'=1+1" for row in rows.values())


def test_page(made: Maker) -> None:
    evil = "<script>alert(1)"  # no file name can hold the slash of a closing tag
    made.image(f"train_images/forged/{evil}.png", 7)
    result = run("--html", "page.html")
    assert result.exit_code == 0
    html = Path("page.html").read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;script&gt;alert(1)" in html
    assert html.count("data:image/jpeg") == 5  # two examples, one of them with its twin
    assert html.count("data:image/svg+xml") == 8
    assert "forged without mask" in html
    first = Path("page.html").read_bytes()
    run("--html", "page.html", "--overwrite")
    assert Path("page.html").read_bytes() == first


def test_outputs_are_not_overwritten(made: Maker) -> None:
    Path("index.csv").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        run("--index", "index.csv")
    assert Path("index.csv").read_text() == "mine"
    assert run("--index", "index.csv", "--overwrite").exit_code == 0


def test_exit_codes(made: Maker) -> None:
    made.mask("train_masks/2.npy", mask((0, 0, 1, 1))[..., None, None])
    assert run().exit_code == 3
    for image in (made.folder / "train_images").rglob("*.png"):
        image.write_bytes(b"bad")
    assert run().exit_code == 1


def test_against(made: Maker, tmp_path: Path) -> None:
    Maker(tmp_path / "test").image("a.png", 4)
    result = run("--against", "test", "--json")
    assert json.loads(result.stdout)["against"]["shared_pictures"] == 1


def test_help_is_light() -> None:
    code = (
        "import sys; from forgecli.commands import compare, inspect;"
        "assert not {'numba', 'numpy', 'scipy', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
