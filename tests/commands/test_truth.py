"""`forge truth` as a user runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from forgecli import app
from forgecli.score.evaluate import evaluate
from forgecli.score.summary import summarise

SHARED = Path(os.environ.get("FORGE_SHARED", Path(__file__).parents[2] / "../shared"))
REAL = SHARED / "data/competition"


def forge(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the program in this process. Returns the exit code."""
    monkeypatch.setattr(sys, "argv", ["forge", *map(str, arguments)])
    try:
        app.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    picture = np.full((4, 5, 3), 128, np.uint8)
    for folder in ("train_images/authentic", "train_images/forged"):
        (root / folder).mkdir(parents=True)
        cv2.imwrite(str(root / folder / "10.png"), picture)
    (root / "train_masks").mkdir()
    np.save(root / "train_masks/10.npy", np.ones((1, 4, 5), np.uint8))
    return root


def test_both_classes(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "gt.csv"
    assert forge(monkeypatch, "truth", dataset, "-o", output, "--id-from", "path") == 0
    assert "2 rows in" in capsys.readouterr().err
    assert output.read_text() == (
        "case_id,annotation,shape\n"
        "train_images/authentic/10.png,authentic,authentic\n"
        'train_images/forged/10.png,"[1, 20]","[4, 5]"\n'
    )


def test_an_id_in_both_classes(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "gt.csv"
    assert forge(monkeypatch, "truth", dataset, "-o", output) == 2
    err = capsys.readouterr().err
    assert "--id-from path" in err
    assert "--part forged" in err
    assert not output.exists()
    assert forge(monkeypatch, "truth", dataset, "-o", output, "--part", "forged") == 0
    assert output.read_text().splitlines()[1:] == ['10,"[1, 20]","[4, 5]"']


def test_an_output_that_exists(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "gt.csv"
    output.write_text("mine")
    arguments = ["truth", dataset, "-o", output, "--part", "forged"]
    assert forge(monkeypatch, *arguments) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert forge(monkeypatch, *arguments, "--overwrite") == 0
    assert output.read_text() != "mine"


@pytest.mark.skipif(not REAL.is_dir(), reason="no competition images in the shared data")
def test_real_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "gt.csv"
    assert forge(monkeypatch, "truth", REAL, "-o", output, "--id-from", "path") == 0
    summary = summarise(evaluate(output, output))
    assert summary.overall.score == 1
    assert (summary.authentic.images, summary.forged.images) == (3, 4)
    assert [(group.name, group.images) for group in summary.by_instances] == [("1", 3), ("2", 1)]
