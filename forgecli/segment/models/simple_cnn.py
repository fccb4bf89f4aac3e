"""The smallest network of the field: three convolutions down, two up."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from forgecli.segment.models.network import Network


class SimpleCnn(Network):
    """Encoder 3-32-64-128, 3 x 3 with two max-pools; two transposed convolutions; 1 x 1.

    The baseline of the field's notebooks: 134,337 parameters, trained at 256 px with Adam 1e-4 and
    BCE. It sees 14 pixels around a pixel, so it cannot compare one place with another.
    """

    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(  # (N, 3, H, W)
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),  # (N, 32, H/2, W/2)
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),  # (N, 64, H/4, W/4)
            nn.Conv2d(64, 128, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(128, 64, 2, stride=2),  # (N, 64, H/2, W/2)
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(64, 32, 2, stride=2),  # (N, 32, H, W)
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 1, 1),  # (N, 1, H, W)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1, H, W) of images (N, 3, H, W), 0 to 1."""
        return cast(Tensor, self.layers(images))
