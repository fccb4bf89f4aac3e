"""Files of networks in capitals are files of networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgecli.doctor.models import engine_files
from forgecli.segment.checkpoint import weights_file
from forgecli.segment.plan import SegmentPlan, engine_of
from forgecli.segment.settings import SegmentSettings
from tests.segment.onnx_files import write_onnx


@pytest.mark.parametrize(
    ("name", "engine"),
    [("A.ONNX", "openvino"), ("a.Onnx", "openvino"), ("A.SAFETENSORS", "torch"),
     ("a.Engine", "tensorrt")],
)  # fmt: skip
def test_capitals_name_the_same_engine(name: str, engine: str) -> None:
    assert engine_of(Path(name)) == engine


def test_a_model_in_capitals_is_planned_as_it_is_called(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "BEST.ONNX")
    plan = SegmentPlan.of(file, SegmentSettings())
    assert plan.weights == file and plan.engine == "openvino"
    assert plan.sha256 == SegmentPlan.of(write_onnx(tmp_path / "b.onnx"), SegmentSettings()).sha256


def test_weights_are_the_file_that_was_named_or_one_beside_it() -> None:
    assert weights_file(Path("a.SafeTensors")) == Path("a.SafeTensors")
    assert weights_file(Path("a.json")) == Path("a.safetensors")
    assert weights_file(Path("a.fp16.json"), ".onnx") == Path("a.fp16.onnx")


def test_engines_in_capitals_are_found(tmp_path: Path) -> None:
    for name in ("a.engine", "B.ENGINE", "c.onnx"):
        (tmp_path / name).write_bytes(b"x")
    assert [file.name for file in engine_files(tmp_path)] == ["B.ENGINE", "a.engine"]
