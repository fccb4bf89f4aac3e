"""Small checkpoints on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from forgecli.segment.checkpoint import Card, save_checkpoint
from forgecli.segment.models.registry import build


def write_checkpoint(weights: Path, *, seed: int = 0, **card: Any) -> Path:
    """Random weights of `simple-cnn`."""
    torch.manual_seed(seed)
    save_checkpoint(weights, build("simple-cnn"), Card("simple-cnn", **card))
    return weights
