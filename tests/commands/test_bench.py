"""`forge bench` on a small network and few pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from forgecli.app import app
from forgecli.bench.pictures import micrograph
from forgecli.segment.preprocess import Preprocess
from tests.segment.checkpoints import write_checkpoint


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["bench", *map(str, arguments)])
    error = f"{type(done.exception).__name__}: {done.exception}" if done.exception else ""
    return done.exit_code, done.stdout, error


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        pixels = micrograph((48 + 8 * number, 64), np.random.default_rng(number))
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


@pytest.mark.slow
def test_a_network(tmp_path: Path, images: Path) -> None:
    weights = write_checkpoint(tmp_path / "best.safetensors", preprocess=Preprocess(size=64))
    code, out, error = run(
        weights, images, "--seconds", "1", "--workers", "1", "--device", "cpu", "--json"
    )
    assert code == 0, error
    found = json.loads(out)
    assert found["label"] == "simple-cnn"
    assert 1 <= found["pictures"] <= 3  # as many as a second allows
    assert set(found["stages_ms"]) == {"decode", "prepare", "engine", "finish"}
    assert found["end_to_end_images_per_second"] > 0
    assert found["images"] % 3 == 0
    assert any("--onnx-only" in line for line in found["try"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.json",
        "best.safetensors",
        "images",
    ], "nothing is left behind"


@pytest.mark.slow
def test_match(images: Path) -> None:
    code, out, error = run("match", images, "--seconds", "1", "--workers", "1")
    assert code == 0, error
    assert "bare detector" in out
    assert "keypoints" in out


def test_no_such_network(tmp_path: Path) -> None:
    code, _, error = run(tmp_path / "none.safetensors")
    assert code
    assert "no such" in error


def test_no_such_folder(tmp_path: Path) -> None:
    code, _, error = run("match", tmp_path / "none")
    assert code
    assert "UsageError" in error
