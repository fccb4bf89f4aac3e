"""OpenVINO: ONNX on the CPU, several times as fast as torch, and without torch."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Condition
from typing import Any, Literal

import numpy as np

from engines.base import Engine, Images, Logits, Precision, Spec

Mode = Literal["latency", "throughput"]

_HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES: dict[str, Precision] = {
    "FP32": "fp32",
    "BF16": "bf16",
    "FP16": "fp16",
    "INT8": "int8",
}


class UnknownPrecision(ValueError):
    """The processor does not have a precision."""


class OpenVinoEngine(Engine):
    """Runs an ONNX file on the CPU.

    The arithmetic is what `precision` says: left alone, OpenVINO takes bfloat16 on processors that
    have it, and logits move by a tenth without a word.

    H and W stay open in the compiled model. A model for one size is faster, by a tenth in float32
    and a quarter in INT8 at most, but each takes a compilation and a copy of the weights, and its
    last digits differ. So there is one for `usual`, and never one for sizes that happened to be
    frequent: an image would be judged by which others came before.

    Several threads may call `infer` at the same time: in ``throughput`` each has a request of its
    own while it waits, and the network works on as many pictures as there are requests.

    Args:
        model: the ONNX file, or its bytes.
        spec: of the network; `device` and `precision` are replaced.
        precision: ``bf16`` and ``fp16`` need a processor that has them; ``int8`` a file whose
            weights are quantised, the rest of which is float32.
        mode: ``latency``: all threads work on one picture. ``throughput``: the pictures of a batch
            are shared out to `streams`, each with its share of the threads. A batch of one picture
            is the same in both.
        threads: of the processor; 0 for all.
        streams: pictures at work at the same time in ``throughput``; 0 leaves it to OpenVINO.
        usual: H and W for which a model of its own is compiled; its pictures go one by one.
        cache: folder for compiled models, so that the next start is faster; None for none.
            OpenVINO names its files by model, settings, processor and version.

    Attributes:
        requests: pictures at work at the same time.

    Raises:
        UnknownPrecision: the processor does not have it; the message lists what it has.
        ValueError: OpenVINO cannot read or compile the model, or its input or output is not what
            `spec` says.
        ModuleNotFoundError: openvino is not installed.
    """

    def __init__(
        self,
        model: Path | bytes,
        spec: Spec,
        *,
        precision: Precision = "fp32",
        mode: Mode = "latency",
        threads: int = 0,
        streams: int = 0,
        usual: tuple[int, int] | None = None,
        cache: Path | None = None,
    ) -> None:
        core = the_core()
        there = precisions()
        if precision not in there:
            raise UnknownPrecision(f"this processor has no {precision}; it has {', '.join(there)}")
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": mode.upper(),
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            # Each of several processes would pin its threads to the same first cores.
            "ENABLE_CPU_PINNING": False,
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        if streams and mode == "throughput":
            settings["NUM_STREAMS"] = str(streams)
        try:
            read = core.read_model(str(model) if isinstance(model, Path) else model)
            _check(read, spec)
            compiled = [_compiled(core, read, settings, cache)]
            if usual is not None:
                read.reshape([1, spec.channels, *usual])
                compiled.append(_compiled(core, read, settings, cache))
        except RuntimeError as error:
            raise ValueError(f"OpenVINO cannot use the model: {_reason(error)}") from error
        self.spec = replace(spec, device="cpu", precision=precision)
        self.requests = 1
        if mode == "throughput":
            best = int(compiled[0].get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            self.requests = streams or best
        self._open = _Requests(compiled[0], self.requests)
        self._fixed = _Requests(compiled[1], self.requests) if usual else None
        self._usual = usual

    def _infer(self, images: Images) -> Logits:
        """Picture by picture, so that none is computed otherwise for those beside it."""
        requests = self._fixed if images.shape[2:] == self._usual else None
        requests = requests or self._open
        logits = np.empty((len(images), self.spec.outputs, *images.shape[2:]), np.float32)
        running: deque[tuple[Any, int]] = deque()
        place = 0
        try:
            while place < len(images) or running:
                request = None
                if place < len(images):  # with some under way, others need not be waited for
                    request = requests.take(wait=not running)
                if request is not None:
                    running.append((request, place))
                    request.start_async([images[place : place + 1]], share_inputs=True)
                    place += 1
                    continue
                request, done = running[0]
                request.wait()
                logits[done] = request.get_output_tensor(0).data[0]
                requests.give(running.popleft()[0])
        finally:  # what is under way still reads the pictures
            for request, _ in running:
                with suppress(RuntimeError):
                    request.wait()
                requests.give(request)
        return logits

    def close(self) -> None:
        """Free the compiled models."""
        self._open.close()
        if self._fixed is not None:
            self._fixed.close()


class _Requests:
    """The requests of a compiled model, each with one thread at a time."""

    def __init__(self, compiled: Any, count: int) -> None:
        self._free = [compiled.create_infer_request() for _ in range(count)]
        self._closed = False
        self._changed = Condition()

    def take(self, *, wait: bool) -> Any:
        """One that is free, for `give` to bring back.

        Args:
            wait: until there is one; else None where there is none.

        Raises:
            ValueError: the engine is closed.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._free or self._closed)
            if self._closed:
                raise ValueError("the engine is closed")
            return self._free.pop() if self._free else None

    def give(self, request: Any) -> None:
        """Nobody uses it any more."""
        with self._changed:
            if not self._closed:
                self._free.append(request)
            self._changed.notify()

    def close(self) -> None:
        """Free them; those at work are freed by who has them."""
        with self._changed:
            self._closed = True
            self._free.clear()
            self._changed.notify_all()


