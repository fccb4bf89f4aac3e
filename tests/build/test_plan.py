"""What is settled before anything is exported."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from engines.base import Spec
from forgecli.build.plan import BuildPlan, sizes_of
from forgecli.build.settings import BuildSettings
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, write_card
from forgecli.segment.preprocess import Preprocess


def checkpoint(folder: Path, model: str = "unet", size: int = 512) -> Path:
    weights = folder / "best.safetensors"
    weights.write_bytes(b"weights")
    write_card(weights, Card(model, preprocess=Preprocess(size=size)))
    return weights


def test_files_lie_beside_the_checkpoint_and_share_its_card(tmp_path: Path) -> None:
    plan = BuildPlan.of(checkpoint(tmp_path).with_suffix(".json"), BuildSettings())
    assert plan.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert plan.onnx() == tmp_path / "best.onnx"
    assert plan.onnx("fp16") == tmp_path / "best.fp16.onnx"
    assert plan.shares_card
    assert not BuildPlan.of(plan.weights, BuildSettings(), folder=tmp_path / "o").shares_card
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "best.json", "best.safetensors", "o",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["mask-rcnn", "faster-rcnn"])
def test_what_cannot_be_exported_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="how many boxes there are depends on the picture"):
        BuildPlan.of(checkpoint(tmp_path, name), BuildSettings())


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a checkpoint"):
        BuildPlan.of(tmp_path / "best.onnx", BuildSettings())
    with pytest.raises(UsageError, match="no such checkpoint"):
        BuildPlan.of(tmp_path / "best.safetensors", BuildSettings())
    weights = checkpoint(tmp_path)
    weights.with_suffix(".json").write_text("{}")
    with pytest.raises(ForgeError, match="not a checkpoint that this forge can read"):
        BuildPlan.of(weights, BuildSettings())
    weights.with_suffix(".json").unlink()
    with pytest.raises(UsageError, match="two files"):
        BuildPlan.of(weights, BuildSettings())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"precision": "int8", "check": Path()}, "int8 is for the CPU"),
        ({"precision": "int8", "onnx_only": True}, "labelled images"),
    ],
)
def test_settings_that_contradict_each_other(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        BuildPlan.of(checkpoint(tmp_path), BuildSettings(**settings))


def test_a_quantised_network_is_not_replaced_unasked(tmp_path: Path) -> None:
    settings = BuildSettings(precision="int8", onnx_only=True, check=tmp_path)
    weights = checkpoint(tmp_path)
    (tmp_path / "best.int8.onnx").write_bytes(b"there")
    with pytest.raises(UsageError, match="exists already"):
        BuildPlan.of(weights, settings)
    BuildPlan.of(weights, settings, overwrite=True)


def test_a_folder_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ForgeError, match="is a file, not a folder"):
        BuildPlan.of(checkpoint(tmp_path), BuildSettings(), folder=tmp_path / "file")


def sizes(spec: Spec, trained: int = 512, **settings: Any) -> object:
    card = Card("unet", preprocess=Preprocess(size=trained))
    return sizes_of(spec, card, BuildSettings(**settings))


def test_sizes_reach_from_the_smallest_to_what_was_trained() -> None:
    assert sizes(Spec(multiple=32)) == ((32, 32), (512, 512), (512, 512))
    assert sizes(Spec(multiple=128), 400) == ((128, 128), (512, 512), (512, 512))
    asked = ((64, 64), (256, 320), (512, 512))
    assert sizes(Spec(multiple=32), size=asked) == asked


def test_sizes_are_multiples_of_what_the_network_asks_for() -> None:
    with pytest.raises(UsageError, match=r"multiples of 32\. Got: 300") as caught:
        sizes(Spec(multiple=32), size=((64, 64), (300, 320), (512, 512)))
    assert caught.value.mend == "288 is near by"


def test_a_network_of_one_size_has_that_size() -> None:
    spec = Spec(multiple=32, size=(384, 384))
    assert sizes(spec) == ((384, 384),) * 3 == sizes(spec, size=((384, 384),) * 3)
    with pytest.raises(UsageError, match="one size, and that is 384x384"):
        sizes(spec, size=((384, 384), (384, 384), (512, 512)))
