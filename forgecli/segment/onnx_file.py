"""What an exported network says of itself, read without the package onnx.

An ONNX file is a protobuf message, and `forge build-engine` writes the card of the network into its
metadata. To find it the message is walked; values of weights are skipped, so the size of the file
hardly matters.

The fields are from the format's definition (onnx.proto, github.com/onnx/onnx): of ModelProto, 7 is
the graph and 14 the metadata, a list of pairs; of a pair, 1 is the key and 2 the value. Of a
tensor, 13 is there where its values are in another file.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, get_args

from engines.base import Precision, Spec
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import (
    Card,
    card_file,
    card_from,
    read_card,
    refuse_other_spelling,
)

CARD_KEY = "forge.card"
"""The key of the card's JSON in the metadata."""

_GRAPH, _METADATA = 7, 14
_KEY, _VALUE = 1, 2
_ELSEWHERE = 13
_HOLDS: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto",
                       22: "SparseTensorProto", 23: "SparseTensorProto"},
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}  # fmt: skip
"""Which fields of which message lead to tensors, and what they are."""
_DEEPEST = 50
"""Messages within messages. A graph in a branch in a graph takes three; protobuf stops at 100."""
_MOST_FIELDS = 10_000
_MOST_NODES = 1_000_000
_MOST_BYTES = 16 << 20
"""Of an entry of the metadata. A card is some kilobytes; a stranger's file may claim anything."""

_EXPORT = "export the checkpoint with forge build-engine CHECKPOINT --onnx-only"
_BUILD = "build it again with forge build-engine CHECKPOINT"


def read_onnx_card(file: Path) -> Card:
    """The card of an ONNX file: that in the JSON beside it if there is one, else that inside.

    How the network was exported is always what the ONNX itself says, since a checkpoint and what
    was exported from it may share their JSON.

    Raises:
        UsageError: a file cannot be read, or the name of the JSON is spelled otherwise.
        ForgeError: it is not ONNX, forge did not write it, or the JSON beside it is of another
            network.
    """
    inside = card_inside(file)
    if not (card_file(file).exists() or card_file(file).is_symlink()):  # a dead link is an error
        refuse_other_spelling(card_file(file))
        return inside
    beside = read_card(file)
    if _identity(beside) != _identity(inside):
        raise ForgeError(
            f"and {card_file(file).name} beside it are of different networks or trainings.",
            file=file,
            mend=f"{_EXPORT} --overwrite, or keep the two apart",
        )
    return dataclasses.replace(beside, built=inside.built)


def card_inside(file: Path) -> Card:
    """The card in the metadata of an ONNX file.

    Raises:
        UsageError: the file cannot be read.
        ForgeError: it is not ONNX, or forge did not write it.
    """
    text = metadata(file).get(CARD_KEY)
    if text is None:
        raise ForgeError(
            "is not a network that forge exported: it does not say how pictures become its input.",
            file=file,
            mend=_EXPORT,
        )
    return card_from(text, file)


def spec_of(card: Card, file: Path) -> Spec:
    """What an exported network accepts.

    Args:
        card: of the file.
        file: for messages.

    Raises:
        ForgeError: the card does not say so, or not in words that make sense.
    """
    facts: Any = card.built.get("onnx")
    again = _BUILD if file.suffix.lower() == ".engine" else _EXPORT
    if facts is None:
        raise ForgeError(
            "its card is that of a checkpoint: it does not say what the network takes.",
            file=file,
            mend=again,
        )
    try:
        size = facts["size"]
        precision: Precision = facts["precision"]
        if precision not in get_args(Precision):
            raise ValueError(f"precision {precision!r}")
        return Spec(
            channels=_count(facts["channels"]),
            multiple=_count(facts["multiple"]),
            size=None if size is None else (_count(size[0]), _count(size[1])),
            outputs=_count(facts["outputs"]),
            precision=precision,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ForgeError(
            f"its card does not say what the network takes ({type(error).__name__}: {error}).",
            file=file,
            mend=again,
        ) from error


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1 << 16:
        raise ValueError(f"{value!r} is not a count")
    return value


def _identity(card: Card) -> tuple[object, ...]:
    """What `forge tune` leaves as it is, and another training does not."""
    return card.model, card.arguments, card.split, card.metrics


def metadata(file: Path) -> dict[str, str]:
    """The metadata of an ONNX file, by key. Of a key that is there twice the last one counts.

    Raises:
        UsageError: the file cannot be read.
        ForgeError: it is not an ONNX file, or its weights are in other files.
    """
    try:
        with file.open("rb") as stream:
            return _metadata(stream, file.stat().st_size)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}.", file=file) from error
    except _NotProtobuf as error:
        raise ForgeError(f"is not an ONNX file: {error}.", file=file, mend=_EXPORT) from error
    except _WeightsElsewhere as error:
        raise ForgeError(
            "keeps its weights in other files; forge takes networks that are one file.",
            file=file,
            mend=_EXPORT,
        ) from error


