"""Small ONNX graphs as the exporter makes them, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper


def node(kind: str, inputs: str, output: str, *, scope: str = "", **attributes: Any) -> NodeProto:
    """A node; `inputs` with blanks between. `scope`: the module it was exported from."""
    made = helper.make_node(kind, inputs.split(" "), [output], output, **attributes)
    if scope:
        entry = made.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.name_scopes", repr(["", scope, output])
    return made


def model(
    nodes: Sequence[NodeProto],
    *,
    shape: Sequence[int | str] = ("N", 1, "H", "W"),
    given: Sequence[int | str | None] = ("N", None, None, None),
    **constants: NDArray[Any] | float,
) -> onnx.ModelProto:
    """A graph from ``images`` to ``logits`` with constants by name."""
    arrays = {
        name: np.asarray(value, np.float32) if isinstance(value, float) else value
        for name, value in constants.items()
    }
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, list(given))],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def kernel(value: float = 1.0, outputs: int = 1, inputs: int = 1) -> NDArray[np.float32]:
    """The weights of a 1 x 1 convolution, all alike."""
    return np.full((outputs, inputs, 1, 1), value, np.float32)


def computed_in(model: onnx.ModelProto) -> dict[str, str]:
    """The precision of every node's float output, by its name, casts aside."""
    typed = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*typed.value_info, *typed.output)}
    names = {TensorProto.FLOAT: "float", TensorProto.FLOAT16: "half"}
    return {
        one.output[0].removesuffix(".half"): names[kinds[one.output[0]]]
        for one in typed.node
        if one.op_type != "Cast" and kinds.get(one.output[0]) in names
    }
