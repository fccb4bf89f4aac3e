"""Which engine runs which file, where, in which precision."""

from __future__ import annotations

import hashlib
import json
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.base import Spec
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import card_file, read_card, write_card
from forgecli.segment.onnx_file import card_inside
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from forgecli.segment.thresholds import Thresholds
from tests.segment.checkpoints import write_checkpoint
from tests.segment.onnx_files import exported_card, write_onnx


def planned(file: Path, **asked: Any) -> SegmentPlan:
    return SegmentPlan.of(file, SegmentSettings(**asked))


def write_engine(file: Path, precision: str = "fp16") -> Path:
    card = exported_card(thresholds=Thresholds(0.3))
    card.built["engine"] = {"precision": precision}
    file.write_bytes(b"plan")
    write_card(file, card)
    return file


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    cuda = SimpleNamespace(
        is_available=lambda: count > 0, runtime=SimpleNamespace(getDeviceCount=lambda: count)
    )
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))


def test_an_onnx_file_alone(tmp_path: Path) -> None:
    file = write_onnx(
        tmp_path / "a.onnx", thresholds=Thresholds(0.3), preprocess=Preprocess(size=64)
    )
    plan = ForkingPickler.loads(ForkingPickler.dumps(planned(file, size=96, pixel=0.4)))
    assert (plan.engine, plan.device, plan.precision) == ("openvino", "cpu", "fp32")
    assert plan.weights == file and plan.spec == Spec(3, 8, None, 1, "cpu", "fp32")
    assert plan.preprocess.size == 96 and plan.thresholds.pixel == 0.4
    assert str(plan) == "simple-cnn on cpu, fp32, with OpenVINO"
    record = plan.as_record()
    assert json.loads(json.dumps(record)) == record and record["engine"] == "openvino"


def test_the_size_of_most_inputs(tmp_path: Path) -> None:
    tiles, whole = Preprocess("tile", 64), Preprocess("resize", 64)
    assert planned(write_onnx(tmp_path / "a.onnx", preprocess=tiles)).usual == (64, 64)
    assert planned(tmp_path / "a.onnx", size=68).usual is None, "no multiple of 8"
    assert planned(write_onnx(tmp_path / "b.onnx", preprocess=whole)).usual is None
    fixed = write_onnx(tmp_path / "c.onnx", facts={"size": [32, 64]}, preprocess=whole)
    assert planned(fixed).usual == (32, 64)
    assert planned(write_checkpoint(tmp_path / "d.safetensors"), device="cpu").usual is None


def test_the_record_follows_the_file(tmp_path: Path) -> None:
    one = planned(write_onnx(tmp_path / "a.onnx")).as_record()
    same = planned(write_onnx(tmp_path / "b.onnx")).as_record()
    other = planned(write_onnx(tmp_path / "c.onnx", bias=-3.0)).as_record()
    assert one == same and one["sha256"] != other["sha256"]


def test_a_precision_that_was_not_tuned_with_is_said(tmp_path: Path) -> None:
    tuning = {"precision": "fp32", "tta": "none"}
    assert not planned(write_onnx(tmp_path / "a.onnx", tuning=tuning)).untuned
    quantised = write_onnx(tmp_path / "b.onnx", facts={"precision": "int8"}, tuning=tuning)
    assert planned(quantised).untuned == ("precision (fp32 there, int8 here)",)


@pytest.mark.parametrize(
    ("made", "asked", "found"),
    [
        ("fp32", "auto", "fp32"),
        ("fp32", "fp32", "fp32"),
        ("fp32", "bf16", "bf16"),
        ("fp16", "auto", "fp32"),
        ("fp16", "fp16", "fp16"),
        ("int8", "auto", "int8"),
        ("int8", "int8", "int8"),
    ],
)
def test_the_precision_of_an_onnx_file(tmp_path: Path, made: str, asked: str, found: str) -> None:
    file = write_onnx(tmp_path / "a.onnx", facts={"precision": made})
    assert planned(file, precision=asked).precision == found


def test_the_precision_of_a_checkpoint(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path / "a.safetensors")
    assert planned(file, device="cpu").precision == "fp32"
    assert planned(file, device="cpu", precision="bf16").precision == "bf16"
    assert str(planned(file, device="cpu")) == "simple-cnn on cpu, fp32, with PyTorch"