def silent_openvino() -> Any:
    """The module openvino, which sends nothing anywhere.

    By itself it reports that it was imported, and which models it converts, and no variable of the
    environment keeps it from that. Without the package that sends, it does not; nor does NNCF.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


@cache
def the_core() -> Any:
    """The one `openvino.Core` of this process, kept until it ends.

    A core gives the thread that first uses it a stack for signals, and takes it away in the end.
    When the older of two goes first, the younger puts the older's stack back, which is no more: the
    next signal, a Ctrl-C for one, is then a segmentation fault (seen in 2026.4).
    """
    return silent_openvino().Core()


def precisions() -> tuple[Precision, ...]:
    """What this processor computes in."""
    has = the_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for theirs, name in _CAPABILITIES.items() if theirs in has)


def _check(model: Any, spec: Spec) -> None:
    """Whether a model takes and gives what the spec says.

    Raises:
        ValueError: it does not, and how.
    """
    size = spec.size or (None, None)
    sides: tuple[tuple[str, Any, tuple[int | None, ...]], ...] = (
        ("input", model.inputs, (None, spec.channels, *size)),
        ("output", model.outputs, (None, spec.outputs, *size)),
    )
    for side, ports, expected in sides:
        if len(ports) != 1:
            raise ValueError(f"the model is to have one {side}. Got: {len(ports)}")
        kind, shape = ports[0].element_type.get_type_name(), ports[0].partial_shape
        fits = kind == "f32" and not shape.rank.is_dynamic and len(shape) == 4
        if not fits or not all(map(_fits, shape, expected)):
            wanted = ", ".join("?" if length is None else str(length) for length in expected)
            raise ValueError(
                f"the model's {side} is to be f32 [{wanted}]. Got: {kind} {shape.to_string()}"
            )


def _fits(found: Any, expected: int | None) -> bool:
    """Whether a dimension of the model may be what is expected; None: it has to be open."""
    if expected is None:
        return bool(found.is_dynamic)
    return bool(found.is_dynamic or found.get_length() == expected)


def _compiled(core: Any, model: Any, settings: dict[str, Any], cache: Path | None) -> Any:
    if cache is not None:
        # A full disk is no reason not to work.
        with suppress(RuntimeError):
            return core.compile_model(model, "CPU", {**settings, "CACHE_DIR": str(cache)})
    return core.compile_model(model, "CPU", settings)


def _reason(error: RuntimeError) -> str:
    """The last line of OpenVINO's message: those before it are places in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].lstrip("- ").rstrip(".") if lines else type(error).__name__
