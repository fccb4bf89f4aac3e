"""The network on the GPU, engine by engine, and what follows it: parts of `bench.gpu`.

Input and output stay on the GPU, as in `forge predict`. This has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bench.gpu_parts import CannotRun, Part
from bench.predict_data import draw, write_network
from bench.programs import forge
from engines.base import LaneEngine
from kernels.cuda.device import Device

ENCODER, SIZE = "resnet18", 512
BATCHES = (1, 2, 4, 8, 16, 32)
STREAMS = (1, 2, 4, 8)
BATCH = 8
"""With which streams are compared."""


def checkpoint(work: Path) -> Path:
    """The network of all parts: a U-Net of seeded weights, see `bench.predict_data`."""
    weights = work / "unet.safetensors"
    if not weights.exists():
        write_network(weights, ENCODER, SIZE, draw(work / "few", 8))
    return weights


def engine_file(work: Path) -> Path:
    """The same as a TensorRT engine in FP16.

    Raises:
        CannotRun: TensorRT is missing, or does not build it.
    """
    from engines.tensorrt_library import installed

    if not installed():  # at once: to export the network first takes a while
        raise CannotRun("TensorRT is not installed")
    weights = checkpoint(work)
    built = sorted(work.glob("unet*.engine"))
    if not built:
        shapes = ["--batch", f"1,{BATCH},{max(BATCHES)}", "--size", f"64,{SIZE},{SIZE}"]
        try:
            forge("build-engine", weights, "--precision", "fp16", *shapes, "-o", work, "--force")
        except SystemExit as error:
            raise CannotRun(str(error)) from error
        built = sorted(work.glob("unet*.engine"))
        if not built:
            raise CannotRun("forge build-engine wrote no engine")
    return built[0]


def measure(part: Part) -> None:
    """Images a second of each engine, by batch and by streams."""
    from kernels.cuda.cupy_device import CupyDevice

    device: Any = CupyDevice()
    weights = checkpoint(part.work)
    batches = (1, BATCH) if part.quick else BATCHES
    streams = (1, 4) if part.quick else STREAMS
    for precision, some in (("fp32", (BATCH,)), ("fp16", batches)):
        label = f"torch {precision.upper()}"
        _attempt(part, label, partial(_torch, part, device, weights, precision, some))
    _attempt(part, "TensorRT FP16", lambda: _tensorrt(part, device, batches, streams))
    label = "torch FP16, streams"
    _attempt(part, label, lambda: _torch_streams(part, device, weights, streams))
    _attempt(part, "torch FP16, CUDA graph", lambda: _graph(part, weights))
    if not part.quick:
        _attempt(part, "torch FP16, compiled", lambda: _compiled(part, device, weights))


def _torch(part: Part, device: Device, weights: Path, precision: Any, batches: Any) -> None:
    engine = _torch_lanes(weights, 1, precision)
    for batch in batches:
        rate = images_per_second(device, engine, 1, batch)
        _add(part, f"torch {precision.upper()}, batch {batch}", rate)
    engine.close()


def _torch_streams(part: Part, device: Device, weights: Path, streams: Any) -> None:
    for lanes in streams:
        engine = _torch_lanes(weights, lanes, "fp16")
        rate = images_per_second(device, engine, lanes, BATCH)
        _add(part, f"torch FP16, {lanes} streams of batch {BATCH}", rate)
        engine.close()


def _compiled(part: Part, device: Device, weights: Path) -> None:
    engine = _torch_lanes(weights, 1, "fp16", compile=True)
    _add(part, f"torch FP16, compiled, batch {BATCH}", images_per_second(device, engine, 1, BATCH))
    engine.close()


def _torch_lanes(weights: Path, lanes: int, precision: Any, *, compile: bool = False) -> LaneEngine:
    from engines.torch_lanes import TorchLanes
    from forgecli.segment.checkpoint import load_checkpoint

    network, _ = load_checkpoint(weights)
    return TorchLanes(
        network, lanes=lanes, largest=max(BATCHES), precision=precision, compile=compile
    )


def _graph(part: Part, weights: Path) -> None:
    """The network as one recorded graph, which takes the host's launches away."""
    import torch

    from forgecli.segment.checkpoint import load_checkpoint

    network, _ = load_checkpoint(weights)
    network = network.cuda().to(memory_format=torch.channels_last).eval()
    images = torch.rand(BATCH, 3, SIZE, SIZE, device="cuda")
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cuda", torch.float16, cache_enabled=False):
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                network(images)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            network(images)

    def turn(times: int) -> float:
        started = perf_counter()
        for _ in range(times):
            graph.replay()
        torch.cuda.synchronize()
        return perf_counter() - started

    _add(part, f"torch FP16, CUDA graph, batch {BATCH}", repeated(turn, BATCH))


