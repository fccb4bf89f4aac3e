"""Half precision inside an ONNX graph, float32 around it and where it has to stay.

TensorRT takes networks as they are typed, so the precision of every layer is decided here. Input
and output stay float32. The products of matrices, which is what half precision makes fast, are
half; what is between them follows what it is given. In float32 stay:

- the modules that the network names, as a whole;
- normalisation, softmax, means and other reductions: sums over many values. They are computed in
  float32 and given on as half, since their results are bounded;
- sums of squares, exponentials and everything that is not known: these stay float32 until the next
  product of matrices, and so does what depends on a constant that half precision cannot hold;
- what comes before the first product (colours are normalised there) and after the last one
  (logits are enlarged there);
- products with a softmax over a whole map, whose values are too small for half precision.

The converters of onnxruntime and onnxconverter-common go by the kind of operation alone: they
cannot tell the modules apart, and they make an epsilon of 1e-12 a 1e-7 without a word.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from engines.export.tensors import Tensors, is_of, survives_half

_MATRIX = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

_BOUNDED = frozenset({
    "BatchNormalization", "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization",
    "InstanceNormalization", "LayerNormalization", "LogSoftmax", "ReduceMax", "ReduceMean",
    "ReduceMin", "Softmax",
})  # fmt: skip

_MOVING = frozenset({
    "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad",
    "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip

_FOLLOWING = _MOVING | {
    "Abs", "Add", "AveragePool", "Clip", "Div", "Elu", "Erf", "Gelu", "GridSample", "HardSigmoid",
    "HardSwish", "LeakyRelu", "Max", "MaxPool", "Min", "Mish", "Mul", "Neg", "PRelu", "Relu",
    "Resize", "Sigmoid", "Sub", "Sum", "Tanh", "Where",
}  # fmt: skip

_MIXING = frozenset({"Concat"})
"""Half as soon as one input is: it only puts side by side what other operations take apart."""

_ALWAYS_FLOAT = {"Resize": frozenset({1, 2})}
"""Inputs whose type is float32 whatever the others are, by place: regions and scales."""


def to_half(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """The same network with half precision inside.

    Args:
        model: float32 input and output, as `graph.to_onnx` makes it; it is left as it is.
        keep: modules that stay float32, as `torch.nn.Module.named_modules` names them.

    Returns:
        a model that says nothing of the shapes and types inside.

    Raises:
        ValueError: there is something in the graph that the conversion does not know how to treat,
            or no node is of a module that is to be kept.
    """
    for name in keep:
        if not any(is_of(node, [name]) for node in model.graph.node):
            raise ValueError(f"no node of the graph belongs to the module {name}")
    converted = onnx.ModelProto()
    converted.CopyFrom(model)
    del converted.graph.value_info[:]
    _Conversion(converted, keep).run()
    onnx.checker.check_model(converted, full_check=True)
    return converted


class _Conversion:
    """Puts every node in its precision, and one cast beside each tensor that is needed in both."""

    def __init__(self, model: onnx.ModelProto, keep: Collection[str]) -> None:
        self._graph = model.graph
        self._tensors = Tensors(model)
        self._keep = keep
        self._last = self._after_the_last_product()  # tensors
        self._half: set[str] = set()  # tensors that are half by now
        self._bounded: set[str] = set()  # float32, but may be given on as half
        self._large: set[str] = set()  # softmax over a whole map, and what only moves it
        self._cast: dict[str, str] = {}  # name of a tensor in the other precision
        self._nodes: list[NodeProto] = []

    def run(self) -> None:
        outputs = {output.name for output in self._graph.output}
        for original in self._graph.node:
            node = NodeProto()
            node.CopyFrom(original)
            self._note_large(node)
            half = self._is_half(node)
            given = [name for name in node.output if self._tensors.is_float(name)]
            if half:
                self._half.update(given)
            elif node.op_type in _BOUNDED and not self._stays(node):
                self._bounded.update(name for name in given if name not in self._large)
            for place, name in self._floats(node):
                node.input[place] = self._as(name, half)
            self._nodes.append(node)
            for name in outputs & self._half.intersection(node.output):
                self._give_out(node, name)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        self._drop_unused()

    def _is_half(self, node: NodeProto) -> bool:
        """Whether a node computes in half precision."""
        names = [name for _, name in self._floats(node)]
        if not names or self._stays(node):
            return False
        constants = self._tensors.constants
        if not all(survives_half(constants[name]) for name in names if name in constants):
            return False
        if node.op_type in _MATRIX:
            return not self._large.intersection(names)
        half = [name in self._half or name in self._bounded
                for name in names if name not in constants]  # fmt: skip
        if node.op_type in _MIXING:
            return any(half)
        return node.op_type in _FOLLOWING and bool(half) and all(half)

    def _stays(self, node: NodeProto) -> bool:
        """Whether a node is float32 for where it is, and so is what it gives."""
        return node.output[0] in self._last or is_of(node, self._keep)

    def _note_large(self, node: NodeProto) -> None:
        users = self._tensors.consumers.get(node.output[0], [])
        whole = node.op_type == "Softmax" and any(user.op_type == "Reshape" for user in users)
        if whole or (node.op_type in _MOVING and node.input[0] in self._large):
            self._large.add(node.output[0])

    def _floats(self, node: NodeProto) -> list[tuple[int, str]]:
        """Place and name of the inputs whose precision may be chosen."""
        always = _ALWAYS_FLOAT.get(node.op_type, frozenset())
        return [(place, name) for place, name in enumerate(node.input)
                if self._tensors.is_float(name) and place not in always]  # fmt: skip

    def _as(self, name: str, half: bool) -> str:
        """The name of a float tensor in one of the precisions."""
        if (name in self._half) == half:
            return name
        if name not in self._cast:
            other = self._cast[name] = f"{name}.half" if half else f"{name}.float"
            if half and name in self._tensors.constants:
                values = self._tensors.constants[name].astype(np.float16)
                self._graph.initializer.append(numpy_helper.from_array(values, other))
            else:
                kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
                self._nodes.append(helper.make_node("Cast", [name], [other], other, to=kind))
        return self._cast[name]

    def _give_out(self, node: NodeProto, name: str) -> None:
        """Cast what a node computed in half precision to the graph's float32 output."""
        inner = f"{name}.half"
        node.output[list(node.output).index(name)] = inner
        self._half.remove(name)
        self._cast[name] = inner
        self._nodes.append(
            helper.make_node("Cast", [inner], [name], f"{inner}.float", to=TensorProto.FLOAT)
        )

    def _after_the_last_product(self) -> set[str]:
        """What comes out of nodes that no product of matrices follows, themselves none."""
        followed: set[str] = set()
        last: set[str] = set()
        for node in reversed(self._graph.node):
            if node.op_type in _MATRIX or followed.intersection(node.output):
                followed.update(node.input)
            else:
                last.update(node.output)
        return last

    def _drop_unused(self) -> None:
        used = {name for node in self._graph.node for name in node.input}
        used.update(output.name for output in self._graph.output)
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
