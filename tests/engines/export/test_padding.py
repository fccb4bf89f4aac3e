"""Padding by the size of the input, as constants."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engines.export.padding import constant_padding

layers = pytest.importorskip("timm.layers")
pooling = pytest.importorskip("timm.layers.pool2d_same")


def network(first: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(first, nn.Conv2d(3, 3, 1)).eval()


def same_layers() -> list[nn.Module]:
    torch.manual_seed(0)
    return [
        layers.Conv2dSame(3, 3, (3, 5), stride=2),
        layers.Conv2dSame(3, 3, 3, stride=(2, 1), dilation=2, bias=False),
        pooling.MaxPool2dSame(3, stride=2),
        pooling.AvgPool2dSame(3, stride=2, count_include_pad=False),
    ]


@pytest.mark.parametrize("first", same_layers(), ids=lambda one: type(one).__name__)
def test_it_pads_as_before_at_every_even_size(first: nn.Module) -> None:
    net = network(first)
    inputs = [torch.rand(1, 3, 12, 20) - 0.5, torch.rand(1, 3, 20, 12) - 0.5]
    unseen = torch.rand(2, 3, 8, 30) - 0.5
    expected = net(unseen)
    with constant_padding(net, inputs):
        assert "forward" in vars(first)
        torch.testing.assert_close(net(unseen), expected, rtol=0, atol=0)
    assert "forward" not in vars(first)
    torch.testing.assert_close(net(unseen), expected, rtol=0, atol=0)


def test_what_is_padded_differently_is_left_alone() -> None:
    first = layers.Conv2dSame(3, 3, 3, stride=2)
    net = network(first)
    with constant_padding(net, [torch.rand(1, 3, 12, 12), torch.rand(1, 3, 13, 12)]):
        assert "forward" not in vars(first)


def test_other_networks_are_not_even_run() -> None:
    class Loud(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise AssertionError("not to be run")

    with constant_padding(Loud(), [torch.rand(1, 3, 8, 8)]):
        pass
