"""Networks of torch as ONNX: any batch, any size, nothing said on the way."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from engines.export.file import file_of
from engines.export.graph import OPSET, NotExportable, spec_of, to_onnx
from engines.export.runtime import OnnxRuntimeEngine


class Tiny(nn.Module):
    """Halves the picture and doubles it again, with skip and batch normalisation."""

    channels, multiple, outputs = 3, 8, 2
    size: tuple[int, int] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.deep = nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.first(images)
        deep = self.deep(nn.functional.max_pool2d(fine, 2))
        deep = nn.functional.interpolate(deep, scale_factor=2.0, mode="bilinear")
        logits: Tensor = self.last(torch.cat([fine, deep], 1))
        return logits


class Undecided(Tiny):
    """What it computes depends on what it sees."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images if images.mean() > 0.5 else 1 - images)


class Tabled(Tiny):
    """Looks something up in a long table of divided whole numbers."""

    def forward(self, images: Tensor) -> Tensor:
        table = (torch.arange(30_000) - 7) // 9
        row = (images.mean() * 100).long().clamp(0, 29_999)
        return super().forward(images) + table[row]


def made(kind: type[Tiny] = Tiny) -> Tiny:
    torch.manual_seed(0)
    return kind().eval()


def sides(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_one_file_is_the_network_at_every_batch_and_size(capfd: pytest.CaptureFixture[str]) -> None:
    net = made()
    graph = to_onnx(net)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert sides(graph.graph.input[0]) == ["N", 3, "H", "W"]
    assert sides(graph.graph.output[0]) == ["N", 2, "H", "W"]
    assert (graph.graph.input[0].name, graph.graph.output[0].name) == ("images", "logits")
    assert graph.opset_import[0].version == OPSET
    assert not any(one.op_type in ("BatchNormalization", "Constant") for one in graph.graph.node)
    engine = OnnxRuntimeEngine(file_of(graph, {}, version="0"), spec_of(net), threads=1)
    for count, height, width in [(1, 8, 8), (2, 24, 40), (3, 64, 16)]:
        images = np.random.default_rng(0).random((count, 3, height, width), np.float32)
        with torch.inference_mode():
            expected = net(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(engine.infer(images), expected, rtol=1e-5, atol=1e-5)


def test_a_size_can_be_fixed_and_the_batch_stays_open() -> None:
    net = made()
    graph = to_onnx(net, (16, 24))
    assert sides(graph.graph.input[0]) == ["N", 3, 16, 24]
    assert spec_of(net, (16, 24)).size == (16, 24)
    net.size = (8, 16)
    assert spec_of(net).size == (8, 16)
    assert sides(to_onnx(net).graph.output[0]) == ["N", 2, 8, 16]


def test_long_tables_are_computed_when_it_is_exported() -> None:
    graph = to_onnx(made(Tabled))
    kinds = {one.op_type for one in graph.graph.node}
    assert "Gather" in kinds
    assert not kinds & {"Range", "Less", "Equal", "Mod"}


def test_what_cannot_be_exported_is_an_error_in_one_line() -> None:
    with pytest.raises(NotExportable) as caught:
        to_onnx(made(Undecided))
    assert "\n" not in str(caught.value)


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="eval"):
        to_onnx(made().train())
