"""Every architecture of segmentation-models-pytorch, with every encoder of it and of timm."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, cast

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from forgecli.segment.models.encoder_weights import load_encoder_weights, silence
from forgecli.segment.models.encoders import (
    Normalise,
    check_encoder,
    freeze_unused,
    refused,
    statistics_of,
)
from forgecli.segment.models.network import Network
from forgecli.segment.models.residual import NoiseResidual

ENCODER = "resnet34"
VISION_TRANSFORMER = "tu-vit_base_patch16_224.augreg_in21k"
"""What DPT takes where none is named; it is made for encoders of this kind only."""

_OURS = ("encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params")


class SmpNetwork(Network):
    """An architecture of segmentation-models-pytorch on an encoder, normalising its input.

    Input is (N, 3 or 6, H, W) from 0 to 1, H and W multiples of 32 (128 for PAN); output
    logits (N, 1, H, W).

    Args:
        architecture: name of the class there: ``Unet``, ``FPN``, ...
        encoder: name there, or ``tu-NAME`` for one of timm.
        ela: the input has three channels of error-level analysis after the colours.
        residual: the noise residual is computed from the colours and given to the encoder as three
            more channels.
        encoder_weights: ``imagenet``, a safetensors file, or None for random ones.
        options: of the architecture, by its names: ``encoder_depth``, ``decoder_channels``, ...

    Raises:
        UsageError: there is no such encoder, an option that cannot be, or parts that do not go
            together: encoders made for one size only, DINOv2 in DPT (its tokens are 14 pixels).
        ForgeError: the encoder's weights cannot be had.
    """

    multiple = 32

    def __init__(
        self,
        architecture: str,
        encoder: str | None = None,
        *,
        ela: bool = False,
        residual: bool = False,
        encoder_weights: str | Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        is_dpt = architecture == "DPT"
        if architecture == "PAN":
            self.multiple = 128  # it halves the map of 1/16 three times more
        name = encoder or (VISION_TRANSFORMER if is_dpt else ENCODER)
        check_encoder(name)
        self.channels = 6 if ela else 3
        seen = self.channels + (3 if residual else 0)
        self.normalise = Normalise(statistics_of(name), seen)
        self.residual = NoiseResidual() if residual else None
        own = {"dynamic_img_size": True, **options} if is_dpt else options

        def made(of: int, pretrained: str | None) -> nn.Module:
            body = getattr(smp, architecture)
            return cast(nn.Module, body(name, encoder_weights=pretrained, in_channels=of, **own))

        with silence(), refused(f"{architecture} with the encoder {name}"):
            self.body = made(seen, None)
            freeze_unused(self, self.channels, 128)
        if encoder_weights is not None:
            encoder_module = cast(nn.Module, self.body.encoder)
            load_encoder_weights(
                encoder_module,
                name,
                encoder_weights,
                lambda: cast(nn.Module, made(3, "imagenet").encoder),
            )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1, H, W)."""
        if self.residual is not None:
            noise = self.residual(images[:, :3])  # (N, 3, H, W)
            images = torch.cat([images, noise], 1)  # (N, 6 or 9, H, W)
        return cast(Tensor, self.body(self.normalise(images)))

    @staticmethod
    def options_of(architecture: str) -> list[str]:
        """The options that an architecture takes."""
        parameters = inspect.signature(getattr(smp, architecture).__init__).parameters
        return [name for name in parameters if name not in (*_OURS, "self", "kwargs")]
