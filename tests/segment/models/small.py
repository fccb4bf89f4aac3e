"""Every network of the registry, small enough for a test."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from forgecli.segment.batch import Batch
from forgecli.segment.models import registry
from forgecli.segment.models.network import Network

DETECTORS = ("mask-rcnn", "faster-rcnn")
WITHOUT_ENCODER = ("simple-cnn", "dual-stream")
OF_SMP = tuple(
    name for name in registry.names() if name not in (*DETECTORS, *WITHOUT_ENCODER, "copy-attend")
)
NAMES = (*WITHOUT_ENCODER, *OF_SMP, *DETECTORS)
"""All but `copy-attend`, which has tests of its own."""


def arguments(name: str) -> dict[str, Any]:
    """What makes a network small."""
    if name in WITHOUT_ENCODER:
        return {}
    if name in DETECTORS:
        return {"encoder": "resnet18", "anchors": [8, 16, 32, 64, 128], "proposals": 24}
    if name == "dpt":
        return {
            "encoder": "tu-vit_tiny_patch16_224",
            "decoder_intermediate_channels": [32, 32, 32, 32],
            "decoder_fusion_channels": 32,
        }
    return {"encoder": "resnet18"}


@cache
def _state(name: str) -> Network:
    torch.manual_seed(0)
    return registry.build(name, **arguments(name))


def network(name: str) -> Network:
    """A network with the weights it was made with, without gradients, ready to predict.

    The same object each time, since some take a second to make: leave its weights alone.
    """
    made = _state(name)
    made.zero_grad(set_to_none=True)
    return made.eval()


def images(of: Network, count: int = 2) -> Tensor:
    """Random images of the smallest size from 64 px that a network takes, wider than high."""
    side = max(64, of.multiple)
    return torch.rand(count, of.channels, side, side + of.multiple)


def batch(of: Network) -> Batch:
    """One image with two instances, one without."""
    pictures = images(of)
    height, width = pictures.shape[2:]
    instances = torch.zeros(2, height, width, dtype=torch.uint8)
    instances[0, 10:30, 10:40] = 1
    instances[1, 50:54, 60:62] = 1
    nothing = torch.zeros(0, height, width, dtype=torch.uint8)
    masks = torch.stack([instances.amax(0), torch.zeros(height, width)])[:, None].float()
    return Batch(pictures, masks, [instances, nothing], ["forged", "authentic"])
