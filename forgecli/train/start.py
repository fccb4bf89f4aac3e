"""Weights to start from: those of any checkpoint, as far as they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import refuse_not_finite

_HOLDERS = ("state_dict", "model_state_dict", "model", "network", "weights")
"""Where others keep the weights among other things."""

_WRAPPERS = ("module.", "_orig_mod.", "model.", "network.")
"""What other programs put before the names of weights."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """How far a checkpoint went.

    Attributes:
        tensors: that were taken over.
        own: tensors of the network.
        given: tensors of the checkpoint.
    """

    tensors: int
    own: int
    given: int


def start_from(network: nn.Module, file: Path) -> Fitted:
    """Put the tensors of a checkpoint into a network, where name and shape fit.

    Names may differ by what a wrapper puts before them, or by the network's part that they are of.

    Args:
        network: changed in place.
        file: safetensors, or what `torch.save` wrote, of which only tensors are read.

    Raises:
        UsageError: it is missing, or nothing fits.
        ForgeError: it is damaged, or holds more than tensors, or values that are not finite.
    """
    if not file.is_file():
        raise UsageError("there is no such file.", file=file, mend="check --init-from")
    given = _safetensors(file) if file.suffix.lower() == ".safetensors" else _torch(file)
    own = network.state_dict()
    best: dict[str, Tensor] = {}
    for renamed in _renamings(given, [name for name, _ in network.named_children()]):
        fitting = {
            name: value
            for name, value in renamed.items()
            if name in own and own[name].shape == value.shape
        }
        if len(fitting) > len(best):
            best = fitting
    if not best:
        raise UsageError(
            f"none of its {len(given)} tensors fits this network by name and shape.",
            file=file,
            mend="check --model and --encoder",
        )
    taken = {id(value) for value in best.values()}
    fitting = {name: value for name, value in given.items() if id(value) in taken}
    refuse_not_finite(fitting, file, those="the {} that fit")
    with torch.no_grad():
        for name, value in best.items():
            own[name].copy_(value)
    return Fitted(len(best), len(own), len(given))


def _safetensors(file: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise ForgeError(f"is not a safetensors file: {error}.", file=file) from error


def _torch(file: Path) -> Mapping[str, Tensor]:
    try:
        document = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, according to what the file is
        raise ForgeError(
            f"cannot be read as tensors: {str(error).splitlines()[0] if str(error) else error!r}",
            file=file,
            mend="save its state_dict alone, best as safetensors",
        ) from error
    for name in _HOLDERS:
        if isinstance(document, Mapping) and isinstance(document.get(name), Mapping):
            document = document[name]
            break
    if not isinstance(document, Mapping):
        raise ForgeError(f"holds a {type(document).__name__}, not named tensors.", file=file)
    return {str(name): value for name, value in document.items() if isinstance(value, Tensor)}


def _renamings(given: Mapping[str, Tensor], children: list[str]) -> Iterator[dict[str, Tensor]]:
    """The tensors as they are named, without each wrapper, and as those of a part."""
    for wrapper in ("", *_WRAPPERS):
        if wrapper and not any(name.startswith(wrapper) for name in given):
            continue
        bare = {name.removeprefix(wrapper): value for name, value in given.items()}
        yield bare
        for child in children:
            yield {f"{child}.{name}": value for name, value in bare.items()}
