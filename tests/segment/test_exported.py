"""The learned detector with an exported network: as users run it, and without torch."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from engines.openvino import precisions, the_core
from forgecli.app import app
from forgecli.cores import available_cores, threads_here, threads_of_children
from forgecli.detection import Picture
from forgecli.errors import ForgeError, UsageError
from forgecli.predict.detectors import choose
from forgecli.predict.settings import PredictSettings
from forgecli.segment import compiled, opening
from forgecli.segment.checkpoint import card_file, read_card
from forgecli.segment.compiled import compiled_networks, forget_oldest
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.onnx_file import card_inside
from forgecli.segment.opening import open_engine
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds
from forgecli.stream.way import way_of
from kernels.rle import decode
from tests.predict.fakes import Voice, job
from tests.segment.onnx_files import write_onnx
from tests.tune.red_dataset import write_dataset

SURE = Thresholds(0.9, quantile=1.0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "forge" / "openvino"


def spots() -> Picture:
    pixels = np.zeros((50, 90, 3), np.uint8)
    pixels[5:15, 10:20] = 255
    return Picture("spots", pixels)


def planned(file: Path, **asked: Any) -> SegmentPlan:
    return SegmentPlan.of(file, SegmentSettings(**asked))


@pytest.mark.parametrize("view", ["tile", "resize"])
def test_what_is_bright_is_outlined(tmp_path: Path, cache: Path, view: Any) -> None:
    size = 64 if view == "tile" else 96
    file = write_onnx(tmp_path / "a.onnx", thresholds=SURE, preprocess=Preprocess(view, size))
    plan = planned(file)
    detector = SegmentDetector(plan)
    detector.prepare()
    picture = spots()
    (found,) = detector.detect([picture])
    mask = decode(found.instances[0].runs, found.shape)
    assert (mask != (picture.pixels[:, :, 0] > 0)).sum() <= (0 if view == "tile" else 40)
    assert found.score == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-4)
    assert [folder.name for folder in cache.iterdir()] == [plan.sha256[:16]], "it is kept"
    detector.close()


def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx")
    whole = file.read_bytes()
    at = whole.index(b"Conv")
    file.write_bytes(whole[:at] + b"Kunf" + whole[at + 4 :])
    with pytest.raises(ForgeError, match="OpenVINO cannot use the model") as raised:
        SegmentDetector(planned(file)).prepare()
    assert raised.value.file == file and "\n" not in raised.value.what


def test_a_card_of_another_network_is_a_sentence(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx", facts={"channels": 6}, preprocess=Preprocess(ela=True))
    with pytest.raises(ForgeError, match=r"input is to be f32 \[\?, 6"):
        SegmentDetector(planned(file)).prepare()


def test_a_precision_that_the_processor_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.openvino.precisions", lambda: ("fp32",))
    plan = planned(write_onnx(tmp_path / "a.onnx"), precision="bf16")
    with pytest.raises(UsageError, match="has no bf16; it has fp32"):
        SegmentDetector(plan).prepare()


def test_without_openvino_its_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("engines.openvino.the_core", the_core.__wrapped__)  # none was made before
    with pytest.raises(UsageError, match="needs OpenVINO") as raised:
        open_engine(write_onnx(tmp_path / "a.onnx"))
    assert raised.value.mend == "pip install openvino"


def test_an_engine_file_that_cannot_be_loaded_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.segment.test_plan import write_engine

    file = write_engine(tmp_path / "a.engine")
    for error, kind in ((ImportError("no tensorrt"), UsageError), (RuntimeError("old"), ForgeError),
                        (ValueError("other"), ForgeError)):  # fmt: skip

        def fails(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("engines.tensorrt.TensorRtEngine", fails)
        with pytest.raises(kind, match=str(error)):
            opening.open_engine(file, device="cuda:0")


def test_every_process_takes_its_share_of_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Counted:
        def __init__(self, *_: Any, threads: int, streams: int, mode: str, **__: Any) -> None:
            seen.append((threads, streams, mode))

    monkeypatch.setattr("engines.openvino.OpenVinoEngine", Counted)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    file = write_onnx(tmp_path / "a.onnx")
    open_engine(file)
    with threads_of_children(1):
        open_engine(file)
    monkeypatch.setattr("forgecli.cores.available_cores", lambda: 8)
    with threads_of_children(4):
        open_engine(file)
    with threads_of_children(1):
        open_engine(file, at_once=6)
    with threads_of_children(2):
        open_engine(file, at_once=6)
    with threads_of_children(1):
        open_engine(file, at_once=30)
    assert seen == [
        (available_cores(), 1, "latency"), (1, 1, "latency"), (4, 1, "latency"),
        (6, 6, "throughput"), (8, 6, "throughput"), (8, 8, "throughput"),
    ]  # fmt: skip
    for text, threads in (("3,2", 3), ("99", 8), ("0", 8), ("x", 8), ("", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert threads_here() == threads


def test_images_side_by_side_are_found_as_one_by_one(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx", thresholds=SURE, preprocess=Preprocess("tile", 64))
    (tmp_path / "in").mkdir()
    for number in range(9):
        pixels = np.roll(spots().pixels, 3 * number, axis=(0, 1))[: 50 - 2 * number]
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), pixels * np.uint8(number != 4))
    settings = PredictSettings(model=file)
    found = choose(settings, config={}, file=None, environment={}, network={})
    way = way_of(found, settings)
    evidence: dict[int, tuple[bytes, bytes]] = {}
    for workers in (0, 3):
        output = tmp_path / f"{workers}.csv"
        voice = Voice()
        job(
            tmp_path / "in", output, workers=workers, make=found.make, make_pool=way.make_pool,
            voice=voice, evidence=output.with_suffix(".jsonl"),
        )  # fmt: skip
        evidence[workers] = output.read_bytes(), output.with_suffix(".jsonl").read_bytes()
        assert not voice.warnings and not any("again" in note for note in voice.notes)
    assert evidence[0] == evidence[3]
    assert evidence[0][0].count(b"authentic") == 1 and evidence[0][0].count(b"[") == 8


PROGRAM = """
import sys
sys.modules["torch"] = sys.modules["onnx"] = None
from forgecli.app import main
main()
"""


def test_predict_without_torch_and_onnx(tmp_path: Path) -> None:
    write_onnx(tmp_path / "a.onnx", thresholds=SURE, preprocess=Preprocess("tile", 64))
    cv2.imwrite(str(tmp_path / "spots.png"), spots().pixels)
    cv2.imwrite(str(tmp_path / "black.png"), spots().pixels * 0)
    command = ["predict", "spots.png", "black.png", "--model", "a.onnx", "--workers", "0"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "network: simple-cnn on cpu, fp32, with OpenVINO" in done.stderr
    assert "1 flagged, 1 not flagged" in done.stderr
    with (tmp_path / "submission.csv").open(newline="") as file:
        rows = {row["case_id"]: row["annotation"] for row in csv.DictReader(file)}
    runs = np.array(json.loads(rows["spots"])).reshape(-1, 2) - [1, 0]
    assert np.array_equal(decode(runs, (50, 90)), spots().pixels[:, :, 0] > 0)
    record = json.loads((tmp_path / "submission.run.json").read_text())
    assert record["detector_settings"]["engine"] == "openvino"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "cuda:0"], "not on cuda:0"),
        (["--engine", "torch"], "with openvino"),
        (["-o", "a.onnx", "--overwrite"], "a.onnx"),
    ],
)
def test_wrong_use_is_an_error_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_onnx(tmp_path / "a.onnx")
    before = file.read_bytes()
    cv2.imwrite("spots.png", spots().pixels)
    result = CliRunner().invoke(app, ["predict", "spots.png", "--model", "a.onnx", *options])
    assert isinstance(result.exception, UsageError) and said in str(result.exception)
    assert file.read_bytes() == before


@pytest.mark.skipif("bf16" not in precisions(), reason="this processor has no bf16")
def test_bf16_is_asked_for_by_name(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx", thresholds=SURE, preprocess=Preprocess("tile", 64))
    plan = planned(file, precision="bf16")
    assert str(plan).endswith("bf16, with OpenVINO")
    (found,) = SegmentDetector(plan).detect([spots()])
    assert found.score == pytest.approx(1 / (1 + np.exp(-4)), abs=0.02)


def test_tune_writes_beside_the_network(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", 12)
    file = write_onnx(tmp_path / "a.onnx", preprocess=Preprocess("tile", 64))
    inside = card_inside(file)
    options = ["--model", str(file), "--workers", "1", "--folds", "2"]
    result = CliRunner().invoke(app, ["tune", str(tmp_path / "data"), *options])
    assert result.exit_code == 0, result.output
    card = read_card(file)
    assert card_file(file).exists() and card.tuning["precision"] == "fp32"
    assert (card.model, card.built) == (inside.model, inside.built)
    assert planned(file).thresholds == card.thresholds and not planned(file).untuned
    assert card_inside(file) == inside, "the network itself is left as it is"


def test_the_folder_of_compiled_networks(tmp_path: Path, cache: Path) -> None:
    before = os.umask(0o002)  # as many systems have it
    try:
        folder = compiled_networks("0123456789abcdef" * 4)
    finally:
        os.umask(before)
    assert folder == cache / "0123456789abcdef" and folder.is_dir()
    folder.chmod(0o500)
    if os.geteuid() != 0:  # root may write everywhere
        assert compiled_networks("0123456789abcdef" * 4) is None
    folder.chmod(0o700)
    cache.chmod(0o777)
    assert compiled_networks("f" * 64) is None, "anybody could have put it there"
    (tmp_path / "file").write_text("")
    assert compiled_networks("f" * 64, {"XDG_CACHE_HOME": str(tmp_path / "file")}) is None


def test_the_oldest_networks_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, name in enumerate("edcba"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "blob").write_bytes(bytes(100))
        os.utime(folder, (1000 - age, 1000 - age))
    forget_oldest(tmp_path, 250, keep=tmp_path / "a")
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["a", "e"]
    monkeypatch.setattr(compiled, "MOST_BYTES", 0)
    kept = compiled_networks("9" * 64)
    assert kept is not None and kept.is_dir()
