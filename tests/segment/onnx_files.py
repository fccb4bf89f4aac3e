"""Small exported networks on disk, made without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from forgecli.segment.checkpoint import Card, card_text
from forgecli.segment.onnx_file import CARD_KEY

FACTS = {"channels": 3, "multiple": 8, "size": None, "outputs": 1, "precision": "fp32", "opset": 18}


def onnx_bytes(
    card: Card | None = None,
    *,
    weights: np.ndarray | None = None,
    bias: float = 0.0,
    metadata: dict[str, str] | None = None,
    size: tuple[int, int] | None = None,
) -> bytes:
    """A convolution: logits are a sum of the 3 x 3 pixels around, weighted.

    Args:
        card: put into the metadata.
        weights: float32 (K, C, 3, 3); None: 8 times the mean of the colours of the pixel itself.
        bias: added.
        metadata: further entries.
        size: H and W, or None for any.
    """
    if weights is None:
        weights = np.zeros((1, 3, 3, 3), np.float32)
        weights[:, :, 1, 1] = 8 / 3
    sides: tuple[Any, Any] = size or ("height", "width")
    inputs = ("n", weights.shape[1], *sides)
    outputs = ("n", weights.shape[0], *sides)
    node = helper.make_node("Conv", ["images", "w", "b"], ["logits"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node],
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, outputs)],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.full(len(weights), bias, np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    entries = dict(metadata or {})
    if card is not None:
        entries[CARD_KEY] = card_text(card)
    for key, value in entries.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def exported_card(facts: dict[str, Any] | None = None, **card: Any) -> Card:
    """The card of an exported network; `facts` beside or instead of `FACTS`."""
    return Card("simple-cnn", built={"onnx": {**FACTS, **(facts or {})}}, **card)


def write_onnx(file: Path, *, facts: dict[str, Any] | None = None, bias: float = -4.0,
               **card: Any) -> Path:  # fmt: skip
    """A network whose logits are -4 for black and 4 for white, with its card inside."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(onnx_bytes(exported_card(facts, **card), bias=bias))
    return file
