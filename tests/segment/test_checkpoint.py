"""Checkpoints: two files that go together, and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import (
    Card,
    card_file,
    load_checkpoint,
    load_weights,
    read_card,
    save_checkpoint,
    write_card,
)
from forgecli.segment.models.registry import build
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds

probabilities = st.floats(0, 1)
cards = st.builds(
    Card,
    model=st.text(),
    arguments=st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()),
    preprocess=st.builds(Preprocess, view=st.sampled_from(["resize", "tile"]),
                         size=st.integers(32, 8192), ela=st.booleans()),
    thresholds=st.builds(
        Thresholds, probabilities, st.integers(0, 10**6), probabilities, probabilities,
        st.sampled_from(["merged", "components", "matched"]), st.none() | probabilities,
    ),
    split=st.text(),
    metrics=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
)  # fmt: skip


@settings(deadline=None)
@given(cards)
def test_a_card_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, card: Card
) -> None:
    file = tmp_path_factory.getbasetemp() / "card.safetensors"
    write_card(file, card)
    assert read_card(file) == read_card(card_file(file)) == card


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("unet", {"encoder": "resnet18", "encoder_weights": "imagenet"}),
        ("unet", {"name": "fpn"}),
        ("unet", {"encoder": 5}),
        ("copy-attend", {"width": -1}),
        ("mask-rcnn", {"instances": "a"}),
    ],
)
def test_a_strangers_arguments_are_an_error_and_load_nothing(
    tmp_path: Path, model: str, arguments: dict[str, object]
) -> None:
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, build("simple-cnn"), Card(model, arguments=arguments))
    with pytest.raises(ForgeError):
        load_checkpoint(file)


def test_a_card_that_is_nested_without_end_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(ForgeError, match="not JSON"):
        read_card(tmp_path / "a.safetensors")


def test_a_network_is_read_back_as_it_was(tmp_path: Path) -> None:
    network = build("simple-cnn").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    card = Card("simple-cnn", preprocess=Preprocess(size=256))
    save_checkpoint(tmp_path / "a.safetensors", network, card)
    again, told = load_checkpoint(tmp_path / "a.safetensors")
    assert told == card and not again.training
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(again(images), network.eval()(images))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.json", "a.safetensors"]


def test_tensors_that_share_memory_are_written(tmp_path: Path) -> None:
    """As those of networks with tied weights, which safetensors refuses."""
    network = build("simple-cnn")
    network.tied = nn.Conv2d(1, 1, 1)  # type: ignore[assignment]
    network.tied.weight = nn.Parameter(torch.zeros(1, 1, 1, 1))
    network.again = network.tied  # type: ignore[assignment]
    save_checkpoint(tmp_path / "a.safetensors", network, Card("simple-cnn"))
    load_weights(network, tmp_path / "a.safetensors")


def test_one_file_without_the_other(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", build("simple-cnn"), Card("simple-cnn"))
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    with pytest.raises(UsageError, match="cannot be read") as caught:
        load_checkpoint(tmp_path / "a.safetensors")
    assert "keep them together" in caught.value.mend
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(tmp_path / "b.safetensors")


def test_weights_of_another_network(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", build("simple-cnn"), Card("dual-stream"))
    with pytest.raises(ForgeError, match="does not fit the network") as caught:
        load_checkpoint(tmp_path / "a.safetensors")
    assert caught.value.file == tmp_path / "a.safetensors"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "not a checkpoint"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1}', "model"),
        ('{"format": 1, "model": "unet", "thresholds": {"pixel": 7}}', "thresholds.pixel"),
        ('{"format": 1, "model": "unet", "preprocess": {"size": "big"}}', "preprocess.size"),
    ],
)
def test_cards_that_cannot_be(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ForgeError, match=words):
        read_card(tmp_path / "a.safetensors")


def test_weights_that_are_no_safetensors(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", build("simple-cnn"), Card("simple-cnn"))
    whole = (tmp_path / "a.safetensors").read_bytes()
    for data in (b"", b"pickle?", whole[:-1], whole[: len(whole) // 2]):
        (tmp_path / "a.safetensors").write_bytes(data)
        with pytest.raises(ForgeError, match="not a safetensors file"):
            load_checkpoint(tmp_path / "a.safetensors")


def test_what_is_nan_is_not_written_as_json(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", build("simple-cnn"), Card("simple-cnn"))
    before = (tmp_path / "a.json").read_text()
    with pytest.raises(ValueError, match="JSON"):
        write_card(tmp_path / "a.safetensors", Card("x", metrics={"dice": float("nan")}))
    assert json.loads(before) == json.loads((tmp_path / "a.json").read_text())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    """As a training that diverged leaves them: such a network finds nothing, and says nothing."""
    network = build("simple-cnn")
    name, weights = list(network.named_parameters())[-1]
    with torch.no_grad():
        weights.view(-1)[0] = value
    save_checkpoint(tmp_path / "a.safetensors", network, Card("simple-cnn"))
    with pytest.raises(ForgeError, match=r"not finite numbers, in 1 of its \d+ tensors") as caught:
        load_checkpoint(tmp_path / "a.safetensors")
    assert name in caught.value.what
    assert caught.value.file == tmp_path / "a.safetensors" and caught.value.mend


def test_a_card_that_is_a_link_to_nowhere_is_missing_and_not_misspelled(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, build("simple-cnn"), Card("simple-cnn"))
    (tmp_path / "a.json").rename(tmp_path / "moved.json")
    try:
        (tmp_path / "a.json").symlink_to(tmp_path / "nowhere.json")
    except OSError:
        pytest.skip("no links on this system")
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(file)


@pytest.mark.parametrize("other", ["a.JSON", "A.json"])
def test_a_card_whose_name_has_another_case(tmp_path: Path, other: str) -> None:
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, build("simple-cnn"), Card("simple-cnn"))
    (tmp_path / "a.json").rename(tmp_path / other)
    if (tmp_path / "a.json").exists():
        pytest.skip("this file system does not tell the case of letters")
    with pytest.raises(UsageError, match=f"is named {other} here") as caught:
        load_checkpoint(file)
    assert caught.value.mend == f"rename {other} to a.json"
