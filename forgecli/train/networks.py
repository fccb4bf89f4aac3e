"""The network of a run, as its settings ask for it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from forgecli.errors import ForgeError, UsageError
from forgecli.segment.models.network import Network
from forgecli.segment.models.registry import arguments_of, build
from forgecli.train.presets import TrainSettings


def network_arguments(settings: TrainSettings) -> dict[str, Any]:
    """What `registry.build` is given beside name and weights, and what the card keeps.

    Raises:
        UsageError: there is no such network, or networks are not installed.
    """
    model = settings.model
    known = arguments_of(model.name)
    arguments = dict(model.arguments)
    if model.encoder is not None:
        arguments["encoder"] = model.encoder
    if "size" in known:
        arguments["size"] = settings.data.size
    if "ela" in known and settings.data.ela:
        arguments["ela"] = True
    return arguments


def build_network(settings: TrainSettings, arguments: dict[str, Any], *, weights: bool) -> Network:
    """The network, fit for the settings of the data.

    Args:
        arguments: see `network_arguments`.
        weights: whether the encoder's weights are wanted; not where all weights come from a state.

    Raises:
        UsageError: the network cannot be made, or does not fit the settings.
        ForgeError: the encoder's weights cannot be had.
    """
    data, model = settings.data, settings.model
    encoder_weights = model.encoder_weights if weights else None
    network = build(model.name, encoder_weights=encoder_weights, **arguments)
    if model.prior and weights:
        begin_at(network, model.prior)
    if network.channels != data.preprocess.channels:
        raise UsageError(
            f"{model.name} takes {network.channels} channels, and [data] ela makes "
            f"{data.preprocess.channels}.",
            mend="change [data] ela",
        )
    if data.size % network.multiple:
        below = data.size // network.multiple * network.multiple
        raise UsageError(
            f"--size {data.size} is no multiple of {network.multiple}, as {model.name} needs.",
            mend=f"--size {below or network.multiple} or {below + network.multiple}",
        )
    if network.size is not None and network.size != (data.size, data.size):
        raise UsageError(
            f"{model.name} takes pictures of {network.size} only, not of --size {data.size}.",
            mend=f"--size {network.size[0]}",
        )
    return network


def begin_at(network: Network, prior: float) -> None:
    """Set the bias of the layer that makes the logits, so that a feature of 0 means `prior`.

    Raises:
        UsageError: the network does not end in a convolution with a bias.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    last = layers[-1] if layers else None
    if last is None or last.bias is None or last.out_channels != network.outputs:
        raise UsageError("this network cannot begin at a prior.", mend="[model] prior = 0")
    nn.init.constant_(last.bias, math.log(prior / (1 - prior)))


def placed(network: Network, device: torch.device, *, channels_last: bool) -> Network:
    """The network on its device.

    Raises:
        ForgeError: it does not fit.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    try:
        return network.to(device).to(memory_format=layout)
    except torch.OutOfMemoryError as error:
        raise ForgeError(
            f"the network alone does not fit into the memory of {device}.",
            mend="take a smaller encoder, or end other programs on this GPU",
        ) from error
