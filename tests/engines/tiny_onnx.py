"""ONNX files of a few nodes, with what forge's exported networks take and give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Dimension = int | str


def network(
    *,
    shape: Sequence[Dimension] = ("n", 3, "h", "w"),
    half: bool = False,
    outputs: int = 1,
    input_name: str = "images",
    output_name: str = "logits",
) -> bytes:
    """A 3x3 convolution and a 1x1 convolution, in FP16 between two casts if `half`."""
    rng = np.random.default_rng(0)
    kind = np.float16 if half else np.float32
    channels = int(shape[1])
    weights = {
        "w1": rng.normal(0, 0.2, (8, channels, 3, 3)),
        "w2": rng.normal(0, 0.2, (outputs, 8, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x" if half else input_name, "w1"], ["a"], "first", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "middle"),
        helper.make_node("Conv", ["b", "w2"], ["y" if half else output_name], "last"),
    ]
    if half:
        nodes.insert(0, helper.make_node("Cast", [input_name], ["x"], to=TensorProto.FLOAT16))
        nodes.append(helper.make_node("Cast", ["y"], [output_name], to=TensorProto.FLOAT))
    tensors = [numpy_helper.from_array(w.astype(kind), name) for name, w in weights.items()]
    return model(nodes, shape, tensors, (input_name, output_name))


def one_node(operator: str, *, inputs: Sequence[str] = ("images",),
             tensors: Sequence[onnx.TensorProto] = ()) -> bytes:  # fmt: skip
    """A network of one node, named ``only``."""
    node = helper.make_node(operator, list(inputs), ["logits"], "only")
    return model([node], ("n", 3, 8, 8), tensors)


def model(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[Dimension],
    tensors: Sequence[onnx.TensorProto] = (),
    names: tuple[str, str] = ("images", "logits"),
    *,
    taken: int = TensorProto.FLOAT,
) -> bytes:
    """A file with these nodes."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes), "tiny",
        [value(names[0], taken, list(shape))],
        [value(names[1], TensorProto.FLOAT, [shape[0], None, shape[2], shape[3]])],
        initializer=list(tensors),
    )  # fmt: skip
    opset = [helper.make_opsetid("", 20)]
    made: bytes = helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    return made
