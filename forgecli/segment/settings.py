"""What a user can ask of a network at prediction; what is left open, its checkpoint says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from engines.base import Precision
from forgecli.segment.forms import Tta
from forgecli.segment.preprocess import Preprocess, View
from forgecli.segment.thresholds import Pixels, Policy, Thresholds, Unit


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """The table ``[segment]``. None stands for what the checkpoint says.

    Attributes:
        engine: what runs the network; ``auto``: what suits the file.
        device: ``auto`` (a GPU if there is one that the engine can use), ``cpu``, ``cuda:0``,
            ``mps``.
        precision: of the arithmetic; ``auto``: what the file was made for, and of a checkpoint
            ``fp32``.
        compile: whether `torch.compile` makes kernels for the network; for torch on a GPU.
        graphs: whether a batch is one CUDA graph instead of many launches; for engines on a GPU.
        tta: forms of the picture whose logits are averaged; thresholds were tuned with one of them.
        batch: tiles and forms that go through the network at once, at most.
        pixel, min_area, quantile, gate, instances, fused_gate: see `Thresholds`.
        view, size, overlap: see `Preprocess`.
    """

    engine: Literal["auto", "torch", "openvino", "tensorrt"] = "auto"
    device: str = "auto"
    precision: Literal["auto"] | Precision = "auto"
    compile: bool = False
    graphs: bool = False
    tta: Tta = "none"
    batch: Annotated[int, Field(ge=1, le=1024)] = 8
    pixel: Unit | None = None
    min_area: Pixels | None = None
    quantile: Unit | None = None
    gate: Unit | None = None
    instances: Policy | None = None
    fused_gate: Unit | None = None
    view: View | None = None
    size: Annotated[int, Field(ge=32, le=8192)] | None = None
    overlap: Annotated[float, Field(ge=0, lt=0.9)] | None = None

    def thresholds(self, tuned: Thresholds) -> Thresholds:
        """The thresholds of a checkpoint with those of the user in their place."""
        names = ("pixel", "min_area", "quantile", "gate", "instances", "fused_gate")
        return replace(tuned, **self._given(names))

    def preprocess(self, trained: Preprocess) -> Preprocess:
        """How a checkpoint's network sees pictures, with what the user wants otherwise."""
        return replace(trained, **self._given(("view", "size", "overlap")))

    def _given(self, names: tuple[str, ...]) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}
