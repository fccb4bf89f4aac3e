"""The optimiser of a run, and its state as plain tensors and numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from forgecli.errors import UsageError
from forgecli.train.settings import OptimiserSettings


def build_optimiser(network: nn.Module, settings: OptimiserSettings) -> Optimizer:
    """The optimiser over all parameters that are trained.

    There are up to four groups: the encoder or not, decayed or not. Biases and the parameters of
    normalisation (those of one dimension) are not decayed. Each group's rate is kept as
    ``base_lr``, which a schedule's factor is applied to.

    Raises:
        UsageError: the network has no parameter to train, or momentum is missing.
    """
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (_of_encoder(name), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise UsageError("the network has no parameter to train.")
    described: list[dict[str, Any]] = []
    for (encoder, decayed), parameters in sorted(groups.items()):
        lr = settings.lr * (settings.encoder_lr if encoder else 1.0)
        decay = settings.weight_decay if decayed else 0.0
        described.append(
            {"params": parameters, "lr": lr, "base_lr": lr, "weight_decay": decay}
        )  # fmt: skip
    if settings.name == "sgd":
        if settings.nesterov and not settings.momentum:
            raise UsageError("[optimiser] nesterov needs a momentum.", mend="momentum = 0.9")
        return SGD(
            described, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov
        )
    kind = AdamW if settings.name == "adamw" else Adam
    return kind(described, lr=settings.lr, betas=(settings.beta1, settings.beta2))


def set_rates(optimiser: Optimizer, factor: float) -> float:
    """Set the learning rate of every group; returns the highest."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor
    return max(float(group["lr"]) for group in optimiser.param_groups)


def optimiser_state(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and the rest as JSON knows it."""
    state = optimiser.state_dict()["state"]
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for index, values in state.items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                plain[f"{index}.{key}"] = value
    return tensors, plain


@torch.no_grad()
def restore_optimiser(
    optimiser: Optimizer, tensors: dict[str, Tensor], plain: dict[str, Any]
) -> None:
    """Put back what `optimiser_state` gave. Rates and decay stay as they are built.

    Raises:
        ValueError: it is the state of other parameters.
    """
    groups = optimiser.state_dict()["param_groups"]
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in [*tensors.items(), *plain.items()]:
        number, _, key = name.partition(".")
        if int(number) >= len(parameters):
            raise ValueError(f"there is no parameter {number}")
        parameter = parameters[int(number)]
        if isinstance(value, Tensor) and value.ndim:
            if value.shape != parameter.shape:
                raise ValueError(f"{key} of parameter {number} is {tuple(value.shape)}")
            # In memory as the parameter is, which decides which pixels are computed together, and
            # with it the last bit of a sum.
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _of_encoder(name: str) -> bool:
    return "encoder" in name.split(".") or "backbone" in name.split(".")