def test_an_engine_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_engine(tmp_path / "a.fp16.0123456789ab.engine")
    assert card_file(file).name == "a.fp16.0123456789ab.json"
    gpus(monkeypatch, 2)
    plan = planned(file)
    assert (plan.engine, plan.device, plan.precision) == ("tensorrt", "cuda:0", "fp16")
    assert plan.thresholds.pixel == 0.3 and plan.spec == Spec(3, 8, None, 1, "cpu", "fp32")
    assert planned(file, device="cuda:1", graphs=True).graphs
    with pytest.raises(UsageError, match="built for fp16, and cannot be run in fp32"):
        planned(file, precision="fp32")
    with pytest.raises(UsageError, match="GPU 2, and there are 2, counted from 0"):
        planned(file, device="cuda:2")
    for elsewhere in ("cpu", "mps"):
        with pytest.raises(UsageError, match=f"does not run on {elsewhere}"):
            planned(file, device=elsewhere)


def test_an_engine_file_without_a_gpu_or_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_engine(tmp_path / "a.engine")
    gpus(monkeypatch, 0)
    with pytest.raises(UsageError, match="there is none"):
        planned(file)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(UsageError, match="CuPy") as raised:
        planned(file)
    assert "forgecli[gpu]" in raised.value.mend


@pytest.mark.parametrize("plan", [b"pl", b"", b"nalp", b"plan of another build"])
def test_an_engine_that_is_not_the_one_its_card_describes(tmp_path: Path, plan: bytes) -> None:
    """Found before a GPU is asked for, and before a wrong network is run with these thresholds."""
    file = write_engine(tmp_path / "a.engine")
    card = read_card(file)
    card.built["engine"]["plan_sha256"] = hashlib.sha256(b"plan").hexdigest()
    write_card(file, card)
    file.write_bytes(plan)
    with pytest.raises(ForgeError, match=r"not the engine that its \.json describes") as raised:
        planned(file)
    assert raised.value.file == file and "build-engine" in raised.value.mend


def test_an_engine_file_whose_card_says_too_little(tmp_path: Path) -> None:
    file = tmp_path / "a.engine"
    file.write_bytes(b"plan")
    with pytest.raises(UsageError, match=r"a\.json: cannot be read") as raised:
        planned(file)
    assert "NAME.engine" in raised.value.mend
    write_card(file, exported_card())
    with pytest.raises(ForgeError, match="precision"):
        planned(file)


@pytest.mark.parametrize(
    ("name", "asked", "said", "mend"),
    [
        ("a.onnx", {"device": "cuda:0"}, "runs on the CPU, not on cuda:0", "forge build-engine"),
        ("a.onnx", {"device": "mps"}, "runs on the CPU, not on mps", "build-engine"),
        ("a.onnx", {"device": "tpu"}, "no device is called", "known"),
        ("a.onnx", {"engine": "torch"}, "runs with openvino, not with torch", ".safetensors"),
        ("a.onnx", {"engine": "tensorrt"}, "runs with openvino", ".engine"),
        ("a.onnx", {"precision": "int8"}, "not quantised", "--precision int8"),
        ("a.onnx", {"compile": True}, "compile is for a GPU", "leave out"),
        ("q.onnx", {"precision": "fp32"}, "built for int8", "--precision fp32"),
        ("c.safetensors", {"engine": "openvino"}, "runs with torch, not with openvino", ".onnx"),
        ("c.json", {"engine": "openvino"}, "runs with torch", ".onnx"),
        ("c.safetensors", {"precision": "int8", "device": "cpu"}, "not quantised", "int8"),
        ("c.safetensors", {"graphs": True, "device": "cpu"}, "graphs is for a GPU", "--device"),
        ("none.onnx", {}, "no such checkpoint", "--model"),
        ("none.engine", {}, "no such checkpoint", "--model"),
        ("a.pt", {}, "is not a checkpoint", ".onnx"),
        ("a.xml", {}, "is not a checkpoint", ".onnx"),
    ],
)
def test_what_does_not_go_together_is_wrong_use(
    tmp_path: Path, name: str, asked: dict[str, Any], said: str, mend: str
) -> None:
    write_onnx(tmp_path / "a.onnx")
    write_onnx(tmp_path / "q.onnx", facts={"precision": "int8"})
    write_checkpoint(tmp_path / "c.safetensors")
    with pytest.raises(UsageError) as raised:
        planned(tmp_path / name, **asked)
    assert said in raised.value.what and mend in raised.value.mend


def test_a_checkpoint_and_what_was_exported_of_it_share_their_card(tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path / "best.safetensors", thresholds=Thresholds(0.3))
    file = write_onnx(tmp_path / "best.onnx", thresholds=Thresholds(0.9))
    assert planned(file).thresholds.pixel == 0.3, "as forge tune left it"
    assert planned(weights, device="cpu").thresholds.pixel == 0.3
    assert card_inside(file).thresholds.pixel == 0.9


def test_a_json_file_names_the_network_it_lies_beside(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "best.fp16.onnx", thresholds=Thresholds(0.3))
    write_card(file, exported_card())
    assert planned(card_file(file)).weights == file
