"""`forge train` as a program: options, settings, signals, streams, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forgecli.commands import train
from forgecli.errors import UsageError
from tests.train.runs import write_data_set

REPOSITORY = Path(__file__).parents[2]
app = typer.Typer()
app.command("train", help=train.HELP)(train.train)
QUICK = ("--model", "simple-cnn", "--size", 32, "--batch", 4, "--workers", 0, "--threads", 1,
         "--device", "cpu")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("set"), count=6)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)


def test_a_run_and_its_summary(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("--data", data, *QUICK, "--epochs", 2, "-o", folder, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["ended"] == "epochs" and report["epochs"] == 2
    assert report["parameters"] == 134_337 and report["images_per_second"] > 0
    assert 0 <= report["waiting"] <= 1
    assert Path(report["files"]["best"]) == folder / "best.safetensors"
    for text in (
        "0.13 M parameters",
        "epoch 1, loss",
        "epoch 2, loss",
        "all epochs are done",
        "best by metric",
    ):
        assert text in result.stderr
    refused = pytest.raises(UsageError, match="holds a run already")
    with refused:
        run("--data", data, *QUICK, "-o", folder)
    more = run("-o", folder, "--resume", "--epochs", 3, "--json")
    assert json.loads(more.stdout)["epochs"] == 3
    config = tomllib.loads((folder / "config.toml").read_text())
    assert config["loop"]["epochs"] == 3 and config["data"]["size"] == 32


def test_what_is_shown_makes_the_same_run(data: Path, tmp_path: Path) -> None:
    shown = run("--data", data, *QUICK, "--epochs", 1, "--lr", 0.002, "--show-config")
    assert shown.exit_code == 0 and shown.stderr == ""
    file = tmp_path / "shown.toml"
    file.write_text(shown.stdout, encoding="utf-8")
    for name, arguments in (
        ("a", ("--config", file)),
        ("b", ("--data", data, *QUICK, "--epochs", 1, "--lr", 0.002)),
    ):
        assert run(*arguments, "-o", tmp_path / name).exit_code == 0
    first, second = (tmp_path / name / "last.safetensors" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--resume",), "needs the folder"),
        (("--resume", "--overwrite", "-o", "x"), "exclude each other"),
        (("--resume", "-o", "no-such-run"), "no run that could be gone on with"),
        (("--model", "u-nett", "--data", "."), "no network 'u-nett'"),
        (("--config", "no-such.toml"), "cannot be read"),
        (("--model", "simple-cnn"), "no data set"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(*arguments)


def test_tensorboard_that_is_not_installed_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_LOOP_TENSORBOARD", "true")
    monkeypatch.setattr("forgecli.train.watchers.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="package tensorboard"):
        run("--data", data, *QUICK, "-o", tmp_path / "run")


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['forge', 'train', '--model', "
        "'simple-cnn', '--data', '.', '-o', 'no/such']; from forgecli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 2 and "forgecli[train]" in done.stderr
    assert not (REPOSITORY / "no").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_and_going_on(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The interrupted and resumed run writes the bytes of the one that nobody disturbed."""
    code = "from forgecli.app import main; main()"
    common = ("--data", data, *QUICK[:-4], "--threads", 1, "--device", "cpu", "--epochs", 15)
    folder = tmp_path / "cut"

    def start(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, "train", *map(str, arguments)], cwd=REPOSITORY,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    process = start(*common, "-o", folder, "--workers", 1)
    deadline = time.monotonic() + 100
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said and "--resume goes on" in said
    before = len((folder / "metrics.jsonl").read_text().splitlines())
    assert 1 <= before < 15
    if number == signal.SIGTERM:  # once is enough, in this process, which is faster
        assert run("-o", folder, "--resume", "--workers", 0).exit_code == 0
        assert run(*common, "-o", tmp_path / "whole", "--workers", 0).exit_code == 0
        for name in ("last.safetensors", "best.safetensors"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
