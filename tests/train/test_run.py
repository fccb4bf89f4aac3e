"""Whole runs on a small data set."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from forgecli.errors import ExitCode, ForgeError, UsageError
from forgecli.segment.checkpoint import load_checkpoint
from forgecli.train.distributed import World
from forgecli.train.loop import Loop
from forgecli.train.partition import read_sides
from forgecli.train.presets import TrainSettings, settle
from forgecli.train.report import Report
from forgecli.train.run import train
from forgecli.train.validation import Validator
from forgecli.train.voice import Mute
from forgecli.train.watchers import Watcher
from tests.train.runs import write_data_set

QUICK: dict[str, dict[str, Any]] = {
    "loop": {"epochs": 3, "batch": 4, "workers": 0, "threads": 1, "device": "cpu"},
    "data": {"size": 32},
}


SLOWER: dict[str, dict[str, Any]] = {
    "optimiser": {"lr": 0.01},
    "loop": {"epochs": 12},
    "data": {"size": 48},
}


class Voice(Mute):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append("warning: " + text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("set"), count=8)


def settings_of(source: Path | None, /, **tables: dict[str, Any]) -> TrainSettings:
    flags = {name: dict(table) for name, table in QUICK.items()}
    flags["model"] = {"name": "simple-cnn"}
    if source is not None:
        flags["data"]["folder"] = source
    for name, table in tables.items():
        flags.setdefault(name, {}).update(table)
    return settle({}, None, {}, flags)


def run(
    source: Path | None,
    folder: Path,
    /,
    *,
    resume: bool = False,
    overwrite: bool = False,
    voice: Voice | None = None,
    **tables: dict[str, Any],
) -> Report:
    return train(
        settings_of(source, **tables),
        folder,
        resume=resume,
        overwrite=overwrite,
        environment={},
        voice=voice or Voice(),
        watcher=Watcher(),
    )


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run(data, folder, **SLOWER)


def test_all_files_of_a_run_are_there(done: tuple[Path, Report], data: Path) -> None:
    folder, report = done
    for name in ("config.toml", "split.csv", "curves.png", "best.safetensors", "best.json",
                 "last.safetensors", "last.json", "last.state.safetensors"):  # fmt: skip
        assert (folder / name).is_file(), name
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    with (folder / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == list(range(1, 13)) and len(table) == 12
    assert all(float(one[key]) == row[key] for one, row in zip(table, rows, strict=True)
               for key in row)  # fmt: skip
    sample = cv2.imread(str(folder / "samples" / "epoch-012.png"))
    assert sample is not None and sample.shape[1] == 960
    assert cv2.imread(str(folder / "curves.png")) is not None
    assert not list(folder.glob(".forge-*"))
    assert report.as_json()["parameters"] == 134_337


def test_it_learns_what_is_easy(done: tuple[Path, Report]) -> None:
    """Bright squares on noise: every pixel tells by itself."""
    best = done[1].progress.best_figures
    assert best["dice_best"] > 0.8 and best["metric"] > 0.8 > best["all_authentic"]


def test_the_checkpoint_gives_the_figures_that_its_card_says(
    done: tuple[Path, Report], data: Path
) -> None:
    folder, report = done
    network, card = load_checkpoint(folder / "best.safetensors")
    settings = settings_of(data)
    sides = read_sides(settings.data)
    again = Validator(
        [item.case for item in sides.validation], card.preprocess, settings.validation,
        torch.device("cpu"), "fp32", World(),
    )(network)  # fmt: skip
    assert again.figures == card.metrics == report.progress.best_figures
    assert again.thresholds == card.thresholds
    assert card.split == sides.split.hash
    assert card.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_card_names_no_place_on_this_machine(done: tuple[Path, Report], data: Path) -> None:
    text = (done[0] / "best.json").read_text()
    assert str(data) not in text and "folder" not in text
    assert json.loads(text)["training"]["loop"]["epochs"] == 12


def test_the_same_seed_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(data, tmp_path / name, loop={"epochs": 2})
    run(data, tmp_path / "c", loop={"epochs": 2, "seed": 1})
    first, second, other = (
        (tmp_path / name / "last.safetensors").read_bytes() for name in ("a", "b", "c")
    )
    assert first == second != other


def test_an_interrupted_run_is_resumed_to_the_same_bytes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, tmp_path / "whole", loop={"ema": 0.9})
    real = Loop._train_epoch

    def interrupted(self: Loop) -> bool:
        if self.progress.epoch == 1:
            self._limits = type(self._limits)(
                epochs=self._limits.epochs, steps=self._limits.steps, seconds=1e-9
            )
            real(self)  # one step
            raise KeyboardInterrupt
        return real(self)

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "_train_epoch", interrupted)
        # The share of time would change the cosine; this preset's rate is constant.
        report = run(data, tmp_path / "cut", loop={"ema": 0.9})
    assert report.exit_code == ExitCode.INTERRUPTED
    assert (report.progress.epoch, report.progress.position) == (1, 1)
    voice = Voice()
    report = run(data, tmp_path / "cut", resume=True, voice=voice, loop={"ema": 0.9, "workers": 0})
    assert report.exit_code == ExitCode.DONE and report.progress.epoch == 3
    for name in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 3


def test_resuming_with_other_settings_is_refused(done: tuple[Path, Report], data: Path) -> None:
    with pytest.raises(UsageError, match=r"\[optimiser\] lr = 0.01, not 0.5"):
        run(data, done[0], resume=True, **{**SLOWER, "optimiser": {"lr": 0.5}})


def test_resuming_with_other_data_is_refused(
    done: tuple[Path, Report], data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "set"
    shutil.copytree(data, other)
    (other / "train_images" / "authentic" / "0.png").unlink()
    with pytest.raises(UsageError, match="data set is not what it was"):
        run(other, done[0], resume=True, **SLOWER)


def test_starting_from_a_checkpoint(done: tuple[Path, Report], data: Path, tmp_path: Path) -> None:
    voice = Voice()
    run(data, tmp_path / "r", voice=voice, loop={"epochs": 1}, optimiser={"lr": 1e-12},
        model={"init_from": str(done[0] / "best.safetensors")})  # fmt: skip
    assert any("12 of the network's 12 tensors" in text for text in voice.said)
    first, _ = load_checkpoint(done[0] / "best.safetensors")
    second, card = load_checkpoint(tmp_path / "r" / "best.safetensors")
    for name, value in first.state_dict().items():
        torch.testing.assert_close(value, second.state_dict()[name])
    assert card.training["model"]["init_from"] is True


def nothing_forged(folder: Path) -> None:
    shutil.rmtree(folder / "train_images" / "forged")


def no_masks(folder: Path) -> None:
    shutil.rmtree(folder / "train_masks")


@pytest.mark.parametrize("change", [nothing_forged, no_masks])
def test_without_forged_images_nothing_is_trained(
    change: Callable[[Path], None], data: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "set")
    change(tmp_path / "set")
    with pytest.raises(UsageError, match="no forged image"):
        run(tmp_path / "set", tmp_path / "run")
    assert not (tmp_path / "run" / "config.toml").exists()


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"data": {"size": 34}}, ["--size 34", "multiple of 4", "--size 32 or 36"]),
        ({"loop": {"device": "cuda:7"}}, ["GPU 7", "--device cpu"]),
        ({"loop": {"device": "abacus"}}, ["abacus"]),
        ({"loop": {"device": "mps"}}, ["no Apple GPU"]),
        ({"data": {"ela": True}}, ["3 channels", "6"]),
        ({"loss": {"name": "dicee"}}, ["dicee", "did you mean dice"]),
        ({"model": {"encoder": "resnet18"}}, ["encoder"]),
        ({"data": {"folder": Path("nowhere")}}, ["nowhere"]),
        ({"model": {"init_from": "nowhere.pt"}}, ["nowhere.pt"]),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    data: Path, tmp_path: Path, tables: dict[str, Any], words: list[str]
) -> None:
    if tables.get("loop", {}).get("device") == "mps" and torch.backends.mps.is_available():
        pytest.skip("there is an Apple GPU here")
    if tables.get("loop", {}).get("device") == "cuda:7" and torch.cuda.device_count() > 7:
        pytest.skip("there are eight GPUs here")
    with pytest.raises(UsageError) as caught:
        run(data, tmp_path / "run", **tables)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "run" / "config.toml").exists()


def test_no_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="data"):
        run(None, tmp_path / "run")


def test_a_run_is_not_overwritten_unasked(
    done: tuple[Path, Report], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="holds a run already"):
        run(data, done[0])
    with pytest.raises(UsageError, match="no run that could be gone on with"):
        run(data, tmp_path / "new", resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        run(data, tmp_path / "file")


def test_overwriting_removes_the_files_of_the_run_only(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(data, folder)
    (folder / "notes.txt").write_text("mine")
    run(data, folder, overwrite=True, loop={"epochs": 1})
    assert (folder / "notes.txt").read_text() == "mine"
    assert [file.name for file in (folder / "samples").iterdir()] == ["epoch-001.png"]
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_folder_that_cannot_be_written(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ForgeError, match="part of this path is a file"):
        run(data, tmp_path / "file" / "run")


def test_a_network_that_breaks_leaves_the_last_good_checkpoint(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ForgeError, match="no number"):
        run(data, tmp_path / "run", optimiser={"name": "sgd", "lr": 1e30, "momentum": 0.0})
    assert not (tmp_path / "run" / "best.safetensors").exists()


@pytest.mark.slow
def test_a_detector_trains_by_its_own_loss(data: Path, tmp_path: Path) -> None:
    report = run(
        data, tmp_path / "run", loop={"epochs": 1, "batch": 2},
        data={"size": 64, "epoch_samples": 4},
        model={"name": "mask-rcnn", "encoder": "resnet18", "encoder_weights": "none"},
        validation={"images": 2},
    )  # fmt: skip
    assert report.progress.steps == 2 and report.validation == 2
    network, _ = load_checkpoint(tmp_path / "run" / "last.safetensors")
    assert network.outputs == 5
