"""Small checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch

from forgecli.segment.checkpoint import Card, save_checkpoint
from forgecli.segment.models.registry import build
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds


def write_simple(weights: Path, *, seed: int = 0, gain: float = 30.0, inner: float = 1.0) -> Path:
    """A `simple-cnn` that knows nothing, but says it loudly.

    Args:
        weights: the file.
        seed: of the random weights.
        gain: of the last layer.
        inner: of the first two.
    """
    torch.manual_seed(seed)
    network = build("simple-cnn")
    with torch.no_grad():
        layers = network.layers
        assert isinstance(layers, torch.nn.Sequential)
        for layer, factor in ((layers[0], inner), (layers[3], inner), (layers[-1], gain)):
            layer.weight *= factor
    card = Card(
        "simple-cnn",
        preprocess=Preprocess(size=64),
        thresholds=Thresholds(pixel=0.4, gate=0.3),
        split="abc",
        metrics={"dice": 0.5},
    )
    save_checkpoint(weights, network, card)
    return weights
