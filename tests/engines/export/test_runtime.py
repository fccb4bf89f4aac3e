"""ONNX Runtime as an engine."""

from __future__ import annotations

import numpy as np
import pytest

from engines.base import Spec
from engines.export.half import to_half
from engines.export.runtime import OnnxRuntimeEngine
from tests.engines.export.graphs import kernel, model, node

SPEC = Spec(channels=1, multiple=1)


def images(value: float) -> np.ndarray:
    return np.full((2, 1, 3, 4), value, np.float32)


def test_it_runs_what_the_graph_says() -> None:
    graph = model([node("Conv", "images w", "logits")], w=kernel(3.0))
    engine = OnnxRuntimeEngine(graph.SerializeToString(), SPEC, threads=1)
    np.testing.assert_array_equal(engine.infer(images(2.0)), images(6.0))
    assert (engine.spec.device, engine.spec.precision) == ("cpu", "fp32")


def test_an_overflow_of_half_precision_shows() -> None:
    graph = model(
        [
            node("Conv", "images large", "a"),
            node("Conv", "a large", "b"),
            node("Conv", "b small", "logits"),
        ],
        large=kernel(500.0),
        small=kernel(1e-3),
    )
    full = OnnxRuntimeEngine(graph.SerializeToString(), SPEC, threads=1)
    data = to_half(graph).SerializeToString()
    half = OnnxRuntimeEngine(data, SPEC, precision="fp16", threads=1)
    np.testing.assert_allclose(full.infer(images(1.0)), 250.0, rtol=1e-6)
    assert np.isinf(half.infer(images(1.0))).all()
    np.testing.assert_allclose(half.infer(images(0.1)), 25.0, rtol=1e-2)


def test_every_operation_is_rounded_to_half_precision() -> None:
    """Against NumPy, which rounds after each of them."""
    rng = np.random.default_rng(0)
    first, second, third = rng.uniform(0.5, 2, 3).astype(np.float32)
    graph = model(
        [
            node("Conv", "images first", "a"),
            node("Mul", "a second", "b"),
            node("Relu", "b", "c"),
            node("Add", "c third", "d"),
            node("Conv", "d one", "logits"),
        ],
        first=kernel(float(first)),
        second=float(second),
        third=float(third),
        one=kernel(),
    )
    picture = rng.random((2, 1, 3, 4), np.float32)

    def rounded(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float16).astype(np.float32)

    expected = rounded(rounded(picture) * rounded(first))
    expected = rounded(expected * rounded(second))
    expected = rounded(expected + rounded(third))
    data = to_half(graph).SerializeToString()
    found = OnnxRuntimeEngine(data, SPEC, precision="fp16", threads=1).infer(picture)
    np.testing.assert_array_equal(found, expected)


def test_rubbish_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="ONNX Runtime refuses the network"):
        OnnxRuntimeEngine(b"rubbish", SPEC)


def test_what_fails_while_it_runs_is_said() -> None:
    nodes = [node("Reshape", "images target", "logits")]
    graph = model(nodes, target=np.array([1, 1, 5, 5], np.int64))
    engine = OnnxRuntimeEngine(graph.SerializeToString(), SPEC, threads=1)
    with pytest.raises(ValueError, match="ONNX Runtime cannot run the network"):
        engine.infer(images(1.0))
