"""ONNX Runtime on the CPU: what an exported network is checked with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from engines.base import Engine, Images, Logits, Precision, Spec

BARRIERS = 2
"""Operations without arithmetic behind every half tensor. ONNX Runtime computes in float32 where a
processor has no half precision, and takes two casts away that follow each other, and those around a
single operation; not those around two."""


class OnnxRuntimeEngine(Engine):
    """Runs an ONNX file as it is written, operation by operation.

    Of a graph in half precision, every operation is computed in float32 and its result rounded to
    half. So what half precision loses, and where it overflows, shows as it would on a GPU, which
    sums in float32 too. Left alone, ONNX Runtime would keep float32 from end to end, with nothing
    but the weights rounded: `rounding` sees to it that it does not.

    Args:
        model: the bytes of the file, float32 in and out.
        spec: of the network; `device` and `precision` are replaced.
        precision: of the graph.
        threads: of the processor; 0 for all.

    Raises:
        ImportError: onnxruntime is not installed.
        ValueError: it does not take the file.
    """

    def __init__(
        self, model: bytes, spec: Spec, *, precision: Precision = "fp32", threads: int = 0
    ) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        levels = onnxruntime.GraphOptimizationLevel
        half = precision == "fp16"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.graph_optimization_level = levels.ORT_DISABLE_ALL if half else levels.ORT_ENABLE_ALL
        try:
            session: Any = onnxruntime.InferenceSession(
                rounding(model) if half else model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own kinds share no other base
            raise ValueError(f"ONNX Runtime refuses the network: {_first(error)}") from error
        self._session = session
        self._input = session.get_inputs()[0].name
        self.spec = replace(spec, device="cpu", precision=precision)

    def _infer(self, images: Images) -> Logits:
        try:
            found = self._session.run(None, {self._input: images})[0]
        except Exception as error:
            raise ValueError(f"ONNX Runtime cannot run the network: {_first(error)}") from error
        logits: Logits = np.ascontiguousarray(found)
        return logits


def rounding(model: bytes) -> bytes:
    """The same graph with `BARRIERS` behind every half tensor, so that it really is rounded.

    Args:
        model: the bytes of an ONNX file.
    """
    graph = onnx.load_from_string(model)
    typed = onnx.shape_inference.infer_shapes(graph).graph
    half = {value.name for value in (*typed.value_info, *typed.output)
            if value.type.tensor_type.elem_type == TensorProto.FLOAT16}  # fmt: skip
    nodes = []
    for original in graph.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        nodes.append(node)
        for place, name in enumerate(node.output):
            if name not in half:
                continue
            names = [f"{name}.barrier{number}" for number in range(BARRIERS)]
            node.output[place] = names[0]
            for source, target in zip(names, [*names[1:], name], strict=True):
                nodes.append(helper.make_node("Identity", [source], [target], f"{source}.node"))
    del graph.graph.node[:], graph.graph.value_info[:]
    graph.graph.node.extend(nodes)
    data: bytes = graph.SerializeToString()
    return data


def _first(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