def _tensorrt(part: Part, device: Device, batches: Any, streams: Any) -> None:
    from engines.tensorrt import TensorRtLanes
    from forgecli.segment.checkpoint import read_card
    from forgecli.segment.onnx_file import spec_of

    file = engine_file(part.work)
    spec = spec_of(read_card(file), file)
    for graphs in (False, True):
        also = " with graphs" if graphs else ""
        engine = TensorRtLanes(file, spec, lanes=max(streams), graphs=graphs)
        for batch in batches:
            rate = images_per_second(device, engine, 1, batch)
            _add(part, f"TensorRT FP16{also}, batch {batch}", rate)
        for lanes in streams:
            rate = images_per_second(device, engine, lanes, BATCH)
            _add(part, f"TensorRT FP16{also}, {lanes} streams of batch {BATCH}", rate)
        engine.close()


def images_per_second(
    device: Device, engine: LaneEngine, lanes: int, batch: int, *, size: int = SIZE
) -> float:
    """Batches given to the lanes in turn; the host waits at the end only."""
    shape = (batch, engine.spec.channels, size, size)
    outputs = 4 * batch * engine.spec.outputs * size * size
    streams = [device.stream() for _ in range(lanes)]
    inputs = [device.allocate(4 * int(np.prod(shape))) for _ in range(lanes)]
    logits = [device.allocate(outputs) for _ in range(lanes)]
    for buffer, stream in zip(inputs, streams, strict=True):
        device.fill(buffer, 0, stream)

    def turn(times: int) -> float:
        started = perf_counter()
        for number in range(times):
            lane = number % lanes
            engine.enqueue(lane, inputs[lane].pointer, logits[lane].pointer, shape,
                           streams[lane].handle)  # fmt: skip
        for stream in streams:
            device.event(stream).wait()
        return perf_counter() - started

    return repeated(turn, batch, least=lanes)


def repeated(
    turn: Callable[[int], float], images: int, *, least: int = 1, seconds: float = 1.0
) -> float:
    """Images a second: the best of three turns of about so long, after two to get warm.

    Args:
        turn: does its work so many times; seconds.
        images: of one time.
        least: how many times at least.
    """
    turn(2 * least)
    once = turn(2 * least) / (2 * least)
    times = max(2 * least, round(seconds / 3 / max(once, 1e-6)))
    return max(images * times / turn(times) for _ in range(3))


def finishing(part: Part) -> None:
    """Enlarging, threshold, components and runs of pictures of 1 Mpx, against the engine's time."""
    from kernels.cuda.batch import table_of
    from kernels.cuda.cupy_device import CupyDevice
    from kernels.cuda.finish import Finisher

    device: Any = CupyDevice()
    stream = device.stream()
    for side in (1024,) if part.quick else (1024, 2048):
        maps = drawn_maps(BATCH, SIZE)
        logits = device.allocate(maps.nbytes)
        device.upload(maps, logits, stream)
        table = table_of([(side, side)] * BATCH, [(SIZE, SIZE)] * BATCH)
        table["rank"] = int(0.999 * side * side)
        finisher = Finisher(device, images=BATCH, pixels=BATCH * side * side)

        def turn(
            times: int, finisher: Any = finisher, logits: Any = logits, table: Any = table
        ) -> float:
            started = perf_counter()
            for _ in range(times):
                ticket = finisher.enqueue(stream, logits, (BATCH, 1, SIZE, SIZE), table)
                ticket.wait()
                ticket.results()
            return perf_counter() - started

        rate = repeated(turn, BATCH)
        best = part.known("engines", "images_per_second")
        share = f", {best / rate:.0%} of the best engine's time" if best else ""
        part.add(f"finishing {side} x {side}", f"{1e6 / rate:.0f} us an image{share}",
                 finished_per_second=rate, of_engine=best / rate if best else None)  # fmt: skip


def drawn_maps(count: int, size: int) -> Any:
    """float32 (N, 1, h, w): logits of a few blobs, 5 % of the pixels or so."""
    import cv2

    rng = np.random.default_rng(0)
    maps = rng.normal(size=(count, 1, size // 32, size // 32)).astype(np.float32)
    large = [cv2.resize(each[0], (size, size), interpolation=cv2.INTER_CUBIC) for each in maps]
    stacked = np.stack(large)[:, None]
    return np.ascontiguousarray(8 * (stacked - np.quantile(stacked, 0.95)), np.float32)


def _add(part: Part, label: str, rate: float) -> None:
    part.add(label, f"{rate:.0f} images/s", images_per_second=rate)


def _attempt(part: Part, label: str, measure: Callable[[], None]) -> None:
    """One engine that fails costs no other."""
    try:
        measure()
    except Exception as error:  # noqa: BLE001 - whatever the library raises is told
        part.lacks(label, error)
