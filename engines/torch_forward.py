"""One forward pass in a precision: what the engines that run PyTorch networks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from engines.base import Precision, Spec

Forward = Callable[[Tensor], Tensor]

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}

_CAST = (nn.modules.conv._ConvNd, nn.Linear)


def check_precision(precision: Precision) -> None:
    """Raise ValueError for what torch does not compute in here."""
    if precision == "int8":
        raise ValueError("PyTorch does not run int8 here; a quantised .onnx is for OpenVINO")


def spec_of_network(network: nn.Module, device: str, precision: Precision) -> Spec:
    """What a network accepts, by its attributes.

    Raises:
        TypeError: one of them is not what it should be.
    """
    return Spec(
        channels=_whole(network, "channels"),
        multiple=_whole(network, "multiple"),
        size=_size(network),
        outputs=_whole(network, "outputs"),
        device=device,
        precision=precision,
    )


class Mixed:
    """A network under autocast: convolutions and matrix products in a precision, what needs the
    range (normalisation, softmax) in float32.

    Args:
        network: maps (N, C, H, W) to (N, K, H, W).
        device: where it is.
        precision: ``fp32`` for no autocast.
        keep_casts: whether a weight that is used twice is cast once. Not within a CUDA graph, which
            would keep an address of a pass that is over.
    """

    def __init__(
        self, network: Forward, device: torch.device, precision: Precision, keep_casts: bool = True
    ) -> None:
        self._network = network
        self._kind = device.type
        self._dtype = DTYPES.get(precision)
        self._keep_casts = keep_casts

    def __call__(self, images: Tensor) -> Tensor:
        """float32 (N, C, H, W), in any layout, to float32 logits (N, K, H, W), C-contiguous."""
        with (
            torch.inference_mode(),
            torch.autocast(
                self._kind,
                dtype=self._dtype,
                enabled=self._dtype is not None,
                cache_enabled=self._keep_casts,
            ),
        ):
            images = images.contiguous(memory_format=torch.channels_last)
            with without_tf32() if self._kind == "cuda" and self._dtype is None else nullcontext():
                logits: Tensor = self._network(images)  # (N, K, H, W)
            return logits.float().contiguous()


@contextmanager
def without_tf32() -> Iterator[None]:
    """In this block float32 is float32: by itself PyTorch takes TF32, with 10 bits of mantissa, for
    convolutions on NVIDIA GPUs. Training in the same process keeps what it had."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def halve_weights(network: nn.Module, example: Tensor, precision: Precision) -> int:
    """Keep in a precision the weights that autocast would cast at every pass. The logits stay.

    These are weights of convolutions and linear layers. Where a layer computes can be seen only
    when it does: networks switch autocast off around what has to stay exact. So the network looks
    at an example, and layers that were not called, or not always under autocast, are left alone.

    Args:
        network: changed in place; it cannot be trained any more.
        example: float32 (N, C, H, W) on the network's device.
        precision: ``fp16`` or ``bf16``; for others nothing is done.

    Returns:
        how many layers were cast.
    """
    dtype = DTYPES.get(precision)
    if dtype is None:
        return 0
    kind = example.device.type
    seen: dict[nn.Module, bool] = {}

    def look(layer: nn.Module, _: object) -> None:
        seen[layer] = seen.get(layer, True) and torch.is_autocast_enabled(kind)

    layers = [layer for layer in network.modules() if isinstance(layer, _CAST)]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        Mixed(network, example.device, precision)(example)
    finally:
        for hook in hooks:
            hook.remove()
    shared = _shared(network)
    chosen = [layer for layer, always in seen.items() if always and not shared & _own(layer)]
    for layer in chosen:
        layer.to(dtype)
    return len(chosen)


def _own(layer: nn.Module) -> set[int]:
    return {id(parameter) for parameter in layer.parameters(recurse=False)}


def _shared(network: nn.Module) -> set[int]:
    """Ids of parameters that more than one module holds."""
    times: dict[int, int] = {}
    for module in network.modules():
        for own in _own(module):
            times[own] = times.get(own, 0) + 1
    return {own for own, count in times.items() if count > 1}


def _whole(network: nn.Module, name: str) -> int:
    value = getattr(network, name)
    if not isinstance(value, int):
        raise TypeError(f"a network's {name} is a whole number. Got: {value!r}")
    return value


def _size(network: nn.Module) -> tuple[int, int] | None:
    size: object = network.size
    if size is None:
        return None
    if not (isinstance(size, tuple) and len(size) == 2):
        raise TypeError(f"a network's size is (H, W) or None. Got: {size!r}")
    return int(size[0]), int(size[1])
