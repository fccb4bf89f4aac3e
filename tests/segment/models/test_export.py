"""Which networks become ONNX, and that they stay the same networks."""

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from forgecli.segment.models import registry
from forgecli.segment.models.network import Network
from tests.segment.models.small import DETECTORS, NAMES, OF_SMP, network

COMPARED = {"unet", "manet", "segformer", "dpt"}
"""Exported and compared in tests/engines/export, as forge does it."""

EVALUATED_TOO_SLOWLY = {"deeplabv3"}
"""ONNX's reference implementation takes a minute for its dilated convolutions."""


def exported(net: Network) -> tuple[onnx.ModelProto, torch.Tensor]:
    side = max(64, net.multiple)
    image = torch.rand(1, net.channels, side, side)
    program = torch.onnx.export(net, (image,), dynamo=True, optimize=False, verbose=False)
    assert program is not None
    model = program.model_proto
    onnx.checker.check_model(model, full_check=True)
    return model, image


def check(name: str) -> None:
    net = network(name)
    model, image = exported(net)
    shape = [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]
    assert shape == [1, net.outputs, *image.shape[2:]]
    if name in EVALUATED_TOO_SLOWLY:
        return
    with torch.inference_mode():
        expected = net(image).numpy()
    (found,) = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: image.numpy()})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["simple-cnn", "dual-stream"])
def test_it_exports(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OF_SMP if name not in COMPARED])
def test_every_architecture_exports(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_do_not(name: str) -> None:
    with pytest.raises(torch.onnx.OnnxExporterError):
        exported(network(name))


def test_the_registry_says_so() -> None:
    for name in NAMES:
        assert bool(registry.not_exportable(name)) == (name in DETECTORS)
