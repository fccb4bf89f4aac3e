"""An engine from an ONNX file, with the data-centre TensorRT or with TensorRT for RTX.

Building with TensorRT for RTX needs no GPU and is tested. Building with the data-centre library
follows the same interface and has not run on a GPU.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.tensorrt_layers import layers_of
from engines.tensorrt_library import (
    Flavor,
    Library,
    Said,
    TensorRtError,
    failure,
    gpu_capability,
    library,
    plain,
    shown_capability,
    shown_shape,
)
from engines.tensorrt_progress import Progress, Watch
from engines.timing_cache import attach, keep

INPUT, OUTPUT = "images", "logits"

OLDEST = 80
"""Compute capability, times ten, from which one engine serves several. NVIDIA advises against
engines that serve Turing (75) beside later ones: it costs those speed."""

Size = tuple[int, int]
"""H and W."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an engine is built.

    Attributes:
        batch: images at once: at least, for which it is optimised, at most.
        size: H and W: likewise.
        precision: of the ONNX file, for the record: TensorRT takes it as it is.
        flavor: which TensorRT; ``auto``: the data-centre library where both are installed.
        capabilities: compute capabilities, times ten, that the engine is to run on; empty: the GPU
            of this machine, or for RTX without one all that the library names, from `OLDEST` on.
        optimisation: 0 (built fast) to 5 (runs fast); None: the library's default.
        timing_cache: file with the timings of former builds, which is read and written.

    Raises:
        ValueError: a range that is none.
    """

    batch: tuple[int, int, int]
    size: tuple[Size, Size, Size]
    precision: Literal["fp16", "fp32"]
    flavor: Flavor | Literal["auto"] = "auto"
    capabilities: tuple[int, ...] = ()
    optimisation: int | None = None
    timing_cache: Path | None = None

    def __post_init__(self) -> None:
        heights, widths = zip(*self.size, strict=True)
        for what, (least, best, most) in (
            ("batch", self.batch),
            ("height", heights),
            ("width", widths),
        ):
            if not 1 <= least <= best <= most:
                raise ValueError(
                    f"a {what} is at least 1, and MIN <= OPT <= MAX. Got: {least}, {best}, {most}"
                )
        if self.optimisation is not None and not 0 <= self.optimisation <= 5:
            raise ValueError(f"optimisation is 0 to 5. Got: {self.optimisation}")


@dataclass(frozen=True, slots=True)
class Built:
    """An engine.

    Attributes:
        plan: what goes into the ``.engine`` file, as it is.
        facts: for the JSON file beside it, plain JSON values: ``flavor``, ``version``,
            ``capabilities``, ``precision``, ``profile`` (``batch`` and ``size`` as in the options),
            ``optimisation``, ``inputs`` and ``outputs`` (``name``, ``shape``, ``dtype``; -1 is
            dynamic), ``plan_bytes``, ``plan_sha256``, ``onnx_sha256``, ``seconds``.
        layers: one line per layer; the first line says whose.
        notes: sentences for the user: what was not done as asked, and the library's warnings.
    """

    plan: bytes
    facts: dict[str, Any]
    layers: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Target:
    library: Library
    capabilities: tuple[int, ...]
    current: bool  # the GPU of this machine, which the library does not name


def planned(options: BuildOptions) -> dict[str, Any]:
    """``flavor``, ``version`` and ``capabilities`` of the engine that `build_engine` would make.

    Raises:
        ImportError: as `build_engine`.
        TensorRtError: as `build_engine`.
    """
    target = _target(options)
    return {
        "flavor": target.library.flavor,
        "version": target.library.version,
        "capabilities": list(target.capabilities),
    }


def build_engine(onnx: bytes, options: BuildOptions, *, progress: Progress | None = None) -> Built:
    """Build an engine. Ctrl-C stops it between two steps.

    Args:
        onnx: the file: one input ``images`` float32 (N, C, H, W), one output ``logits`` float32
            (N, K, H, W), weights inside.
        options: see there. Where a dimension of the network is fixed, they have to agree with it.
        progress: see `Progress`; may be called from several threads.

    Raises:
        ImportError: TensorRT is not installed; the message names the extra.
        TensorRtError: it cannot be built, and why.
        KeyboardInterrupt: it was stopped.
    """
    began = time.perf_counter()
    target = _target(options)
    trt, logger, said = target.library.module, target.library.logger, target.library.listen()
    notes: list[str] = []
    builder = trt.Builder(logger)
    if builder is None:
        raise failure("the builder does not start", said)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)  # owns the weights: lives as long as the network
    _parse(parser, onnx, said)
    batch, size = _shapes(network, options)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # what is float32 is computed in float32
    if options.optimisation is not None:
        config.builder_optimization_level = options.optimisation
    _aim(config, target, said)
    profile = builder.create_optimization_profile()
    channels = int(network.get_input(0).shape[1])
    shapes = [(n, channels, *hw) for n, hw in zip(batch, size, strict=True)]
    profile.set_shape(INPUT, *shapes)
    if config.add_optimization_profile(profile) < 0:
        refused = ", ".join(map(shown_shape, shapes))
        raise failure(f"the shapes {refused} are refused", said)
    if options.timing_cache is not None:
        notes.append(attach(target.library, config, options.timing_cache))
    watch = Watch(target.library, progress)
    config.progress_monitor = watch.monitor
    with watch.interruptible():
        built = builder.build_serialized_network(network, config)
    if watch.error is not None:
        raise watch.error
    if built is None:
        raise failure("the engine cannot be built", said)
    plan = bytes(built)
    if options.timing_cache is not None:
        notes.append(keep(target.library, config, options.timing_cache))
    notes += [plain(warning) for warning in dict.fromkeys(said.warnings)]
    facts = {
        **planned(options),
        "precision": options.precision,
        "profile": {"batch": list(batch), "size": [list(hw) for hw in size]},
        "optimisation": int(config.builder_optimization_level),
        "inputs": [_tensor(network.get_input(0))],
        "outputs": [_tensor(network.get_output(0))],
        "plan_bytes": len(plan),
        "plan_sha256": hashlib.sha256(plan).hexdigest(),
        "onnx_sha256": hashlib.sha256(onnx).hexdigest(),
        "seconds": round(time.perf_counter() - began, 3),
    }
    layers = layers_of(target.library, network, plan, target.capabilities)
    return Built(plan, facts, layers, tuple(note for note in notes if note))


def _target(options: BuildOptions) -> _Target:
    found = library(options.flavor)
    here = gpu_capability()
    if found.flavor == "tensorrt":
        if here is None:
            raise TensorRtError(
                f"{found} builds an engine on the GPU that will run it, and here is none.",
                "build on that machine, or take --flavor rtx, which builds without a GPU",
            )
        if options.capabilities not in ((), (here,)):
            raise TensorRtError(
                f"{found} builds for the GPU of this machine only, compute capability "
                f"{shown_capability(here)}.",
                "leave out the capabilities",
            )
        return _Target(found, (here,), current=False)
    named = _named(found)
    asked = tuple(sorted(set(options.capabilities)))
    if unknown := [capability for capability in asked if capability not in named]:
        raise TensorRtError(
            f"{found} builds for no compute capability {shown_capability(unknown[0])}.",
            "it names " + ", ".join(map(shown_capability, named)),
        )
    if asked:
        return _Target(found, asked, current=False)
    if here is not None:
        return _Target(found, (here,), current=here not in named)
    return _Target(found, tuple(c for c in named if c >= OLDEST), current=False)


def _named(found: Library) -> list[int]:
    """Compute capabilities that a library for RTX knows by name, times ten."""
    members = found.module.ComputeCapability.__members__
    return sorted(int(name[2:]) for name in members if name[:2] == "SM" and name[2:].isdigit())


def _aim(config: Any, target: _Target, said: Said) -> None:
    """Say which GPUs the engine is for. The data-centre library takes this machine's."""
    if target.library.flavor == "tensorrt":
        return
    known = target.library.module.ComputeCapability
    wanted = [known.CURRENT] if target.current else [
        getattr(known, f"SM{capability}") for capability in target.capabilities
    ]  # fmt: skip
    config.num_compute_capabilities = len(wanted)
    for index, capability in enumerate(wanted):
        if not config.set_compute_capability(capability, index):
            raise failure(f"it cannot be built for {capability}", said)