class _WeightsElsewhere(ValueError):
    """A graph whose weights are in other files."""


class _NotProtobuf(ValueError):
    """Bytes that are not the message they are taken for."""


def _metadata(stream: BinaryIO, size: int) -> dict[str, str]:
    entries: dict[str, str] = {}
    graph = False
    for number, length in _fields(stream, size):
        graph = graph or number == _GRAPH
        kind = _HOLDS["ModelProto"].get(number)
        if kind is not None:
            _refuse_other_files(stream, stream.tell() + length, kind)
        if number != _METADATA:
            continue
        if length > _MOST_BYTES:
            raise _NotProtobuf("an entry of its metadata is too large")
        pair = stream.read(length)
        parts = {_KEY: "", _VALUE: ""}
        inner = io.BytesIO(pair)
        for part, extent in _fields(inner, length):
            if part in parts:
                try:
                    parts[part] = inner.read(extent).decode()
                except UnicodeDecodeError as error:
                    raise _NotProtobuf("its metadata is not text") from error
        entries[parts[_KEY]] = parts[_VALUE]
    if not graph:
        raise _NotProtobuf("there is no graph in it")
    return entries


def _refuse_other_files(stream: BinaryIO, end: int, kind: str, depth: int = 0) -> None:
    """Whether all weights are in this file, those of constants, branches and functions too. Others
    could change without its hash changing, by which results and compiled networks are known; and a
    stranger's file may name any.

    Args:
        stream: at the first field of a message.
        end: of the message.
        kind: its name in `_HOLDS`.
        depth: messages around it.
    """
    if depth > _DEEPEST:
        raise _NotProtobuf("its graphs are nested too deep")
    inside = _HOLDS[kind]
    for number, length in _fields(stream, end, _MOST_NODES):
        if number in inside:
            _refuse_other_files(stream, stream.tell() + length, inside[number], depth + 1)
        elif number == _ELSEWHERE and kind == "TensorProto":
            raise _WeightsElsewhere


def _fields(stream: BinaryIO, size: int, most: int = _MOST_FIELDS) -> Iterator[tuple[int, int]]:
    """Number and length of each field of bytes, the stream being at the first of them; whatever
    the caller reads of it, the next field is found."""
    for _ in range(most):
        if stream.tell() >= size:
            return
        number, kind = divmod(_varint(stream), 8)
        if number == 0:
            raise _NotProtobuf("a field has no number")
        if kind == 2:
            length = _varint(stream)
            end = stream.tell() + length
            if end > size:
                raise _NotProtobuf("it ends too early")
            yield number, length
            stream.seek(end)
        elif kind == 0:
            _varint(stream)
        elif kind in (1, 5):
            stream.seek(8 if kind == 1 else 4, io.SEEK_CUR)
        else:
            raise _NotProtobuf(f"a field is of the unknown kind {kind}")
    raise _NotProtobuf("there are too many fields in it")


def _varint(stream: BinaryIO) -> int:
    """A number of up to 64 bits, seven in each byte, the lowest first."""
    value = 0
    for place in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise _NotProtobuf("it ends too early")
        value |= (byte[0] & 0x7F) << place
        if byte[0] < 0x80:
            return value
    raise _NotProtobuf("a number is too long")
