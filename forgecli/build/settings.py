"""What a build can be told."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from forgecli.errors import UsageError

Size = tuple[int, int]
"""H and W, in pixels."""

OnnxPrecision = Literal["fp32", "fp16"]

ENGINE_ONLY = ("flavor", "batch", "size", "capability", "optimisation")
"""Settings that say nothing about the ONNX files."""

MOST_PIXELS = 8192
MOST_IMAGES = 1024


def _listed(value: Any) -> Any:
    """``1,8,16`` as the numbers it names; one number stands for all three."""
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, int):
        parts = [parts]
    return list(parts) * 3 if isinstance(parts, list | tuple) and len(parts) == 1 else parts


def _sizes(value: Any) -> Any:
    """``256,512,768x1024`` as three pairs of H and W."""
    parts = _listed(value)
    return [_size(part) for part in parts] if isinstance(parts, list | tuple) else parts


def _size(part: Any) -> Any:
    if isinstance(part, int):
        return part, part
    if isinstance(part, str):
        found = re.fullmatch(r"\s*(\d+)(?:\s*x\s*(\d+))?\s*", part)
        if not found:
            raise ValueError(f"{part!r} is not a size: write 512, or 384x512 for height x width")
        return int(found[1]), int(found[2] or found[1])
    return part


def _ascending(value: tuple[Any, ...]) -> tuple[Any, ...]:
    sides = list(zip(*value, strict=True)) if isinstance(value[0], tuple) else [value]
    if any(not least <= best <= most for least, best, most in sides):
        raise ValueError("MIN is to be at most OPT, and OPT at most MAX")
    return value


def _capabilities(value: Any) -> Any:
    """``8.6,12.0`` as (86, 120)."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    if not all(re.fullmatch(r"\d+\.\d", part) for part in parts):
        raise ValueError("compute capabilities are written as 8.9, with commas between several")
    return [int(part.replace(".", "")) for part in parts]


Images = Annotated[int, Field(ge=1, le=MOST_IMAGES)]
Side = Annotated[int, Field(ge=1, le=MOST_PIXELS)]
Batches = Annotated[
    tuple[Images, Images, Images], BeforeValidator(_listed), AfterValidator(_ascending)
]
Sizes = Annotated[
    tuple[tuple[Side, Side], tuple[Side, Side], tuple[Side, Side]],
    BeforeValidator(_sizes),
    AfterValidator(_ascending),
]


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """The table ``[build]``.

    Attributes:
        onnx_only: stop at the ONNX files.
        precision: ``fp16``: half precision in the graph, float32 where it has to stay. ``int8`` is
            for the CPU, and needs `check`.
        flavor: which TensorRT; ``auto``: the data-centre library where both are installed.
        batch: images at once that an engine takes: at least, for which it is made, at most.
        size: H and W likewise; None: up to what the checkpoint was trained for.
        capability: compute capabilities of the GPUs, times ten; empty: this machine's, or for RTX
            without a GPU all from 8.0 on.
        optimisation: of TensorRT, 0 (built fast) to 5 (runs fast); None: its default.
        timing_cache: file for TensorRT's timings; None: in the user's cache folder.
        check: a data set with masks, on which the precisions are compared by the metric.
        check_images: of it, at most, evenly spread; for ``int8`` those to calibrate with, and eight
            times as many to compare on.
        force: write even if a check fails.
        tolerance: how much of the metric INT8 may cost.
    """

    onnx_only: bool = False
    precision: Literal["fp16", "fp32", "int8"] = "fp16"
    flavor: Literal["auto", "tensorrt", "rtx"] = "auto"
    batch: Batches = (1, 8, 16)
    size: Sizes | None = None
    capability: Annotated[tuple[int, ...], BeforeValidator(_capabilities)] = ()
    optimisation: Annotated[int, Field(ge=0, le=5)] | None = None
    timing_cache: Path | None = None
    check: Path | None = None
    check_images: Annotated[int, Field(ge=1, le=100_000)] = 32
    force: bool = False
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.01

    @property
    def precisions(self) -> tuple[OnnxPrecision, ...]:
        """The ONNX files that it takes: FP32, which the others are made of, first."""
        return ("fp32", "fp16") if self.precision == "fp16" else ("fp32",)

    def refuse_idle(self, flags: Collection[str]) -> None:
        """Whether each option of the command line has something to do.

        A settings file may say more than one build needs; who types an option wants its effect.

        Args:
            flags: names of the fields that were given on the command line.

        Raises:
            UsageError: one has no effect, and why.
        """
        idle = [name for name in ENGINE_ONLY if name in flags] if self.onnx_only else []
        if idle:
            raise _idle(idle[0], "with --onnx-only no engine is built")
        if "tolerance" in flags and self.precision != "int8":
            raise _idle("tolerance", "it is the limit of --precision int8")
        if "check_images" in flags and self.check is None:
            raise _idle("check_images", "it counts the images of --check")
        if "check" in flags and self.precision == "fp32":
            raise _idle("check", "with --precision fp32 there is nothing to compare")


def _idle(name: str, why: str) -> UsageError:
    option = "--" + name.replace("_", "-")
    return UsageError(f"{option} has nothing to do: {why}.", mend=f"leave out {option}")
