"""Two streams: the colours, and the noise residual."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from forgecli.errors import UsageError
from forgecli.segment.models.network import Network
from forgecli.segment.models.residual import NoiseResidual


def _stream() -> nn.Sequential:
    return nn.Sequential(  # (N, 3, H, W)
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),  # (N, 32, H/2, W/2)
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(inplace=True),  # (N, 64, H/2, W/2)
    )


class DualStream(Network):
    """The network of the field's notebooks: 186,497 parameters, trained at 256 px.

    Each stream: convolution 32, max-pool, convolution 64. Both joined, upsampled (nearest),
    convolution 128, 1 x 1. All convolutions but the last are 3 x 3.
    """

    multiple = 4  # 2 for the pooling; 4 since the blur needs three pixels

    def __init__(self) -> None:
        super().__init__()
        self.residual = NoiseResidual()
        self.colour = _stream()
        self.noise = _stream()
        self.head = nn.Sequential(  # (N, 128, H/2, W/2)
            nn.Upsample(scale_factor=2, mode="nearest"),  # (N, 128, H, W)
            nn.Conv2d(128, 128, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 1, 1),  # (N, 1, H, W)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1, H, W) of images (N, 3, H, W), 0 to 1."""
        noise = self.residual(images)  # (N, 3, H, W)
        joined = torch.cat([self.colour(images), self.noise(noise)], 1)  # (N, 128, H/2, W/2)
        return cast(Tensor, self.head(joined))


def dual_stream(
    encoder: str | None = None,
    *,
    ela: bool = False,
    encoder_weights: str | Path | None = None,
) -> Network:
    """`DualStream` as it was published, or the same idea on an encoder.

    Args:
        encoder: None for the published network; else a U-Net on this encoder, with the residual as
            three more channels of its input.
        ela: with an encoder, the input has three channels of error-level analysis as well.
        encoder_weights: for the encoder.

    Raises:
        UsageError: options of an encoder without one, or an unknown encoder.
        ForgeError: the encoder's weights cannot be had.
    """
    if encoder is None:
        if ela or encoder_weights is not None:
            raise UsageError(
                "the published dual-stream takes neither error-level analysis nor the weights of "
                "an encoder.",
                mend="give it an encoder, for example resnet34",
            )
        return DualStream()
    from forgecli.segment.models.smp import SmpNetwork

    arguments: dict[str, Any] = {"ela": ela, "residual": True, "encoder_weights": encoder_weights}
    return SmpNetwork("Unet", encoder, **arguments)
