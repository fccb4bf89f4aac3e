"""Settings: their sources, their order, and that what is shown can be fed back."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forgecli.config import read_config
from forgecli.errors import UsageError
from forgecli.segment.models.registry import arguments_of, names
from forgecli.toml import toml_text
from forgecli.train import presets
from forgecli.train.losses import LOSSES
from forgecli.train.networks import build_network, network_arguments
from forgecli.train.presets import TABLES, TrainSettings, preset_of, settle
from forgecli.train.settings import LossSettings


def settled(
    config: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, dict[str, Any]] | None = None,
) -> TrainSettings:
    return settle(config or {}, Path("c.toml"), environment or {}, flags or {})


def named(name: str) -> TrainSettings:
    return settled(flags={"model": {"name": name}})


@pytest.mark.parametrize("name", names())
def test_every_network_has_a_preset_that_holds(name: str) -> None:
    settings = named(name)
    assert settings.model.name == name == preset_of(name)["model"]["name"]
    assert set(settings.loss.weights) <= set(LOSSES)
    assert set(network_arguments(settings)) <= set(arguments_of(name))
    known = {each.name: {f.name for f in dataclasses.fields(getattr(settings, each.name))}
             for each in dataclasses.fields(TrainSettings)}  # fmt: skip
    for table, values in preset_of(name).items():
        assert values.keys() <= known[table], table


def test_there_are_no_presets_without_a_network() -> None:
    folder = Path(presets.__file__).parent / "presets"
    assert {file.stem for file in folder.glob("*.toml")} == set(names())


@pytest.mark.parametrize("name", names())
def test_what_is_shown_is_read_back_to_the_same(name: str, tmp_path: Path) -> None:
    settings = settled(
        {"data": {"folder": 'a b/"c"\\é', "size": 128}, "model": {"arguments": {"x": [1, 2.5]}}},
        flags={"model": {"name": name}, "loop": {"minutes": 1.5}},
    )
    file = tmp_path / "shown.toml"
    file.write_text(settings.toml(), encoding="utf-8")
    again = settle(read_config(file, TABLES), file, {}, {})
    assert again == settings


def test_the_systems_that_were_published_are_as_published() -> None:
    simple = named("simple-cnn")
    assert (simple.data.size, simple.loop.batch, simple.loop.epochs) == (256, 8, 10)
    assert (simple.optimiser.name, simple.optimiser.lr) == ("adam", 1e-4)
    assert simple.loss.weights == {"bce": 1.0}
    assert (simple.schedule.name, simple.schedule.warmup, simple.loop.ema) == ("constant", 0, 0)
    dual = named("dual-stream")
    assert dual.data.size == 256 and dual.optimiser.name == "adam"
    assert dual.loss.weights == {"tversky": 1.0}
    assert (dual.loss.alpha, dual.loss.beta) == (0.1, 0.9)
    schedule = dual.schedule
    assert (schedule.name, schedule.factor, schedule.patience) == ("plateau", 0.5, 3)
    assert schedule.floor == 1e-6 and dual.loop.patience == 5
    augment = dual.augment
    assert augment.flips and (augment.jpeg, augment.jpeg_low, augment.jpeg_high) == (0.5, 70, 95)
    assert augment.rotate == augment.tone == augment.blur == augment.noise == 0


def test_each_source_wins_over_the_one_before() -> None:
    """Default 30 and preset 10 epochs of simple-cnn; then 20, 21 and 22."""
    model = {"name": "simple-cnn"}
    file = {"model": model, "loop": {"epochs": 20}}
    environment = {"FORGE_LOOP_EPOCHS": "21"}
    assert settled().loop.epochs == 30
    assert settled({"model": model}).loop.epochs == 10
    assert settled(file).loop.epochs == 20
    assert settled(file, environment).loop.epochs == 21
    assert settled(file, environment, {"loop": {"epochs": 22}}).loop.epochs == 22
    assert settled(file).loss.name == "bce", "what the file leaves out is the preset's"


@pytest.mark.parametrize("way", ["file", "environment", "flag"])
def test_the_preset_is_that_of_the_model_that_is_asked_for_last(way: str) -> None:
    file = {"model": {"name": "simple-cnn" if way == "file" else "unet"}}
    environment = {"FORGE_MODEL_NAME": "simple-cnn"} if way == "environment" else {}
    flags = {"model": {"name": "simple-cnn"}} if way == "flag" else {}
    assert settled(file, environment, flags).loss.name == "bce"


def test_arguments_of_file_and_preset_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        presets, "preset_of", lambda name: {"model": {"arguments": {"a": 1, "b": 2}}}
    )
    assert settled({"model": {"arguments": {"b": 3, "c": 4}}}).model.arguments == {
        "a": 1, "b": 3, "c": 4
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"loop": {"epoch": 3}}, ["epoch", "did you mean epochs"]),
        ({"optimiser": {"learning_rate": 3}}, ["learning_rate", "optimiser"]),
        ({"loop": {"epochs": 0}}, ["[loop] epochs", "c.toml"]),
        ({"model": {"name": "unett"}}, ["unett", "did you mean unet"]),
        ({"loop": {"precision": "fp8"}}, ["precision"]),
        ({"optimiser": {"lr": float("nan")}}, ["lr"]),
    ],
)
def test_what_cannot_be_is_refused(config: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        settled(config)
    for word in words:
        assert word in str(caught.value)


def test_unknown_variables_are_refused() -> None:
    with pytest.raises(UsageError, match="FORGE_LOOP_EPOCHES"):
        settled({}, {"FORGE_LOOP_EPOCHES": "3"})


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("bce", {"bce": 1.0}),
        ("bce+dice", {"bce": 1.0, "dice": 1.0}),
        (" 0.5*focal_tversky + 2 * lovasz", {"focal-tversky": 0.5, "lovasz": 2.0}),
    ],
)
def test_sums_of_losses(name: str, weights: dict[str, float]) -> None:
    assert LossSettings(name=name).weights == weights


@pytest.mark.parametrize("name", ["", "bce+", "x*bce", "-1*bce", "0*bce", "inf*bce", "bce+bce"])
def test_what_is_no_sum_of_losses(name: str) -> None:
    with pytest.raises(UsageError, match="no"):
        LossSettings(name=name).weights  # noqa: B018


keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
plain = scalars | st.lists(scalars, max_size=3)


@given(st.dictionaries(keys, st.dictionaries(keys, plain, max_size=4), max_size=4))
def test_text_is_toml_of_the_same_values(tables: dict[str, dict[str, Any]]) -> None:
    assert tomllib.loads(toml_text(tables)) == tables


@given(st.dictionaries(keys, plain, max_size=3), st.dictionaries(keys, plain, min_size=1))
def test_tables_within_tables(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    outer.pop("in", None)
    assert tomllib.loads(toml_text({"t": {"in": inner, **outer}})) == {"t": {**outer, "in": inner}}


def test_what_toml_cannot_say() -> None:
    assert tomllib.loads(toml_text({"a": {"b": None, "c": {}}})) == {"a": {}}
    with pytest.raises(TypeError, match="set"):
        toml_text({"a": {"b": {1}}} | {"c": {"d": {2}}})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "name", [name for name in names() if preset_of(name)["model"].get("prior")]
)
def test_networks_begin_at_their_prior(name: str) -> None:
    """With features of 0, every pixel has it: what sets the bias has found the right layer."""
    encoder = {"encoder": "resnet18"} if name != "dpt" else {}
    if name == "dpt":
        encoder = {"encoder": "tu-vit_tiny_patch16_224.augreg_in21k"}
    size = 128
    settings = settled(flags={"model": {"name": name, "encoder_weights": "none", **encoder},
                              "data": {"size": size}})  # fmt: skip
    network = build_network(settings, network_arguments(settings), weights=True).eval()
    last = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    torch.nn.init.zeros_(last.weight)
    with torch.inference_mode():
        probability = network(torch.rand(1, 3, size, size)).sigmoid()
    torch.testing.assert_close(probability, torch.full_like(probability, 0.02))


def test_detectors_have_no_prior() -> None:
    settings = settled(flags={"model": {"name": "faster-rcnn", "prior": 0.1, "encoder": "resnet18",
                                        "encoder_weights": "none"}})  # fmt: skip
    with pytest.raises(UsageError, match="prior"):
        build_network(settings, network_arguments(settings), weights=True)
