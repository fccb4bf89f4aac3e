"""Losses by name and weight. All take logits, and are computed in float32.

Dice, Tversky and Lovasz losses are taken of each image and then averaged: the metric is a mean
over images, so a small region counts as much as a large one; and the mean over the halves of a
batch is the mean over the batch, which training on several devices relies on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from forgecli.config import nearest
from forgecli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers in the losses.

    Attributes:
        alpha: Tversky: what a false positive costs.
        beta: Tversky: what a false negative costs. The paper's best are 0.3 and
            0.7; published for this task: 0.1 and 0.9.
        gamma: focal: how much easy pixels are discounted. The paper's best is 2.
        balance: focal: the weight of a pixel of a region; the others have 1 - balance. None: all
            weigh 1. The paper's best with gamma 2 is 0.25.
        tversky_gamma: focal Tversky: the loss is raised to 1 / this. The paper's best is 4 / 3.
        smooth: pixels added above and below in Tversky, twice that in Dice, so that an image
            without any region has a loss: near 0 if nothing is predicted, near 1 otherwise.
    """

    alpha: float = 0.3
    beta: float = 0.7
    gamma: float = 2.0
    balance: float | None = 0.25
    tversky_gamma: float = 4 / 3
    smooth: float = 0.5


def bce(logits: Tensor, masks: Tensor, shape: Shape) -> Tensor:
    """Binary cross-entropy, the mean over pixels."""
    return functional.binary_cross_entropy_with_logits(logits, masks)


def dice(logits: Tensor, masks: Tensor, shape: Shape) -> Tensor:
    """1 - Dice, with probabilities in place of a mask.

    Milletari et al., "V-Net", 2016, with the sums of Sudre et al., "Generalised Dice overlap",
    2017: 1 - (2 sum(p g) + 2 s) / (sum(p) + sum(g) + 2 s).
    """
    return (1 - _tversky_index(logits, masks, 0.5, 0.5, shape.smooth)).mean()


def focal(logits: Tensor, masks: Tensor, shape: Shape) -> Tensor:
    """Cross-entropy with easy pixels discounted: -a (1 - p_t)^gamma log(p_t), mean over pixels.

    Lin et al., "Focal Loss for Dense Object Detection", 2017.
    """
    signed = torch.where(masks > 0.5, logits, -logits)  # the logit of what is true
    # 1 - p_t as the exponential of its logarithm: its power has a gradient everywhere
    discount = (shape.gamma * functional.logsigmoid(-signed)).exp()
    loss = discount * -functional.logsigmoid(signed)
    if shape.balance is not None:
        loss = loss * torch.where(masks > 0.5, shape.balance, 1 - shape.balance)
    return loss.mean()


def tversky(logits: Tensor, masks: Tensor, shape: Shape) -> Tensor:
    """1 - TP / (TP + alpha FP + beta FN), with probabilities in place of a mask.

    Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks", 2017.
    """
    return (1 - _tversky_index(logits, masks, shape.alpha, shape.beta, shape.smooth)).mean()


def focal_tversky(logits: Tensor, masks: Tensor, shape: Shape) -> Tensor:
    """The Tversky loss of an image to the power 1 / gamma.

    Abraham and Khan, "A Novel Focal Tversky Loss Function with Improved Attention U-Net for Lesion
    Segmentation", 2019. At a perfect prediction the power's slope is infinite; below 1e-6 the loss
    is held, and has no gradient.
    """
    index = _tversky_index(logits, masks, shape.alpha, shape.beta, shape.smooth)  # (N,)
    return (1 - index).clamp_min(1e-6).pow(1 / shape.tversky_gamma).mean()


