"""Resampling as products of matrices, against PyTorch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from engines.export.file import file_of
from engines.export.graph import spec_of, to_onnx
from engines.export.resampling import as_products
from engines.export.runtime import OnnxRuntimeEngine

SIDES = st.integers(1, 40)


def picture(height: int, width: int) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@settings(deadline=None, max_examples=60)
@given(SIDES, SIDES, st.integers(1, 7), st.integers(1, 7))
def test_adaptive_pooling(height: int, width: int, rows: int, columns: int) -> None:
    images = picture(height, width)
    expected = functional.adaptive_avg_pool2d(images, (rows, columns))
    with as_products():
        found = functional.adaptive_avg_pool2d(images, (rows, columns))
        area = functional.interpolate(images, size=(rows, columns), mode="area")
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(area, expected)


@settings(deadline=None, max_examples=60)
@given(*[SIDES.filter(lambda side: side > 1)] * 4)
def test_antialiased_cubics(height: int, width: int, rows: int, columns: int) -> None:
    """Not of one pixel's width: PyTorch 2.15 then takes channels for rows and mixes them up."""
    images = picture(height, width)
    named = {"size": (rows, columns), "mode": "bicubic", "antialias": True}
    expected = functional.interpolate(images, **named)  # type: ignore[arg-type]
    with as_products():
        found = functional.interpolate(images, **named)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_everything_else_is_left_alone() -> None:
    images = picture(8, 12)
    before = functional.interpolate, functional.adaptive_avg_pool2d
    with as_products():
        for named in (
            {"scale_factor": 2.0, "mode": "bilinear"},
            {"size": (4, 5), "mode": "bicubic"},
        ):
            torch.testing.assert_close(
                functional.interpolate(images, **named),  # type: ignore[arg-type]
                before[0](images, **named),  # type: ignore[arg-type]
            )
        assert functional.adaptive_avg_pool2d(images, (None, 2)).shape == (2, 3, 8, 2)
    assert (functional.interpolate, functional.adaptive_avg_pool2d) == before


class Pyramid(nn.Module):
    """Cells and cubics of an input of any size."""

    channels, multiple, outputs, size = 3, 4, 3, None

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AdaptiveAvgPool2d(3)
        self.table = nn.Parameter(picture(7, 7)[:1])

    def forward(self, images: Tensor) -> Tensor:
        cells = functional.interpolate(self.cells(images), size=images.shape[2:], mode="bilinear")
        table = functional.interpolate(
            self.table, size=images.shape[2:], mode="bicubic", antialias=True
        )
        return cells + table


def test_it_exports_for_every_size() -> None:
    net = Pyramid().eval()
    graph = to_onnx(net)
    assert not any(attribute.name == "antialias" and attribute.i
                   for one in graph.graph.node for attribute in one.attribute)  # fmt: skip
    engine = OnnxRuntimeEngine(file_of(graph, {}, version="0"), spec_of(net), threads=1)
    for height, width in [(4, 8), (12, 20), (32, 4), (28, 28)]:
        images = picture(height, width)
        with torch.inference_mode():
            expected = net(images).numpy()
        np.testing.assert_allclose(engine.infer(images.numpy()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [3, 8])
def test_weights_sum_to_one(side: int) -> None:
    from engines.export.resampling import cubics, shares

    for weights in (shares(5, side, picture(1, 1)), cubics(5, side, picture(1, 1))):
        torch.testing.assert_close(weights.sum(1), torch.ones(5))
