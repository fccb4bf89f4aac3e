"""A file of a network behind the engine that runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from engines.base import Engine, Precision, Spec
from forgecli.cores import threads_here
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import Card, load_checkpoint, read_card
from forgecli.segment.compiled import compiled_networks
from forgecli.segment.onnx_file import read_onnx_card, spec_of
from forgecli.segment.plan import SegmentPlan, engine_of

Note = Callable[[str], None]
Flavor = Literal["auto", "tensorrt", "rtx"]


def open_engine(
    weights: Path,
    *,
    device: str = "cpu",
    precision: Precision = "fp32",
    note: Note | None = None,
    compile: bool = False,
    graphs: bool = False,
    usual: tuple[int, int] | None = None,
    sha256: str | None = None,
    at_once: int = 1,
) -> tuple[Engine, Card]:
    """A network's file behind its engine, and its card.

    OpenVINO takes `forgecli.cores.threads_here` threads for a picture, as the other libraries do.

    Args:
        weights: ``.safetensors`` (PyTorch), ``.onnx`` (OpenVINO) or ``.engine`` (TensorRT).
        device: as torch names it; see `forgecli.segment.plan.SegmentPlan`, which settles it.
        precision: of the arithmetic.
        note: told when the device's memory made the batch smaller.
        compile, graphs: see `forgecli.segment.settings.SegmentSettings`.
        usual: H and W of most inputs, see `engines.openvino.OpenVinoEngine`.
        sha256: of the file: what OpenVINO compiles is kept under this name. None keeps nothing.
        at_once: pictures that threads of this process bring at the same time; for OpenVINO.

    Raises:
        UsageError: a file is missing, or the extra that its engine needs, or the processor does not
            have this precision.
        ForgeError: the files are damaged, or the device does not take the network.
    """
    engine = engine_of(weights)
    if engine == "torch":
        return _torch(weights, device, precision, note, compile, graphs)
    if engine == "openvino":
        card = read_onnx_card(weights)
        spec = spec_of(card, weights)
        return _openvino(weights, spec, precision, usual, sha256, at_once), card
    card = read_card(weights)
    return _tensorrt(weights, spec_of(card, weights), device, graphs, flavor_of(card)), card


def open_planned(plan: SegmentPlan, note: Note | None = None, at_once: int = 1) -> Engine:
    """The engine of a plan. Takes and raises what `open_engine` does."""
    engine, _ = open_engine(
        plan.weights,
        device=plan.device,
        precision=plan.precision,
        note=note,
        compile=plan.compile,
        graphs=plan.graphs,
        usual=plan.usual,
        sha256=plan.sha256,
        at_once=at_once,
    )
    return engine


def _torch(
    weights: Path, device: str, precision: Precision, note: Note | None, compile: bool, graphs: bool
) -> tuple[Engine, Card]:
    network, card = load_checkpoint(weights)
    from engines.torch import TorchEngine

    try:
        engine = TorchEngine(
            network, device=device, precision=precision, note=note, own=True,
            compile=compile, graphs=graphs,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise ForgeError(f"the network cannot be put on {device}: {first}", file=weights) from error
    return engine, card


def _openvino(
    weights: Path,
    spec: Spec,
    precision: Precision,
    usual: tuple[int, int] | None,
    sha256: str | None,
    at_once: int,
) -> Engine:
    from engines.openvino import OpenVinoEngine, UnknownPrecision

    threads = threads_here(at_once)
    try:
        return OpenVinoEngine(
            weights,
            spec,
            precision=precision,
            mode="throughput" if at_once > 1 else "latency",
            threads=threads,
            streams=min(at_once, threads),
            usual=usual,
            cache=None if sha256 is None else compiled_networks(sha256),
        )
    except ImportError as error:
        raise UsageError(
            f"an .onnx needs OpenVINO, which cannot be imported: {error}.",
            mend="pip install openvino",
        ) from error
    except UnknownPrecision as error:
        raise UsageError(f"{error}.", file=weights, mend="take another --precision") from error
    except ValueError as error:
        raise ForgeError(
            f"{error}.",
            file=weights,
            mend="export the checkpoint again with forge build-engine --onnx-only",
        ) from error


def flavor_of(card: Card) -> Flavor:
    """Which TensorRT an engine was built with; ``auto`` where its card does not say."""
    facts: Any = card.built.get("engine")
    flavor = facts.get("flavor") if isinstance(facts, dict) else None
    return flavor if flavor in ("tensorrt", "rtx") else "auto"


def _tensorrt(weights: Path, spec: Spec, device: str, graphs: bool, flavor: Flavor) -> Engine:
    try:
        from engines.tensorrt import TensorRtEngine

        return TensorRtEngine(weights, spec, device=device, graphs=graphs, flavor=flavor)
    except ImportError as error:
        raise UsageError(
            f"an .engine needs TensorRT and CuPy: {error}",
            mend="pip install 'forgecli[gpu]', or 'forgecli[gpu-rtx]' on RTX cards",
        ) from error
    except (RuntimeError, ValueError, OSError) as error:
        raise ForgeError(
            f"cannot be run on {device}: {error}",
            file=weights,
            mend="build it again on this machine: forge build-engine CHECKPOINT",
        ) from error