def lovasz(logits: Tensor, masks: Tensor, shape: Shape) -> Tensor:
    """The Lovasz hinge: the convex extension of 1 - IoU, of the hinge errors of the logits.

    Berman et al., "The Lovasz-Softmax loss: A tractable surrogate for the optimization of the
    intersection-over-union measure in neural networks", 2018.
    """
    errors = 1 - logits.flatten(1) * (2 * masks.flatten(1) - 1)  # (N, P)
    ordered, order = errors.sort(stable=True, dim=1, descending=True)  # (N, P)
    truth = masks.flatten(1).gather(1, order) > 0.5  # (N, P), worst error first
    total = truth.sum(1, keepdim=True)  # (N, 1)
    # 1 - IoU if the pixels up to here were wrong: whole numbers, which sum up exactly
    missed = truth.cumsum(1)  # (N, P)
    false = (~truth).cumsum(1)  # (N, P)
    jaccard = 1 - (total - missed).float() / (total + false).float()  # (N, P); never 0 / 0
    steps = torch.cat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], 1)  # (N, P)
    return (functional.relu(ordered) * steps.to(ordered.dtype)).sum(1).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor, Shape], Tensor]] = {
    "bce": bce,
    "dice": dice,
    "focal": focal,
    "tversky": tversky,
    "focal-tversky": focal_tversky,
    "lovasz": lovasz,
}
"""The losses by name: logits (N, 1, H, W), truth 0 or 1 of the same shape, to a scalar."""


def _tversky_index(
    logits: Tensor, masks: Tensor, alpha: float, beta: float, smooth: float
) -> Tensor:
    """(N,): TP / (TP + alpha FP + beta FN) of each image."""
    probability = logits.flatten(1).sigmoid()  # (N, P)
    truth = masks.flatten(1)  # (N, P)
    both = (probability * truth).sum(1)  # (N,)
    # 1 - p as sigmoid(-x): p near 1 loses no digits
    false_positive = (probability * (1 - truth)).sum(1)  # (N,)
    false_negative = ((-logits.flatten(1)).sigmoid() * truth).sum(1)  # (N,)
    below = both + alpha * false_positive + beta * false_negative + smooth
    return (both + smooth) / below


class WeightedLosses(nn.Module):
    """The weighted sum of losses. Made by `build_loss`."""

    def __init__(self, weights: Mapping[str, float], shape: Shape) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.shape = shape

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """The scalar loss.

        Args:
            logits: (N, 1, H, W), of any floating type.
            masks: of the same shape, 0 or 1.

        Returns:
            float32 (float64 for float64 logits), finite for all finite logits.
        """
        if logits.dtype != torch.float64:
            logits = logits.float()
        masks = masks.to(logits.dtype)
        with torch.autocast(logits.device.type, enabled=False):
            parts = [
                w * LOSSES[name](logits, masks, self.shape) for name, w in self.weights.items()
            ]
            return torch.stack(parts).sum()


def build_loss(
    weights: Mapping[str, float],
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 2.0,
    balance: float | None = 0.25,
    tversky_gamma: float = 4 / 3,
    smooth: float = 0.5,
) -> WeightedLosses:
    """A sum of losses.

    Args:
        weights: weight by name; ``{"bce": 1.0, "dice": 1.0}``. A loss of weight 0 is left out.
        alpha, beta, gamma, balance, tversky_gamma, smooth: see `Shape`.

    Raises:
        UsageError: an unknown loss, a number that cannot be, or no loss at all.
    """
    for name, weight in weights.items():
        if name not in LOSSES:
            raise UsageError(f"there is no loss {name!r}.", mend=nearest(name, LOSSES))
        if not 0 <= weight < float("inf"):
            raise UsageError(f"the weight of the loss {name} is to be 0 or more. Got: {weight}")
    used = {name: float(weight) for name, weight in weights.items() if weight > 0}
    if not used:
        raise UsageError("there is no loss to minimise.", mend="known: " + ", ".join(LOSSES))
    if alpha < 0 or beta < 0 or alpha + beta == 0:
        raise UsageError(f"alpha and beta are to be 0 or more, not both 0. Got: {alpha}, {beta}")
    if gamma < 0 or tversky_gamma <= 0 or smooth <= 0:
        raise UsageError(
            "gamma is to be 0 or more, tversky_gamma and smooth more than 0. "
            f"Got: {gamma}, {tversky_gamma}, {smooth}"
        )
    if balance is not None and not 0 < balance < 1:
        raise UsageError(f"balance is to be between 0 and 1. Got: {balance}")
    return WeightedLosses(used, Shape(alpha, beta, gamma, balance, tversky_gamma, smooth))
