"""Small networks of every system as ONNX, as forge exports them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from engines.export.file import file_of
from engines.export.graph import to_onnx
from engines.export.half import to_half
from forgecli.build.exporting import modules_in_float32
from forgecli.segment.models import correlation, registry
from forgecli.segment.models.network import Network
from tests.segment.models.small import network

EXPORTABLE = tuple(name for name in registry.names() if not registry.not_exportable(name))

FIXED = {"copy-attend": (64, 64), "pspnet": (64, 96), "upernet": (64, 96), "dpt": (64, 96)}
"""H and W of the networks that cannot be exported for any: the loops of `copy-attend`, the pooling
of a pyramid and the place codes of a transformer depend on them."""

_SHALLOW = {"encoder": "resnet18", "encoder_depth": 3}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "unet": {**_SHALLOW, "decoder_channels": [32, 16, 16]},
    "unet++": {**_SHALLOW, "decoder_channels": [32, 16, 16]},
    "manet": {**_SHALLOW, "decoder_channels": [32, 16, 16]},
    "linknet": _SHALLOW,
    "copy-attend": {"encoder": "resnet18", "width": 16},
}
"""Where those of the other tests take longer to export."""


@cache
def exported(name: str, *, half: bool = False) -> tuple[Network, bytes]:
    """A network with random weights, and the bytes of its ONNX file."""
    made, size = _made(name), FIXED.get(name)
    with _briefly() if name == "copy-attend" else _as_it_is():
        model = to_onnx(made, size)
    if half:
        model = to_half(model, modules_in_float32(made))
    return made, file_of(model, {}, version="0")


def _made(name: str) -> Network:
    if name in _ARGUMENTS:
        return registry.build(name, **_ARGUMENTS[name]).eval()
    return _with_place_codes(network(name)) if name == "dpt" else network(name)


def _with_place_codes(dpt: Network) -> Network:
    """With the place codes of its size: as an operation of the graph, TensorRT has them not."""
    made = copy.deepcopy(dpt)
    for module in made.modules():
        if getattr(module, "dynamic_img_size", False):
            module.set_input_size(img_size=FIXED["dpt"])  # type: ignore[operator]
            module.dynamic_img_size = False  # type: ignore[assignment]
            module.patch_embed.flatten = True  # type: ignore[union-attr]
    return made


@contextmanager
def _briefly() -> Iterator[None]:
    """Let the search try fewer neighbours: the same operations, but fewer times.

    Whole, its 6,900 nodes take the exporter over a minute. TensorRT builds the whole one as well.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlation, "STEPS", correlation.STEPS[1:2])
        patch.setattr(correlation, "AROUND", correlation.AROUND[:1])
        yield


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
