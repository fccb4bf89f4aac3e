"""Whether the file of a network would load."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from forgecli.doctor import models
from forgecli.doctor.ask import Answer
from forgecli.doctor.models import engine_files, judge_model, mismatch_here
from forgecli.doctor.verdicts import Verdict
from forgecli.errors import ForgeError
from forgecli.segment.checkpoint import Card, load_checkpoint, save_checkpoint, write_card
from forgecli.segment.models.registry import build
from tests.segment.checkpoints import write_checkpoint

WAYS = {
    name: Verdict(name, True, "here")
    for name in ("openvino on the CPU", "torch on the CPU", "tensorrt", "tensorrt-rtx")
}
FACTS = {"flavor": "rtx", "version": "1.7", "capabilities": [89], "precision": "fp16"}


def fits(facts: object) -> str | None:
    return None


def engine(folder: Path, facts: object) -> Path:
    file = folder / "best.0123456789ab.engine"
    file.write_bytes(b"plan")
    write_card(file, Card("unet", built={"engine": facts} if facts else {}))
    return file


def test_a_checkpoint(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path / "best.safetensors")
    verdict = judge_model(file, WAYS, fits)
    assert verdict.runs
    assert verdict.why == "simple-cnn: torch on the CPU"


def test_a_checkpoint_without_torch(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path / "best.safetensors")
    without = Verdict("torch on the CPU", False, "torch is not installed", "pip install it")
    verdict = judge_model(file, {**WAYS, "torch on the CPU": without}, fits)
    assert not verdict.runs
    assert "torch is not installed" in verdict.why
    assert verdict.mend == "pip install it"


@pytest.mark.parametrize("damage", ["cut", "card", "gone", "empty"])
def test_a_damaged_checkpoint(tmp_path: Path, damage: str) -> None:
    file = write_checkpoint(tmp_path / "best.safetensors")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "card":
        file.with_suffix(".json").write_text("{", encoding="utf-8")
    elif damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"")
    verdict = judge_model(file, WAYS, fits)
    assert not verdict.runs
    assert verdict.broken


KINDS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_checkpoint_of_a_training_that_diverged(
    tmp_path: Path, value: float, kind: torch.dtype
) -> None:
    """In the words in which `forge predict` refuses it."""
    network = build("simple-cnn").to(kind)
    name, weights = list(network.named_parameters())[2]
    with torch.no_grad():
        weights.view(-1)[-1] = value
    file = tmp_path / "best.safetensors"
    save_checkpoint(file, network, Card("simple-cnn"))
    verdict = judge_model(file, WAYS, fits)
    assert not verdict.runs and verdict.broken
    with pytest.raises(ForgeError) as said:
        load_checkpoint(file)
    assert name in verdict.why
    assert (verdict.why, verdict.mend) == (said.value.what.rstrip("."), said.value.mend)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_largest_and_the_smallest_numbers_are_numbers(
    tmp_path: Path, kind: torch.dtype
) -> None:
    network = build("simple-cnn").to(kind)
    weights = next(network.parameters()).data.view(-1)
    facts = torch.finfo(kind)
    weights[:4] = torch.tensor([facts.max, facts.min, facts.tiny, 0], dtype=kind)
    save_checkpoint(tmp_path / "best.safetensors", network, Card("simple-cnn"))
    assert judge_model(tmp_path / "best.safetensors", WAYS, fits).runs


def test_values_that_are_not_finite_far_into_a_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_AT_ONCE", 7)
    file = write_checkpoint(tmp_path / "best.safetensors")
    assert judge_model(file, WAYS, fits).runs
    content = bytearray(file.read_bytes())
    content[-4:] = b"\x00\x00\x80\x7f"
    file.write_bytes(content)
    assert "in 1 of its" in judge_model(file, WAYS, fits).why


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "data_offsets": [0, 3]}},
        {"a": {"dtype": [], "data_offsets": [0, 3]}},
        {"a": {"data_offsets": [0, 3]}},
        {"a": {"dtype": "F32", "data_offsets": ["x", 3]}},
        {"a": {"dtype": "F32", "data_offsets": [float("inf"), 3]}},
        {"a": {"dtype": "F32", "data_offsets": [0, float("inf")]}},
        {"a": {"dtype": "F32", "data_offsets": [0, float("nan")]}},
        [],
        "",
    ],
)
def test_a_header_that_makes_no_sense(tmp_path: Path, header: object) -> None:
    file = write_checkpoint(tmp_path / "best.safetensors")
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"abc")
    verdict = judge_model(file, WAYS, fits)
    assert not verdict.runs and "damaged" in verdict.why


def test_an_onnx_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    file.write_bytes(b"not a network at all")
    verdict = judge_model(file, WAYS, fits)
    assert not verdict.runs
    assert "ONNX" in verdict.why


def test_an_engine_that_fits(tmp_path: Path) -> None:
    assert judge_model(engine(tmp_path, FACTS), WAYS, fits).runs


def test_an_engine_that_does_not_says_why(tmp_path: Path) -> None:
    verdict = judge_model(engine(tmp_path, FACTS), WAYS, lambda facts: f"of {facts['version']}")
    assert not verdict.runs
    assert verdict.why == "unet, fp16: of 1.7"


def test_an_engine_of_another_library(tmp_path: Path) -> None:
    missing = Verdict("tensorrt", False, "tensorrt is not installed", "pip install it")
    facts = {**FACTS, "flavor": "tensorrt"}
    verdict = judge_model(engine(tmp_path, facts), {**WAYS, "tensorrt": missing}, fits)
    assert "tensorrt is not installed" in verdict.why


def test_an_engine_without_facts(tmp_path: Path) -> None:
    verdict = judge_model(engine(tmp_path, None), WAYS, fits)
    assert not verdict.runs
    assert "forge build-engine" in verdict.mend


def test_something_else(tmp_path: Path) -> None:
    file = tmp_path / "best.pt"
    file.write_bytes(b"x")
    assert "not a network's file" in judge_model(file, WAYS, fits).why


def test_engines_of_a_folder(tmp_path: Path) -> None:
    engine(tmp_path, FACTS)
    (tmp_path / "best.json").write_text(json.dumps({}), encoding="utf-8")
    assert [file.name for file in engine_files(tmp_path)] == ["best.0123456789ab.engine"]


def test_the_machine_is_compared_with_the_facts() -> None:
    gpu = {"name": "NVIDIA RTX 4090", "capability": 89, "memory": 1}
    answers = {
        "cupy": Answer(True, True, facts={"gpus": [gpu]}),
        "tensorrt": Answer(False),
        "tensorrt_rtx": Answer(True, True, facts={"version": "1.7"}),
    }
    compare = mismatch_here(answers)
    assert compare(FACTS) is None
    assert "1.6" in (compare({**FACTS, "version": "1.6"}) or "")
    assert "12.0" in (compare({**FACTS, "capabilities": [120]}) or "")
    assert "not installed" in (compare({**FACTS, "flavor": "tensorrt"}) or "")


def test_an_engine_that_is_damaged(tmp_path: Path) -> None:
    """Said whether or not this machine could run it."""
    facts = {**FACTS, "plan_sha256": hashlib.sha256(b"plan").hexdigest()}
    file = engine(tmp_path, facts)
    assert judge_model(file, WAYS, fits).runs
    file.write_bytes(b"pla")
    none = Verdict("tensorrt-rtx", False, "no NVIDIA driver")
    for ways in (WAYS, {**WAYS, "tensorrt-rtx": none}):
        verdict = judge_model(file, ways, fits)
        assert not verdict.runs and verdict.broken
        assert "damaged" in verdict.why and not verdict.why.endswith(".")


@pytest.mark.parametrize("capabilities", [["8.9"], [None], [8.9], "89", {"89": 1}])
def test_facts_that_make_no_sense(tmp_path: Path, capabilities: object) -> None:
    answers = {
        "cupy": Answer(True, True, facts={"gpus": []}),
        "tensorrt": Answer(False),
        "tensorrt_rtx": Answer(True, True, facts={"version": "1.7"}),
    }
    file = engine(tmp_path, {**FACTS, "capabilities": capabilities})
    verdict = judge_model(file, WAYS, mismatch_here(answers))
    assert not verdict.runs
    assert "do not say what it was built for" in verdict.why
