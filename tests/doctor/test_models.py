"""Whether the file of a network would load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forgecli.doctor.ask import Answer
from forgecli.doctor.models import engine_files, judge_model, mismatch_here
from forgecli.doctor.verdicts import Verdict
from forgecli.segment.checkpoint import Card, write_card
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
