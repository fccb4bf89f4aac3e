"""An ONNX file is loaded and run before doctor says yes to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from forgecli.doctor import trial
from forgecli.doctor.ask import ask_of
from forgecli.doctor.models import judge_model
from forgecli.doctor.trial import try_onnx
from forgecli.doctor.verdicts import Verdict
from forgecli.errors import ForgeError
from tests.segment.onnx_files import exported_card, onnx_bytes, write_onnx

WAYS = {"openvino on the CPU": Verdict("openvino on the CPU", True, "here")}


def fits(facts: object) -> str | None:
    return None


def weighted(file: Path, value: float, place: int = 0) -> Path:
    weights = np.full((1, 3, 3, 3), 0.1, np.float32)
    weights.reshape(-1)[place] = value
    file.write_bytes(onnx_bytes(exported_card(), weights=weights))
    return file


def test_a_network_that_works(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx")
    try_onnx(file)
    verdict = judge_model(file, WAYS, fits)
    assert verdict.runs and verdict.why == "simple-cnn, fp32: openvino on the CPU"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx"], "nothing is kept"


@pytest.mark.parametrize("size", [None, (96, 48)])
def test_of_one_size_and_of_any(tmp_path: Path, size: tuple[int, int] | None) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(onnx_bytes(exported_card({"size": size, "multiple": 48}), size=size))
    try_onnx(file)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    file = weighted(tmp_path / "a.onnx", value, 26)
    with pytest.raises(ForgeError, match=r"not finite numbers, in 1 of its \d constants .*\bw\b"):
        try_onnx(file)


def test_they_are_refused_by_doctor_in_the_words_of_a_checkpoint(tmp_path: Path) -> None:
    verdict = judge_model(weighted(tmp_path / "a.onnx", float("nan")), WAYS, fits)
    assert not verdict.runs and verdict.broken
    assert "holds values that are not finite numbers" in verdict.why
    assert "train again" in verdict.mend


def test_weights_that_a_later_step_hides(tmp_path: Path) -> None:
    """max(0, NaN) may be 0: what comes out says nothing."""
    weights = np.full((1, 3, 3, 3), np.nan, np.float32)
    model = onnx.load_from_string(onnx_bytes(exported_card(), weights=weights))
    model.graph.node[0].output[0] = "before"
    model.graph.node.append(helper.make_node("Clip", ["before", "low", "high"], ["logits"]))
    for name, value in (("low", 0.0), ("high", 1.0)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, "f4"), name))
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ForgeError, match=r"in 1 of its \d constants"):
        try_onnx(tmp_path / "a.onnx")


def test_one_infinite_value_is_a_filling(tmp_path: Path) -> None:
    """An attention's mask is filled with minus infinity; that is no damage."""
    model = onnx.load_from_string(onnx_bytes(exported_card()))
    model.graph.node[0].output[0] = "before"
    model.graph.node.append(helper.make_node("Max", ["before", "least"], ["logits"]))
    least = numpy_helper.from_array(np.array(-np.inf, "f4"), "least")
    model.graph.initializer.append(least)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    try_onnx(tmp_path / "a.onnx")


def test_values_that_are_not_finite_come_out(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(exported_card(), bias=float("inf")))
    with pytest.raises(ForgeError, match="gives values that are not finite"):
        try_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize("wrong", ["type", "channels", "rank"])
def test_another_input_than_the_card_says(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "a.onnx"
    channels = 4 if wrong == "channels" else 3
    weights = np.zeros((1, channels, 3, 3), np.float32)
    model = onnx.load_from_string(onnx_bytes(exported_card(), weights=weights))
    image = model.graph.input[0].type.tensor_type
    if wrong == "type":
        image.elem_type = TensorProto.UINT8
        model.graph.input[0].name = "bytes"
        cast = helper.make_node("Cast", ["bytes"], ["images"], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)
    elif wrong == "rank":
        image.ClearField("shape")
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ForgeError, match=r"input is to be f32|cannot use the model") as raised:
        try_onnx(file)
    assert "--onnx-only" in raised.value.mend


def test_what_is_no_network_at_all_is_an_answer(tmp_path: Path) -> None:
    answer = ask_of(tmp_path / "nowhere.onnx")
    assert answer.works and "cannot be read" in answer.facts["fault"]


def test_whatever_the_library_says_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(file: Path) -> None:
        raise RuntimeError("out of memory\nat 0x0")

    monkeypatch.setattr(trial, "try_onnx", refuse)
    assert trial.main("a.onnx") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {"facts": {"fault": "RuntimeError: out of memory", "mend": ""}}


def test_without_openvino_it_is_not_loaded(tmp_path: Path) -> None:
    none = Verdict("openvino on the CPU", False, "openvino is not installed", "pip install it")
    verdict = judge_model(weighted(tmp_path / "a.onnx", float("nan")), {none.name: none}, fits)
    assert verdict.why == "simple-cnn, fp32: openvino is not installed"
