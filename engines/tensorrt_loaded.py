"""An engine file in the GPU's memory, and the shapes that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engines.base import Spec
from engines.tensorrt_build import INPUT, OUTPUT
from engines.tensorrt_library import (
    REBUILD,
    Flavor,
    Library,
    Said,
    TensorRtError,
    failure,
    library,
    shown_shape,
)

Shape = tuple[int, int, int, int]
"""(N, C, H, W)."""

_RTX_MAGIC = b"vtrt"
"""How plans of TensorRT for RTX begin."""

_INVALID = (
    ("VERSION_MISMATCH", "it was built by another version of TensorRT for RTX", REBUILD),
    ("UNSUPPORTED_CC", "it was built for another GPU", REBUILD),
    ("MALFORMED_ENGINE", "it is not an engine of TensorRT for RTX, or it is damaged", REBUILD),
    ("OLD_CUDA_DRIVER", "the NVIDIA driver is too old", "update it, and see forge doctor"),
    ("OLD_CUDA_RUNTIME", "the CUDA runtime is too old", "update it, and see forge doctor"),
    ("INSUFFICIENT_GPU_MEMORY", "the GPU's memory does not suffice",
     "build it with a smaller batch or size, or stop what else uses the GPU"),
    ("CUDA_ERROR", "the NVIDIA driver does not work", "see forge doctor"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """The shapes that an engine was built for: from `least` to `most`, each dimension by itself."""

    least: Shape
    best: Shape
    most: Shape

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether a shape lies within it."""
        return len(shape) == 4 and all(
            low <= side <= high
            for low, side, high in zip(self.least, shape, self.most, strict=True)
        )

    def __str__(self) -> str:
        return f"{shown_shape(self.least)} to {shown_shape(self.most)}"


class Loaded:
    """A deserialised plan. Make it while its GPU is current.

    Args:
        plan: the file, or its bytes.
        spec: of the network. What the engine itself says must agree with it.
        device: that it is loaded on, for `spec`.
        given: the library; None: that of `flavor`.
        flavor: ``auto``: what the plan looks like.

    Attributes:
        spec: with `device`, and with `size` where the engine takes one size only.
        profiles: in the engine's order; at least one.
        said: what the library says from now on.

    Raises:
        ImportError: the library is not installed; the message names the extra.
        TensorRtError: the plan cannot be read or loaded, and why.
        ValueError: it is an engine of another network than `spec` says.
    """

    def __init__(
        self,
        plan: Path | bytes,
        spec: Spec,
        *,
        device: str,
        given: Library | None = None,
        flavor: Flavor | Literal["auto"] = "auto",
    ) -> None:
        data = _read(plan)
        if flavor == "auto":
            flavor = "rtx" if data.startswith(_RTX_MAGIC) else "tensorrt"
        self.library = library(flavor) if given is None else given
        self.said = self.library.listen()
        # Engines use the runtime that made them, and want to be freed before it.
        self._runtime = self.library.module.Runtime(self.library.logger)
        self.engine: Any = _deserialised(self.library, self._runtime, data, self.said)
        self._check_tensors(spec)
        self.profiles = tuple(
            Profile(*(_shape(s) for s in self.engine.get_tensor_profile_shape(INPUT, index)))
            for index in range(self.engine.num_optimization_profiles)
        )
        sizes = {size[2:] for p in self.profiles for size in (p.least, p.most)}
        only = next(iter(sizes)) if len(sizes) == 1 else None
        if spec.size is not None and not any(
            p.takes((p.best[0], p.best[1], *spec.size)) for p in self.profiles
        ):
            raise ValueError(
                f"the engine is for {self.shapes()}, and the network takes {spec.size} only"
            )
        self.spec = replace(spec, device=device, size=spec.size or only)

    def profile_for(self, shape: Sequence[int], active: int) -> int:
        """The profile that takes a shape: the active one if it does, else the smallest.

        Raises:
            ValueError: none does.
        """
        if 0 <= active < len(self.profiles) and self.profiles[active].takes(shape):
            return active
        taking = [i for i, profile in enumerate(self.profiles) if profile.takes(shape)]
        if not taking:
            raise ValueError(
                f"this engine takes images of {self.shapes()}. Got: {shown_shape(shape)}"
            )
        return min(taking, key=lambda index: _volume(self.profiles[index].most))

    def batches(self, channels: int, height: int, width: int) -> tuple[int, int]:
        """How many images of a size it takes at once: at least, at most.

        Raises:
            ValueError: none.
        """
        ranges = [
            (p.least[0], p.most[0])
            for p in self.profiles
            if p.takes((p.best[0], channels, height, width))
        ]
        if not ranges:
            raise ValueError(
                f"this engine takes images of {self.shapes()}. "
                f"Got: {shown_shape((channels, height, width))}"
            )
        return max(ranges, key=lambda least_most: least_most[1])

    def shapes(self) -> str:
        """What it takes, for people."""
        return " or ".join(str(profile) for profile in self.profiles)

    def close(self) -> None:
        """Free it. All of its contexts must be gone."""
        self.engine = None
        self._runtime = None

    def _check_tensors(self, spec: Spec) -> None:
        trt, engine = self.library.module, self.engine
        names = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
        if names != {INPUT, OUTPUT}:
            raise ValueError(
                f"the engine has the tensors {', '.join(sorted(names))}; forge's have {INPUT} and "
                f"{OUTPUT}; {REBUILD}"
            )
        for name, mode, channels, what in (
            (INPUT, trt.TensorIOMode.INPUT, spec.channels, "input"),
            (OUTPUT, trt.TensorIOMode.OUTPUT, spec.outputs, "output"),
        ):
            shape = tuple(engine.get_tensor_shape(name))
            kind = engine.get_tensor_dtype(name)
            if engine.get_tensor_mode(name) != mode or kind != trt.DataType.FLOAT:
                raise ValueError(f"the engine's {name} is not a float32 {what}; {REBUILD}")
            if len(shape) != 4 or shape[1] not in (channels, -1):
                raise ValueError(
                    f"the engine's {name} has the shape {shown_shape(shape)}, and the network has "
                    f"{channels} channels there: it is an engine of another network"
                )


def _read(plan: Path | bytes) -> bytes:
    if isinstance(plan, bytes):
        data, name = plan, "the engine"
    else:
        name = str(plan)
        try:
            data = plan.read_bytes()
        except OSError as error:
            raise TensorRtError(f"{name} cannot be read: {error.strerror or error}.") from error
    if not data:
        raise TensorRtError(f"{name} is empty.", REBUILD)
    return data


def _deserialised(found: Library, runtime: Any, plan: bytes, said: Said) -> Any:
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is not None:
        return engine
    doing = f"{found} cannot load the engine"
    if found.flavor == "rtx":
        known = found.module.EngineInvalidityDiagnostics
        _, reasons = runtime.get_engine_validity(plan)
        for name, what, mend in _INVALID:
            if int(reasons) & int(getattr(known, name)):
                raise TensorRtError(f"{doing}: {what}.", mend)
    raise failure(doing, said, REBUILD)


def _shape(dimensions: Sequence[int]) -> Shape:
    count, channels, height, width = (int(side) for side in dimensions)
    return count, channels, height, width


def _volume(shape: Shape) -> int:
    count, channels, height, width = shape
    return count * channels * height * width
