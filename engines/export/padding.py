"""Padding that depends on the size of the input, made constant where it is the same at every size.

TensorFlow pads so that a layer of stride s gives 1/s of its input, rounded up. timm's copies of its
networks work the amounts out from the size of every input. An exporter with open sizes follows that
through all layers, in expressions that double with each: minutes for what is a constant as soon as
all sizes are multiples of what the network asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Pads = tuple[int, int, int, int]
"""Left, right, top, bottom, as `torch.nn.functional.pad` takes them."""

_SAME = {"Conv2dSame": 0.0, "AvgPool2dSame": 0.0, "MaxPool2dSame": -math.inf}
"""timm's modules that pad by the size of their input, and what they pad with."""


@contextmanager
def constant_padding(network: nn.Module, inputs: Sequence[Tensor]) -> Iterator[None]:
    """In this block, modules that pad by the size of their input pad by constants.

    Args:
        network: is as before afterwards.
        inputs: of different sizes. A module that pads them differently is left as it is.
    """
    modules = [one for one in network.modules() if type(one).__name__ in _SAME]
    pads: dict[nn.Module, set[Pads]] = {module: set() for module in modules}
    hooks = [module.register_forward_pre_hook(lambda m, given: pads[m].add(_pads(m, given[0])))
             for module in modules]  # fmt: skip
    try:
        with torch.inference_mode():
            for images in inputs if modules else ():
                network(images)
    finally:
        for hook in hooks:
            hook.remove()
    fixed = [module for module in modules if len(pads[module]) == 1]
    try:
        for module in fixed:
            module.forward = _padded(module, next(iter(pads[module])))
        yield
    finally:
        for module in fixed:
            del module.forward  # the class has its own


def _pads(module: Any, given: Tensor) -> Pads:
    """What a module adds to an input (N, C, H, W)."""
    found: list[int] = []
    sides = zip(given.shape[:1:-1], *(
        _pair(getattr(module, name, 1))[::-1] for name in ("kernel_size", "stride", "dilation")
    ), strict=True)  # fmt: skip
    for side, kernel, stride, dilation in sides:
        wanted = (math.ceil(side / stride) - 1) * stride + (kernel - 1) * dilation + 1
        total = max(wanted - side, 0)
        found += [total // 2, total - total // 2]
    return found[0], found[1], found[2], found[3]


def _padded(module: Any, pads: Pads) -> Any:
    """What a module does, with constant padding."""
    value = _SAME[type(module).__name__]

    def forward(given: Tensor) -> Tensor:
        given = functional.pad(given, pads, value=value) if any(pads) else given
        if isinstance(module, nn.Conv2d):
            return functional.conv2d(
                given, module.weight, module.bias, module.stride, 0, module.dilation, module.groups
            )
        if isinstance(module, nn.MaxPool2d):
            return functional.max_pool2d(
                given, module.kernel_size, module.stride, 0, module.dilation, module.ceil_mode
            )
        return functional.avg_pool2d(
            given,
            module.kernel_size,
            module.stride,
            module.padding,
            module.ceil_mode,
            module.count_include_pad,
        )

    return forward


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple | list) else (value, value)
