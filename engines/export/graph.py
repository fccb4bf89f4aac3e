"""From a torch network to an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import Dim

from engines.base import Spec
from engines.export.padding import constant_padding
from engines.export.resampling import as_products

OPSET = 20
"""What OpenVINO from 2025 and TensorRT from 10 take; the first to have Gelu as one operation."""

INPUT, OUTPUT = "images", "logits"

_SIDES = (3, 5)
"""Multiples of the traced input: odd and unlike, so that nothing is true of them by chance."""

FOLDED = 1 << 20
"""Elements of a tensor that is computed when the network is exported, if it can be. The exporter
stops at 8192, and leaves whole numbers to be divided at run time, which TensorRT for RTX 1.7 fails
to build: tables of the places of an image are larger."""

_LOUD = ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")


class NotExportable(ValueError):
    """A network cannot become ONNX; the message says why, in the exporter's words."""


def to_onnx(network: nn.Module, size: tuple[int, int] | None = None) -> onnx.ModelProto:
    """A network as ONNX: float32 images (N, C, H, W) from 0 to 1 in, float32 logits (N, K, H, W)
    out, simplified. N is open, and so are H and W unless the network takes one size only.

    Args:
        network: ready to predict, on the CPU; see `spec_of`.
        size: H and W that it is to take only, for networks whose operations depend on them.

    Returns:
        a model whose nodes name the modules they were exported from, for `half.to_half`; see
        `file.file_of` for how it is written.

    Raises:
        NotExportable: the exporter does not take the network.
        ValueError: the network is in training mode.
    """
    if network.training:
        raise ValueError("a network is exported as it predicts: call eval() first")
    spec = spec_of(network, size)
    height, width = spec.size or tuple(side * spec.multiple for side in _SIDES)
    images = torch.zeros(2, spec.channels, height, width)
    others = [] if spec.size else [torch.zeros(1, spec.channels, width, height)]
    with (
        quiet(),
        constant_padding(network, [images[:1], *others]),
        as_products(),
        torch.inference_mode(False),
        torch.no_grad(),
    ):
        try:
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                dynamic_shapes=_open(spec),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                optimize=True,
                verbose=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            raise NotExportable(_reason(error)) from error
        assert program is not None
        _fold(program.model)
    model: onnx.ModelProto = program.model_proto
    _name_sides(model, spec)
    return model


def spec_of(network: nn.Module, size: tuple[int, int] | None = None) -> Spec:
    """What a network says that it takes and gives: it has ``channels``, ``multiple``, ``size`` and
    ``outputs`` as `Spec` does.

    Args:
        network: from forge's registry, or alike.
        size: H and W where it is exported for these only.
    """
    return Spec(
        channels=int(network.channels),  # type: ignore[arg-type]
        multiple=int(network.multiple),  # type: ignore[arg-type]
        size=size or network.size,  # type: ignore[arg-type]
        outputs=int(network.outputs),  # type: ignore[arg-type]
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's progress, advice and warnings from the terminal."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _fold(model: Any) -> None:
    """Compute what does not depend on the input."""
    from onnxscript import optimizer

    optimizer.fold_constants(model, input_size_limit=FOLDED, output_size_limit=FOLDED)
    optimizer.remove_unused_nodes(model)


def _open(spec: Spec) -> dict[str, dict[int, Any]]:
    """The dimensions of the input that may be any."""
    sides: dict[int, Any] = {0: Dim("n")}
    if spec.size is None:
        sides[2], sides[3] = spec.multiple * Dim("h"), spec.multiple * Dim("w")
    return {INPUT: sides}


def _name_sides(model: onnx.ModelProto, spec: Spec) -> None:
    """Call the open dimensions what a reader of the file would call them."""
    for value in (*model.graph.input, *model.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        names = {0: "N"} if spec.size else {0: "N", 2: "H", 3: "W"}
        for place, name in names.items():
            dimensions[place].dim_param = name


def _reason(error: Exception) -> str:
    """The cause of an exporter's failure, in one line."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__
