"""What an exported network says of itself, and files that only look like one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import Spec
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, card_file, read_card, write_card
from forgecli.segment.onnx_file import CARD_KEY, card_inside, metadata, read_onnx_card, spec_of
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds
from tests.segment.onnx_files import exported_card, onnx_bytes, write_onnx

WHOLE = onnx_bytes(exported_card(), metadata={"author": "Ä. N. Other", "": "", "long": "x" * 5000})


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def written(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "a.onnx"
    file.write_bytes(content)
    return file


def test_the_metadata_are_those_that_onnx_wrote(tmp_path: Path) -> None:
    found = metadata(written(tmp_path, WHOLE))
    assert set(found) == {"author", "", "long", CARD_KEY}
    assert found["author"] == "Ä. N. Other" and found[""] == "" and found["long"] == "x" * 5000
    assert card_inside(tmp_path / "a.onnx") == exported_card()


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), st.text(), max_size=4))
def test_any_text_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.onnx"
    file.write_bytes(onnx_bytes(metadata=entries))
    assert metadata(file) == entries


def test_of_a_key_that_is_there_twice_the_last_counts(tmp_path: Path) -> None:
    pair = b"\x0a\x06author\x12\x03new"
    found = metadata(written(tmp_path, WHOLE + b"\x72" + varint(len(pair)) + pair))
    assert found["author"] == "new"


def test_weights_are_skipped_however_many(tmp_path: Path) -> None:
    """A graph with a tensor of 3 GB, of which nothing is on the disk."""
    size = 3 << 30
    file = tmp_path / "a.onnx"
    pair = b"\x0a\x01k\x12\x01v"
    tensor = b"\x4a" + varint(size)
    weights = b"\x2a" + varint(len(tensor) + size) + tensor
    with file.open("wb") as stream:
        stream.write(b"\x3a" + varint(len(weights) + size) + weights)
        stream.seek(size, 1)
        stream.write(b"\x72" + varint(len(pair)) + pair)
    assert metadata(file) == {"k": "v"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no graph"),
        (b"\x08\x07", "no graph"),
        (b"not a network at all", "."),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "."),
        (WHOLE[:-1], "ends too early"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "ends too early"),
        (b"\x3a" + b"\xff" * 11, "too long"),
        (b"\x00" * 50, "no number"),
        (b"\x3a\x00\x72\x05\x0a\x03\xff\xfe\xfd", "not text"),
        (b"\x3a\x00\x72\x04\x0a\x09ab", "ends too early"),
        (b"\x0b" * 50, "unknown kind"),
        (b"\x08\x01" * 20_000, "too many"),
        (b"\x3a\x00\x72" + varint(17 << 20) + bytes(17 << 20), "too large"),
    ],
)
def test_what_is_no_onnx_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(ForgeError, match=said) as raised:
        read_onnx_card(written(tmp_path, content))
    assert raised.value.file == tmp_path / "a.onnx" and raised.value.mend


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_damage_is_an_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.onnx"
    file.write_bytes(WHOLE[:place] if cut else WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
    try:
        card = read_onnx_card(file)
    except ForgeError:
        return
    assert isinstance(card, Card)


def test_a_strangers_network_is_refused_with_a_mend(tmp_path: Path) -> None:
    with pytest.raises(ForgeError, match="not a network that forge exported") as raised:
        read_onnx_card(written(tmp_path, onnx_bytes(metadata={"author": "somebody"})))
    assert "forge build-engine" in raised.value.mend
    with pytest.raises(UsageError, match="cannot be read"):
        read_onnx_card(tmp_path / "none.onnx")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', "[" * 100_000])
def test_a_card_that_cannot_be_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ForgeError):
        read_onnx_card(written(tmp_path, onnx_bytes(metadata={CARD_KEY: text})))


def test_the_card_beside_it_wins_but_for_how_it_was_exported(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx", thresholds=Thresholds(0.3), split="s")
    assert read_onnx_card(file).thresholds.pixel == 0.3
    beside = Card("simple-cnn", thresholds=Thresholds(0.7), preprocess=Preprocess(size=64),
                  split="s", tuning={"tta": "none"})  # fmt: skip
    write_card(file, beside)
    found = read_onnx_card(file)
    assert replace(found, built={}) == beside, "the checkpoint's own JSON, as forge tune left it"
    assert found.built == exported_card().built
    write_card(file, replace(beside, built={"onnx": {"channels": 99}}))
    assert spec_of(read_onnx_card(file), file).channels == 3


@pytest.mark.parametrize(
    "change", [{"model": "unet"}, {"arguments": {"size": 5}}, {"split": "t"}, {"metrics": {"d": 1}}]
)
def test_a_card_of_another_training_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    file = write_onnx(tmp_path / "a.onnx", split="s", metrics={"d": 0.5})
    write_card(file, replace(card_inside(file), **change))
    with pytest.raises(ForgeError, match="different networks or trainings") as raised:
        read_onnx_card(file)
    assert "a.json" in raised.value.what and "--overwrite" in raised.value.mend


def test_what_the_network_takes(tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    facts = {"channels": 6, "multiple": 16, "size": [32, 64], "outputs": 4, "precision": "int8"}
    card = json.loads(json.dumps({"facts": exported_card(facts).built}))["facts"]
    assert spec_of(Card("x", built=card), file) == Spec(6, 16, (32, 64), 4, "cpu", "int8")


@pytest.mark.parametrize(
    "facts",
    [
        None, [], "unet", {}, {"channels": 3}, {"channels": True}, {"channels": -3},
        {"multiple": 0}, {"outputs": 1 << 40}, {"size": [0, 8]}, {"size": 5}, {"size": [8]},
        {"size": "no"}, {"precision": "fp7"}, {"precision": ["fp32"]}, {"channels": 2.5},
    ],
)  # fmt: skip
def test_facts_that_make_no_sense_are_refused(tmp_path: Path, facts: Any) -> None:
    strange = isinstance(facts, dict) and len(facts) > 0 and facts != {"channels": 3}
    card = exported_card(facts) if strange else Card("x", built={"onnx": facts})
    with pytest.raises(ForgeError, match="does not say what the network takes"):
        spec_of(card, tmp_path / "a.onnx")


def test_other_readers_of_cards_are_not_changed(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx")
    with pytest.raises(UsageError, match="cannot be read"):
        read_card(file)
    write_card(file, card_inside(file))
    assert read_card(file) == card_inside(file) and card_file(file).name == "a.json"


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    """They could change while the file, by whose hash results are known, stays as it is."""
    model = onnx.load_from_string(WHOLE)
    onnx.save_model(model, tmp_path / "a.onnx", save_as_external_data=True, location="a.data",
                    size_threshold=0)  # fmt: skip
    assert (tmp_path / "a.data").stat().st_size
    with pytest.raises(ForgeError, match="keeps its weights in other files") as raised:
        read_onnx_card(tmp_path / "a.onnx")
    assert raised.value.file == tmp_path / "a.onnx" and raised.value.mend


FAR = onnx.TensorProto(
    name="far", data_type=onnx.TensorProto.FLOAT, dims=[1],
    data_location=onnx.TensorProto.EXTERNAL,
    external_data=[onnx.StringStringEntryProto(key="location", value="a.data")],
)  # fmt: skip
NEAR = onnx.numpy_helper.from_array(np.ones(3, np.float32), "near")


def holding(where: str, tensor: onnx.TensorProto) -> onnx.ModelProto:
    """The network with one tensor more, at a place where one may be."""
    model = onnx.load_from_string(WHOLE)
    sparse = onnx.SparseTensorProto(values=tensor, indices=NEAR, dims=[1])
    branch = onnx.helper.make_graph([], "branch", [], [], [tensor])
    attributes: dict[str, dict[str, Any]] = {
        "value": {"t": tensor},
        "values": {"tensors": [NEAR, tensor]},
        "branch": {"g": branch},
        "branches": {"graphs": [branch]},
        "sparse": {"sparse_tensor": sparse},
        "indices": {"sparse_tensor": onnx.SparseTensorProto(values=NEAR, indices=tensor)},
        "sparses": {"sparse_tensors": [sparse]},
    }
    if where in attributes:
        attribute = onnx.AttributeProto(name="a", **attributes[where])
        model.graph.node.append(onnx.NodeProto(op_type="Constant", attribute=[attribute]))
    elif where == "sparse initializer":
        model.graph.sparse_initializer.append(sparse)
    elif where == "training":
        model.training_info.append(onnx.TrainingInfoProto(algorithm=branch))
    else:
        attribute = onnx.AttributeProto(name="a", t=tensor)
        node = onnx.NodeProto(op_type="Constant", attribute=[attribute])
        parts = {"node": [node]} if where == "function" else {"attribute_proto": [attribute]}
        model.functions.append(onnx.FunctionProto(name="f", **parts))
    return model


@pytest.mark.parametrize(
    "where",
    ["value", "values", "branch", "branches", "sparse", "indices", "sparses", "sparse initializer",
     "training", "function", "default of a function"],
)  # fmt: skip
def test_weights_in_other_files_are_refused_wherever_they_are(tmp_path: Path, where: str) -> None:
    read_onnx_card(written(tmp_path, holding(where, NEAR).SerializeToString()))
    with pytest.raises(ForgeError, match="keeps its weights in other files"):
        read_onnx_card(written(tmp_path, holding(where, FAR).SerializeToString()))


def test_graphs_in_graphs_without_an_end_are_refused(tmp_path: Path) -> None:
    content = b""
    for _ in range(60):  # a graph with a node with an attribute with a graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            content = tag + varint(len(content)) + content
    with pytest.raises(ForgeError, match="nested too deep"):
        read_onnx_card(written(tmp_path, b"\x3a" + varint(len(content)) + content))


def test_a_card_beside_it_that_is_a_link_to_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx")
    try:
        card_file(file).symlink_to(tmp_path / "nowhere.json")
    except OSError:
        pytest.skip("no links on this system")
    with pytest.raises(UsageError, match="cannot be read") as raised:
        read_onnx_card(file)
    assert raised.value.file == tmp_path / "a.json"


def test_a_card_beside_it_whose_name_has_another_case(tmp_path: Path) -> None:
    """Else thresholds that a user believes in would not count, without a word."""
    file = write_onnx(tmp_path / "a.onnx")
    write_card(file, exported_card(thresholds=Thresholds(0.9)))
    card_file(file).rename(tmp_path / "a.JSON")
    if card_file(file).exists():
        pytest.skip("this file system does not tell the case of letters")
    with pytest.raises(UsageError, match=r"is named a\.JSON here"):
        read_onnx_card(file)
