"""What becomes half precision and what stays float32."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from engines.export.half import to_half
from engines.export.tensors import survives_half
from tests.engines.export.graphs import computed_in, kernel, model, node


def run(graph: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    (logits,) = ReferenceEvaluator(graph).run(None, {"images": images})
    return np.asarray(logits)


def casts(graph: onnx.ModelProto) -> list[str]:
    return [one.input[0] for one in graph.graph.node if one.op_type == "Cast"]


def test_products_are_half_between_a_float_input_and_a_float_output() -> None:
    graph = model(
        [
            node("Sub", "images mean", "centred"),
            node("Conv", "centred w", "a"),
            node("Relu", "a", "b"),
            node("Conv", "b w", "c"),
            node("Mul", "c gain", "logits"),
        ],
        mean=0.4,
        w=kernel(2.0),
        gain=3.0,
    )
    half = to_half(graph)
    assert computed_in(half) == {
        "centred": "float", "a": "half", "b": "half", "c": "half", "logits": "float",
    }  # fmt: skip
    assert sorted(casts(half)) == ["c", "centred"]
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kinds == {
        "mean": TensorProto.FLOAT, "w.half": TensorProto.FLOAT16, "gain": TensorProto.FLOAT,
    }  # fmt: skip
    for value in (*half.graph.input, *half.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    images = np.random.default_rng(0).random((2, 1, 4, 5), np.float32)
    np.testing.assert_allclose(run(half, images), run(graph, images), atol=0.02)


def test_the_model_that_was_given_is_left_alone() -> None:
    graph = model([node("Conv", "images w", "logits")], w=kernel())
    before = graph.SerializeToString(deterministic=True)
    to_half(graph)
    assert graph.SerializeToString(deterministic=True) == before


def test_a_product_at_the_end_gives_float32_all_the_same() -> None:
    half = to_half(model([node("Conv", "images w", "logits")], w=kernel(0.5)))
    images = np.full((1, 1, 2, 2), 0.3, np.float32)
    logits = run(half, images)
    assert logits.dtype == np.float32
    assert logits[0, 0, 0, 0] == np.float32(np.float16(np.float16(0.3) * np.float16(0.5)))


def test_an_output_that_others_take_too_is_cast_once() -> None:
    graph = model(
        [
            node("Conv", "images w", "logits"),
            node("Conv", "logits w", "unused"),
        ],
        w=kernel(0.5),
    )
    half = to_half(graph)
    assert computed_in(half)["unused"] == "half"
    assert len(casts(half)) == 2
    assert run(half, np.ones((1, 1, 2, 2), np.float32)).dtype == np.float32


@pytest.mark.parametrize("epsilon", [1e-12, 1e-6, 1e6])
def test_a_constant_that_half_cannot_hold_keeps_its_operation_in_float32(epsilon: float) -> None:
    graph = model(
        [
            node("Conv", "images w", "a"),
            node("Add", "a epsilon", "b"),
            node("Div", "a b", "c"),
            node("Conv", "c w", "logits"),
        ],
        w=kernel(),
        epsilon=epsilon,
    )
    half = to_half(graph)
    found = computed_in(half)
    assert (found["b"], found["c"]) == ("float", "float")
    zero = np.zeros((1, 1, 1, 1), np.float32)
    assert run(half, zero)[0, 0, 0, 0] == 0  # 0 / 0 if epsilon had gone


def test_an_ordinary_constant_does_not() -> None:
    graph = model(
        [
            node("Conv", "images w", "a"),
            node("Add", "a one", "b"),
            node("Conv", "b w", "logits"),
        ],
        w=kernel(),
        one=1.0,
    )
    assert computed_in(to_half(graph))["b"] == "half"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0], True),
        ([1.0, 1e-9], True),  # small beside large, as in the weights of a sum
        ([1e-6, 2e-6], False),  # all of them small: a scale
        ([65504.0], True),
        ([65520.0], False),
        ([-np.inf], False),
        ([], True),
    ],
)
def test_which_constants_survive(values: list[float], expected: bool) -> None:
    assert survives_half(np.array(values, np.float32)) is expected


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax"])
def test_a_bounded_reduction_is_computed_in_float32_and_given_on_as_half(kind: str) -> None:
    graph = model(
        [
            node("Conv", "images w", "a"),
            node(kind, "a axes", "b", keepdims=1),
            node("Mul", "a b", "c"),
            node("Conv", "c w", "logits"),
        ],
        w=kernel(),
        axes=np.array([2, 3], np.int64),
    )
    found = computed_in(to_half(graph))
    assert (found["b"], found["c"]) == ("float", "half")


def test_a_sum_of_squares_stays_float32_until_the_next_product() -> None:
    graph = model(
        [
            node("Conv", "images w", "a"),
            node("ReduceSumSquare", "a axes", "b", keepdims=1),
            node("Sqrt", "b", "c"),
            node("Div", "a c", "d"),
            node("Relu", "d", "e"),
            node("Conv", "e w", "f"),
            node("Conv", "f w", "logits"),
        ],
        w=kernel(),
        axes=np.array([2, 3], np.int64),
    )
    half = to_half(graph)
    found = computed_in(half)
    assert [found[name] for name in "abcdef"] == ["half", *["float"] * 4, "half"]
    images = np.full((1, 1, 64, 64), 300.0, np.float32)  # the sum is 3.7e8
    np.testing.assert_allclose(run(half, images), 1 / 64, rtol=2e-3)


def test_a_softmax_over_a_whole_map_and_its_product_stay_float32() -> None:
    nodes = [
        node("Conv", "images w", "a"),
        node("Reshape", "a flat", "b"),
        node("Softmax", "b", "c", axis=-1),
        node("Reshape", "c square", "d"),
        node("MatMul", "d a", "e"),
        node("Conv", "e w", "logits"),
    ]
    shapes = {"flat": np.array([0, -1], np.int64), "square": np.array([0, 1, 64, 64], np.int64)}
    graph = model(nodes, shape=("N", 1, 64, 64), w=kernel(), **shapes)
    found = computed_in(to_half(graph))
    assert [found[name] for name in "bcde"] == ["half", "float", "float", "float"]


def test_attention_is_half_around_its_softmax() -> None:
    graph = model(
        [
            node("Conv", "images w", "a"),
            node("MatMul", "a a", "b"),
            node("Softmax", "b", "c", axis=-1),
            node("MatMul", "c a", "d"),
            node("Conv", "d w", "logits"),
        ],
        shape=("N", 1, 8, 8),
        w=kernel(),
    )
    found = computed_in(to_half(graph))
    assert [found[name] for name in "bcd"] == ["half", "float", "half"]


def test_modules_to_keep_stay_float32_as_a_whole() -> None:
    graph = model(
        [
            node("Conv", "images w", "a", scope="body"),
            node("Conv", "a w", "b", scope="search"),
            node("Relu", "b", "c", scope="search.inner"),
            node("Conv", "c w", "d", scope="searching"),
            node("Conv", "d w", "logits", scope="body"),
        ],
        w=kernel(),
    )
    found = computed_in(to_half(graph, ["search"]))
    assert [found[name] for name in "abcd"] == ["half", "float", "float", "half"]
    with pytest.raises(ValueError, match="the module residual"):
        to_half(graph, ["residual"])


def test_what_is_joined_with_half_becomes_half() -> None:
    nodes = [
        node("Conv", "images w", "a"),
        node("Concat", "images a", "b", axis=1),
        node("Conv", "b w2", "logits"),
    ]
    found = computed_in(to_half(model(nodes, w=kernel(), w2=kernel(inputs=2))))
    assert found["b"] == "half"


def test_scales_of_a_resize_stay_float32() -> None:
    graph = model(
        [
            node("Conv", "images w", "a"),
            node("Resize", "a  scales", "b", mode="linear"),
            node("Conv", "b w", "logits"),
        ],
        w=kernel(),
        scales=np.array([1, 1, 2, 2], np.float32),
    )
    half = to_half(graph)
    assert computed_in(half)["b"] == "half"
    scales = next(one for one in half.graph.node if one.op_type == "Resize").input[2]
    assert scales == "scales"
    assert run(half, np.ones((1, 1, 2, 2), np.float32)).shape == (1, 1, 4, 4)


def test_whole_numbers_are_left_alone() -> None:
    graph = model(
        [
            node("Conv", "images w", "a"),
            node("Shape", "a", "shape"),
            node("Reshape", "a shape", "b"),
            node("Conv", "b w", "logits"),
        ],
        w=kernel(),
    )
    assert computed_in(to_half(graph)) == {"a": "half", "b": "half", "logits": "half"}


def test_a_graph_in_a_graph_is_refused() -> None:
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["images"], ["inside"])],
        "inner",
        [],
        [onnx.helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)],
    )
    choice = onnx.helper.make_node(
        "If", ["yes"], ["logits"], "choice", then_branch=inner, else_branch=inner
    )
    with pytest.raises(ValueError, match="holds a graph"):
        to_half(model([choice], yes=np.array(True)))
