"""What is known of the tensors of an ONNX graph: their types, their constants, who uses them."""

from __future__ import annotations

import ast
from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, TensorProto, numpy_helper

_SCOPES = "pkg.torch.onnx.name_scopes"

_HALF = np.finfo(np.float16)


class Tensors:
    """The tensors of a graph.

    Args:
        model: without functions and without nodes that hold graphs.

    Attributes:
        constants: float32 tensors that do not depend on the input, by name.
        consumers: the nodes that take each tensor, by name.

    Raises:
        ValueError: the model holds functions or graphs in graphs, or does not say of which type a
            tensor is.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        if model.functions:
            raise ValueError("the graph calls functions of its own")
        typed = onnx.shape_inference.infer_shapes(model).graph
        self._types = {initializer.name: initializer.data_type for initializer in typed.initializer}
        for value in (*typed.input, *typed.output, *typed.value_info):
            self._types[value.name] = value.type.tensor_type.elem_type
        self.constants: dict[str, NDArray[np.float32]] = {}
        for initializer in model.graph.initializer:
            self._take(initializer.name, initializer)
        self.consumers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            self._look_at(node)

    def is_float(self, name: str) -> bool:
        """Whether a tensor is float32; False for the empty name of an input left out."""
        return self._types.get(name) == TensorProto.FLOAT

    def _look_at(self, node: NodeProto) -> None:
        for attribute in node.attribute:
            if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
                raise ValueError(f"the node {node.name} ({node.op_type}) holds a graph")
            if node.op_type == "Constant" and attribute.type == AttributeProto.TENSOR:
                self._types[node.output[0]] = attribute.t.data_type
                self._take(node.output[0], attribute.t)
        for name in node.input:
            self.consumers.setdefault(name, []).append(node)
        for name in node.output:
            if name and not self._types.get(name):
                raise ValueError(f"nothing says of which type {name} is ({node.op_type})")

    def _take(self, name: str, tensor: TensorProto) -> None:
        if tensor.data_type == TensorProto.FLOAT:
            self.constants[name] = numpy_helper.to_array(tensor)


def survives_half(values: NDArray[np.float32]) -> bool:
    """Whether constants mean the same in float16.

    None may be beyond its range, 65504. Small ones may vanish beside larger ones, as they do in a
    sum; but if all are so small that few of their digits are left (under 6e-5), they are an
    epsilon or a scale on which a result depends.
    """
    if not values.size:
        return True
    largest = float(np.abs(values).max())
    return largest == 0 or float(_HALF.smallest_normal) <= largest <= float(_HALF.max)


def scopes_of(node: NodeProto) -> tuple[str, ...]:
    """The modules of the network that a node was exported from, the outermost first, as
    `torch.nn.Module.named_modules` names them. Empty where the node does not say."""
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            names = ast.literal_eval(entry.value)
            return tuple(str(name) for name in names[:-1] if name)  # the last is the operation
    return ()


def is_of(node: NodeProto, modules: Collection[str]) -> bool:
    """Whether a node belongs to one of the modules, or to a part of one."""
    return any(scope == name or scope.startswith(f"{name}.")
               for scope in scopes_of(node) for name in modules)  # fmt: skip