def _parse(parser: Any, onnx: bytes, said: Said) -> None:
    if not onnx:
        raise TensorRtError("the ONNX file is empty.", "export it again")
    if parser.parse(onnx):
        return
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        if error.node_operator():
            lines = error.desc().splitlines()
            told = Said([line for line in lines if " " in line and "Invalid Node" not in line])
            raise failure(
                f"TensorRT cannot run the operator {error.node_operator()} of the layer "
                f"{error.node_name()}",
                told,
                "export the network again with this forge, or run its .onnx on the CPU",
            )
    raise failure("the ONNX file cannot be read", said, "export it again")


def _shapes(
    network: Any, options: BuildOptions
) -> tuple[tuple[int, int, int], tuple[Size, Size, Size]]:
    """The profile: as asked, if the network takes it."""
    names = [network.get_input(i).name for i in range(network.num_inputs)]
    given = [network.get_output(i).name for i in range(network.num_outputs)]
    tensors = [network.get_input(0), network.get_output(0)]
    if names != [INPUT] or given != [OUTPUT] or any(
        len(tensor.shape) != 4 or _tensor(tensor)["dtype"] != "float32" for tensor in tensors
    ):  # fmt: skip
        raise TensorRtError(
            f"the network takes {names} and gives {given}; forge's take {INPUT} and give {OUTPUT}, "
            "both float32 with four dimensions.",
            "export it with forge build-engine",
        )
    fixed = tuple(network.get_input(0).shape)
    heights, widths = zip(*options.size, strict=True)
    for what, asked, dimension in (
        ("batch", options.batch, fixed[0]),
        ("height", heights, fixed[2]),
        ("width", widths, fixed[3]),
    ):
        if dimension >= 0 and set(asked) != {dimension}:
            raise TensorRtError(
                f"the network takes a {what} of {dimension} only.",
                f"ask for {dimension},{dimension},{dimension}, or export it with another {what}",
            )
    if fixed[1] < 1:
        raise TensorRtError("the network's input channels are not known.", "export it again")
    return options.batch, options.size


def _tensor(tensor: Any) -> dict[str, Any]:
    return {
        "name": str(tensor.name),
        "shape": [int(side) for side in tensor.shape],
        "dtype": {"FLOAT": "float32", "HALF": "float16"}.get(
            tensor.dtype.name, tensor.dtype.name.lower()
        ),
    }
