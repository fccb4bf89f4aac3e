"""The noise residual: what a blur takes away from a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""

BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""The Gaussian of 5 x 5 that OpenCV uses where no width is given, one axis."""

LEAST_SPAN = 1e-3
"""A residual that spans less than this, a quarter of a grey level, is rounding and not noise."""


class NoiseResidual(nn.Module):
    """Grey minus its 5 x 5 Gaussian blur, scaled to 0..1 in each image, as three channels.

    Takes RGB (N, 3, H, W) from 0 to 1, H and W at least 3; gives (N, 3, H, W) of the input's
    dtype. A constant image gives 0. It is always computed in float32: half precision would round
    away the differences it looks for.
    """

    def forward(self, images: Tensor) -> Tensor:
        """The residual of a batch."""
        grey = _weighted(images.float().unbind(1), GREY)  # (N, H, W)
        residual = grey - _blurred(_blurred(grey, 1), 2)  # (N, H, W)
        lowest = residual.amin((1, 2), keepdim=True)  # (N, 1, 1)
        span = residual.amax((1, 2), keepdim=True) - lowest  # (N, 1, 1)
        scaled = (residual - lowest) / span.clamp_min(LEAST_SPAN)  # (N, H, W)
        scaled = torch.where(span < LEAST_SPAN, torch.zeros_like(scaled), scaled)
        return torch.stack([scaled] * 3, 1).to(images.dtype)  # (N, 3, H, W)


def _blurred(planes: Tensor, axis: int) -> Tensor:
    """Planes (N, H, W) blurred along one axis, reflected at the borders.

    Sums of slices and not a convolution: autocast leaves them in float32.
    """
    reach = len(BLUR) // 2
    size = planes.shape[axis]
    inner = (0, 0, reach, reach) if axis == 1 else (reach, reach, 0, 0)
    padded = functional.pad(planes, inner, mode="reflect")
    return _weighted([padded.narrow(axis, shift, size) for shift in range(len(BLUR))], BLUR)


def _weighted(planes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = planes[0] * weights[0]
    for plane, weight in zip(planes[1:], weights[1:], strict=True):
        total = total + plane * weight
    return total
