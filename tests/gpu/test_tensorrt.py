"""TensorRT on a GPU: what test_tensorrt.py and test_tensorrt_build.py cannot see without one.

Run with the library for the GPU: ``pip install 'forgecli[dev,gpu]'`` (data centre) or
``'forgecli[dev]'`` (RTX), then ``pytest tests/gpu/test_tensorrt.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from engines.base import Spec
from engines.tensorrt import TensorRtEngine, TensorRtLanes
from engines.tensorrt_build import BuildOptions, Built, build_engine
from engines.tensorrt_layers import OF_THE_ENGINE
from engines.tensorrt_library import gpu_capability, installed, library
from tests.engines.tiny_onnx import network


def unfit() -> str:
    """Why no library that is installed is for this GPU; empty where one is, or nothing is."""
    here = gpu_capability()
    if here is None or installed() != ("rtx",):
        return ""
    names = library("rtx").module.ComputeCapability.__members__
    return "" if f"SM{here}" in names else f"TensorRT for RTX is not for this GPU, SM{here}"


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(gpu_capability() is None, reason="CuPy finds no CUDA device"),
    pytest.mark.skipif(bool(unfit()), reason=unfit() or "-"),
    pytest.mark.skipif(not installed(), reason="neither tensorrt nor tensorrt_rtx is installed"),
]

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
OPTIONS: dict[str, Any] = {"batch": (1, 2, 4), "size": ((32, 32), (64, 64), (128, 128))}


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def built(precision: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    cache = tmp_path_factory.mktemp("timings") / "timings"
    options = BuildOptions(**OPTIONS, precision=precision, timing_cache=cache)  # type: ignore[arg-type]
    return build_engine(network(half=precision == "fp16", outputs=2), options)


def spec(precision: str) -> Spec:
    return Spec(outputs=2, precision=precision)  # type: ignore[arg-type]


def images(count: int, height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3, height, width), np.float32)


def expected(batch: np.ndarray) -> np.ndarray:
    """The FP32 network on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(network(outputs=2), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": batch})
    return np.asarray(logits)


def in_lanes(lanes: TensorRtLanes, batches: list[np.ndarray], repeats: int = 1) -> list[np.ndarray]:
    """Each batch in its lane and stream, all under way before the first is waited for."""
    from kernels.cuda.cupy_device import CupyDevice

    device = CupyDevice(0)
    work = []
    for lane, batch in enumerate(batches):
        shape = (batch.shape[0], 2, *batch.shape[2:])
        size = 4 * int(np.prod(shape))
        sent, got, stream = device.allocate(batch.nbytes), device.allocate(size), device.stream()
        source, target = device.pinned(batch.nbytes), device.pinned(size)
        source[:] = batch.reshape(-1).view(np.uint8)
        device.upload(source, sent, stream)
        for _ in range(repeats):
            device.fill(got, 0xFF, stream)
            lanes.enqueue(lane, sent.pointer, got.pointer, batch.shape, stream.handle)
        device.download(got, target, stream)
        work.append((device.event(stream), target, shape, (sent, got, source)))
    found = []
    for event, target, shape, _ in work:
        event.wait()
        found.append(target.view(np.float32).reshape(shape).copy())
    return found


@pytest.mark.parametrize("graphs", [False, True])
def test_it_agrees_with_onnx_runtime(built: Built, precision: str, graphs: bool) -> None:
    engine = TensorRtEngine(built.plan, spec(precision), graphs=graphs)
    engine.warmup()
    for count, height, width in ((1, 32, 32), (4, 128, 96), (7, 64, 64), (7, 64, 64), (7, 64, 64)):
        batch = images(count, height, width)
        np.testing.assert_allclose(engine.infer(batch), expected(batch), atol=TOLERANCE[precision])
    engine.close()


def test_a_second_run_gives_the_same_bits(built: Built, precision: str) -> None:
    engine = TensorRtEngine(built.plan, spec(precision))
    first = engine.infer(images(4))
    for _ in range(3):
        assert np.array_equal(engine.infer(images(4)), first)
    again = TensorRtEngine(built.plan, spec(precision))
    assert np.array_equal(again.infer(images(4)), first)


@pytest.mark.parametrize("graphs", [False, True])
def test_lanes_give_what_single_runs_give(built: Built, precision: str, graphs: bool) -> None:
    engine = TensorRtEngine(built.plan, spec(precision))
    lanes = TensorRtLanes(built.plan, spec(precision), lanes=3, graphs=graphs)
    for sizes in ([(2, 64, 64)] * 3, [(4, 128, 128), (1, 32, 32), (3, 64, 96)], [(2, 64, 64)] * 3):
        batches = [images(*size) + lane for lane, size in enumerate(sizes)]
        single = [engine.infer(batch) for batch in batches]
        for found, alone in zip(in_lanes(lanes, batches, repeats=5), single, strict=True):
            assert np.array_equal(found, alone)
    lanes.close()
    lanes.close()


def test_wrong_shapes_are_refused(built: Built, precision: str) -> None:
    engine = TensorRtEngine(built.plan, spec(precision))
    for batch in (images(1, 160, 128), images(1, 128, 160)):
        with pytest.raises(ValueError, match="Got"):
            engine.infer(batch)
    lanes = TensorRtLanes(built.plan, spec(precision), lanes=1)
    with pytest.raises(ValueError, match="Got"):
        in_lanes(lanes, [images(5)])
    good = images(2)
    np.testing.assert_allclose(
        in_lanes(lanes, [good])[0], expected(good), atol=TOLERANCE[precision]
    )


def test_the_engines_own_layers_are_listed(built: Built) -> None:
    first, *lines = built.layers.splitlines()
    assert first == OF_THE_ENGINE and lines


def test_facts_name_this_gpu(built: Built) -> None:
    assert built.facts["capabilities"] == [gpu_capability()]


@pytest.mark.parametrize("damage", ["cut", "rubbish"])
def test_damaged_engines_are_refused(built: Built, damage: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.engine"
    file.write_bytes(built.plan[: len(built.plan) // 2] if damage == "cut" else b"rubbish" * 1000)
    with pytest.raises(RuntimeError, match="forge build-engine"):
        TensorRtEngine(file, spec("fp32"), flavor=built.facts["flavor"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simple-cnn", "unet"])
def test_a_network_gives_what_torch_gives(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from tests.engines.exported import exported

    network_, onnx = exported(name)
    shape = (1, network_.channels, 64, 64)
    size = ((64, 64),) * 3
    engine = TensorRtEngine(
        build_engine(onnx, BuildOptions((1, 1, 2), size, "fp32")).plan,
        Spec(channels=network_.channels, outputs=network_.outputs),
    )
    batch = np.random.default_rng(0).random(shape, np.float32)
    with torch.inference_mode():
        logits = network_(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(engine.infer(batch), logits, rtol=1e-3, atol=1e-3)
