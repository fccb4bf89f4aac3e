"""Networks of the registry in half precision, against themselves in float32 and in torch."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from engines.export.graph import spec_of, to_onnx
from engines.export.half import to_half
from engines.export.runtime import OnnxRuntimeEngine
from engines.torch import TorchEngine
from forgecli.build import limits
from forgecli.build.check import drawn, probabilities
from forgecli.build.exporting import modules_in_float32
from forgecli.segment.models import correlation, registry
from tests.engines.export.graphs import computed_in

FAMILIES: dict[str, dict[str, Any]] = {
    "simple-cnn": {},
    "dual-stream": {},
    "unet": {"encoder": "resnet18", "encoder_depth": 3, "decoder_channels": [32, 16, 16]},
    "segformer": {"encoder": "mit_b0"},
    "dpt": {
        "encoder": "tu-vit_tiny_patch16_224",
        "decoder_intermediate_channels": [32, 32, 32, 32],
        "decoder_fusion_channels": 32,
    },
    "manet": {"encoder": "resnet18", "encoder_depth": 3, "decoder_channels": [32, 16, 16]},
    "copy-attend": {"encoder": "resnet18", "width": 16},
}
SLOW = {"segformer", "dpt", "manet", "copy-attend"}
ONE_SIZE = {"copy-attend": (96, 96)}
NAMES = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FAMILIES]


@pytest.fixture(autouse=True)
def fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search tries fewer neighbours, here and in PyTorch: the same operations, but fewer times.
    Whole, its 6,900 nodes take the exporter a minute."""
    monkeypatch.setattr(correlation, "STEPS", correlation.STEPS[1:2])
    monkeypatch.setattr(correlation, "AROUND", correlation.AROUND[:1])


@cache
def exported(name: str) -> tuple[Any, onnx.ModelProto, onnx.ModelProto, tuple[str, ...]]:
    """A network whose logits span some units, as FP32 and as FP16."""
    torch.manual_seed(0)
    net = registry.build(name, **FAMILIES[name]).eval()
    last = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 1][-1]
    if name == "copy-attend":
        nn.init.normal_(last.weight, std=0.1)
    with torch.no_grad():
        largest = net(torch.from_numpy(pictures(name, net)[0])).abs().max()
        last.weight *= 8 / largest
    keep = modules_in_float32(net)
    size = ONE_SIZE.get(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlation, "CELLS", 2**17)  # three parts
        full = to_onnx(net, size)
    return net, full, to_half(full, keep), keep


def pictures(name: str, net: Any) -> list[np.ndarray]:
    return drawn(spec_of(net, ONE_SIZE.get(name)))


@pytest.mark.parametrize("name", NAMES)
def test_they_say_the_same(name: str) -> None:
    net, full, half, _ = exported(name)
    spec = spec_of(net, ONE_SIZE.get(name))
    torch_engine = TorchEngine(net)
    engines = [
        OnnxRuntimeEngine(one.SerializeToString(), spec, precision=precision, threads=1)
        for one, precision in ((full, "fp32"), (half, "fp16"))
    ]
    exact = []
    for images in pictures(name, net):
        expected = torch_engine.infer(images)
        found, rough = (engine.infer(images) for engine in engines)
        apart = np.abs(found - expected) / max(1.0, float(np.abs(expected).max()))
        exact += [float(one.max()) < 1e-4 for one in apart]
        moved = probabilities(found) - probabilities(expected)
        assert float(np.abs(moved).max()) < limits.PROBABILITY
        assert float(np.abs(probabilities(rough) - probabilities(found)).max()) < 0.05
        assert not np.array_equal(rough, found), "it is half precision"
    # Where two matches are alike, the search takes either, and all of the picture changes a little.
    assert any(exact) if name == "copy-attend" else all(exact)


@pytest.mark.parametrize("name", NAMES)
def test_products_are_half_but_in_the_modules_that_stay_float32(name: str) -> None:
    _, _, half, keep = exported(name)
    kinds = computed_in(half)
    products = {
        one.output[0].removesuffix(".half"): scopes(one)
        for one in half.graph.node
        if one.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
    }
    inside = {output for output, modules in products.items() if modules & set(keep)}
    assert {kinds[output] for output in inside} <= {"float"}
    others = [kinds[output] for output in products if output not in inside]
    assert others.count("half") >= 0.9 * len(others) > 0
    if keep:
        assert {
            kind for one in half.graph.node if scopes(one) & set(keep)
            for output in one.output if (kind := kinds.get(output))
        } == {"float"}  # fmt: skip


def scopes(one: onnx.NodeProto) -> set[str]:
    from engines.export.tensors import scopes_of

    return set(scopes_of(one))
