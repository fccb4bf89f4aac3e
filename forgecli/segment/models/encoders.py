"""Encoders of segmentation-models-pytorch, the normalisation they expect, and what they use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from forgecli.config import nearest
from forgecli.errors import UsageError
from forgecli.segment.models.encoder_weights import load_encoder_weights, silence

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of red, green and blue from 0 to 1."""

IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
INCEPTION: Statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
DPN: Statistics = (
    (124 / 255, 117 / 255, 104 / 255),
    (1 / (0.0167 * 255), 1 / (0.0167 * 255), 1 / (0.0167 * 255)),
)


def statistics_of(encoder: str) -> Statistics:
    """What the weights of an encoder expect of their input.

    The same numbers as `get_preprocessing_params` of segmentation-models-pytorch, which has to
    download them; a checkpoint must mean the same on a machine without a network.
    """
    from segmentation_models_pytorch.encoders import encoders

    if encoder in encoders:
        if encoder.startswith(("inception", "xception", "timm-tf_efficientnet_lite")):
            return INCEPTION
        return DPN if encoder.startswith("dpn") else IMAGENET
    import timm

    name = encoder.removeprefix("tu-").removeprefix("timm-")
    config = timm.models.get_pretrained_cfg(name)
    if config is None or config.mean is None or len(config.mean) != 3:
        return IMAGENET
    return cast(Statistics, (tuple(config.mean), tuple(config.std)))


class Normalise(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel.

    Channels beyond the third (noise residual, error-level analysis; both from 0 to 1 like colours)
    are treated as colours, since the weights they meet are copies of those for colours. The
    numbers are part of the state, so a checkpoint keeps its meaning.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, statistics: Statistics, channels: int = 3) -> None:
        super().__init__()
        for name, values in zip(("mean", "std"), statistics, strict=True):
            tensor = torch.tensor([values[index % 3] for index in range(channels)])
            self.register_buffer(name, tensor.view(1, channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W) normalised."""
        return (images - self.mean) / self.std


def check_encoder(name: str) -> None:
    """Whether there is an encoder of this name.

    Raises:
        UsageError: there is not.
    """
    import timm
    from segmentation_models_pytorch.encoders import encoders

    if name in encoders:
        return
    if name.startswith(("tu-", "timm-")):
        bare = name.removeprefix("tu-").removeprefix("timm-").split(".")[0]
        if timm.is_model(bare) or timm.is_model(f"tf_{bare}"):
            return
        close = nearest(bare, timm.list_models())
        raise UsageError(
            f"there is no encoder {name!r}.", mend=close.replace(" mean ", " mean tu-")
        )
    raise UsageError(
        f"there is no encoder {name!r}.",
        mend=f"{nearest(name, encoders)} Those of timm are named tu-NAME",
    )


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Turns what the libraries raise at options that do not go together into a `UsageError`."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AssertionError, RuntimeError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(f"{what} cannot be made: {said[0]}") from error


def make_encoder(
    name: str,
    *,
    channels: int = 3,
    depth: int = 5,
    weights: str | Path | None = None,
    **options: Any,
) -> nn.Module:
    """An encoder: takes (N, channels, H, W) and gives a list of `depth` + 1 maps, finest first.

    Args:
        name: in segmentation-models-pytorch, ``tu-NAME`` for those of timm.
        channels: of its input.
        depth: how often it halves the size.
        weights: ``imagenet``, a safetensors file, or None for random ones.
        options: of the encoder itself.

    Raises:
        UsageError: there is no such encoder, or it cannot be made so.
        ForgeError: the weights cannot be had.
    """
    from segmentation_models_pytorch.encoders import get_encoder

    check_encoder(name)

    def made(of: int, pretrained: str | None) -> nn.Module:
        return cast(nn.Module, get_encoder(name, of, depth, pretrained, **options))

    with silence(), refused(f"the encoder {name}"):
        encoder = made(channels, None)
    if weights is not None:
        load_encoder_weights(encoder, name, weights, lambda: made(3, "imagenet"))
    return encoder


def freeze_unused(network: nn.Module, channels: int, size: int) -> list[str]:
    """Take from training the parameters that no output depends on; their names.

    Encoders hold some: those made for classification keep their last layers, and a decoder that
    stops at 1/8 leaves whole stages idle. They would have no gradient, which distributed training
    takes for a mistake. Found by one pass without arithmetic (torch's ``meta`` device).

    Args:
        network: gives one tensor or a dict of tensors, all of which count.
        channels: of its input.
        size: height and width of an input that it takes.
    """
    from copy import deepcopy

    shadow = deepcopy(network).to("meta").eval()
    given = shadow(torch.empty(1, channels, size, size, device="meta"))
    maps: list[Tensor] = list(given.values()) if isinstance(given, dict) else [given]
    torch.autograd.backward(torch.stack([level.sum() for level in maps]).sum())
    idle = [name for name, p in shadow.named_parameters() if p.requires_grad and p.grad is None]
    for name in idle:
        network.get_parameter(name).requires_grad_(False)
    return idle
