"""The engine that runs ONNX on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.base import Precision, Spec
from engines.openvino import OpenVinoEngine, UnknownPrecision, precisions
from tests.segment.onnx_files import onnx_bytes

Array = NDArray[np.float32]

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(2, 3, 3, 3)).astype(np.float32)
SPEC = Spec(channels=3, multiple=4, outputs=2)


def images(count: int, height: int = 8, width: int = 12) -> Array:
    return np.random.default_rng(count).random((count, 3, height, width), np.float32)


def convolved(batch: Array, weights: Array = WEIGHTS, bias: float = 0.25) -> Array:
    """The sum over 3 x 3 pixels and channels, in float64."""
    padded = np.pad(batch.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = batch.shape[2:]
    total = np.full((len(batch), len(weights), height, width), bias)
    for row in range(3):
        for column in range(3):
            part = padded[:, :, row : row + height, column : column + width]
            total += np.einsum("nchw,kc->nkhw", part, weights[:, :, row, column])
    return np.asarray(total, np.float32)


def engine(**options: object) -> OpenVinoEngine:
    options = {"threads": 1, **options}
    return OpenVinoEngine(onnx_bytes(weights=WEIGHTS, bias=0.25), SPEC, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 12), (4, 4), (64, 32)])
@pytest.mark.parametrize("count", [1, 3])
def test_it_computes_what_the_file_says(shape: tuple[int, int], count: int) -> None:
    batch = images(count, *shape)
    found = engine().infer(batch)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, convolved(batch), atol=1e-5)


def test_sizes_may_change_from_batch_to_batch() -> None:
    one = engine()
    for number, shape in enumerate([(8, 12), (64, 64), (8, 8), (8, 12), (128, 4)]):
        batch = images(1 + number % 3, *shape)
        np.testing.assert_allclose(one.infer(batch), convolved(batch), atol=1e-5)


def test_logits_are_not_overwritten_by_the_next_batch() -> None:
    one = engine()
    first = one.infer(images(1))
    before = first.copy()
    one.infer(images(1) + 1)
    assert np.array_equal(first, before)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_pictures_shared_out_come_back_in_their_places(count: int) -> None:
    shared = engine(mode="throughput", streams=3, threads=3)
    assert shared.requests == 3
    batch = images(count, 32, 32)
    for _ in range(3):
        np.testing.assert_allclose(shared.infer(batch), convolved(batch), atol=1e-5)
    shared.close()


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_a_usual_size_has_a_model_of_its_own(mode: str) -> None:
    one = engine(usual=(16, 16), mode=mode, streams=2)
    for count, shape in ((1, (16, 16)), (3, (16, 16)), (2, (16, 8)), (5, (16, 16)), (1, (8, 16))):
        batch = images(count, *shape)
        np.testing.assert_allclose(one.infer(batch), convolved(batch), atol=1e-5)
    before = one.infer(images(1, 16, 16))
    for _ in range(3):
        one.infer(images(2, 8, 8))
    assert np.array_equal(one.infer(images(1, 16, 16)), before)
    one.close()
    with pytest.raises(ValueError, match="closed"):
        one.infer(images(1, 16, 16))


def test_views_and_read_only_arrays_do() -> None:
    one = engine()
    flipped = images(2)[:, :, ::-1]
    frozen = flipped.copy()
    frozen.flags.writeable = False
    assert np.array_equal(one.infer(flipped), one.infer(frozen))
    np.testing.assert_allclose(one.infer(flipped), convolved(frozen), atol=1e-5)


def test_float32_is_not_replaced_by_something_faster() -> None:
    """Left alone, OpenVINO takes bfloat16 where the processor has it: 8 bits of 24."""
    weights = np.full((2, 3, 3, 3), 1 + 2**-12, np.float32)  # 1 in bfloat16
    one = OpenVinoEngine(onnx_bytes(weights=weights), SPEC, threads=1)
    batch = np.ones((1, 3, 8, 8), np.float32)
    assert one.infer(batch)[0, 0, 4, 4] == pytest.approx(27 * (1 + 2**-12), rel=1e-6)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_near(precision: Precision) -> None:
    if precision not in precisions():
        pytest.skip(f"this processor has no {precision}")
    batch = images(2, 32, 32)
    one = engine(precision=precision)
    assert one.spec.precision == precision
    np.testing.assert_allclose(one.infer(batch), convolved(batch), atol=0.1)


def test_a_precision_that_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.openvino.precisions", lambda: ("fp32", "int8"))
    with pytest.raises(UnknownPrecision, match="has no bf16; it has fp32, int8"):
        engine(precision="bf16")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Spec(channels=6, multiple=4, outputs=2), r"input is to be f32 \[\?, 6"),
        (Spec(channels=3, multiple=4, outputs=1), r"output is to be f32 \[\?, 1"),
    ],
)
def test_a_file_of_another_network_is_refused(spec: Spec, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        OpenVinoEngine(onnx_bytes(weights=WEIGHTS), spec)


def test_a_fixed_size_is_open_or_that_one() -> None:
    fixed = Spec(channels=3, multiple=4, outputs=2, size=(8, 12))
    for size in ((8, 12), None):
        one = OpenVinoEngine(onnx_bytes(weights=WEIGHTS, size=size), fixed, threads=1)
        np.testing.assert_allclose(one.infer(images(2)), convolved(images(2), bias=0.0), atol=1e-5)
        with pytest.raises(ValueError, match="only"):
            one.infer(images(1, 12, 8))
    with pytest.raises(ValueError, match="input"):
        OpenVinoEngine(onnx_bytes(weights=WEIGHTS, size=(16, 16)), fixed)
    with pytest.raises(ValueError, match="input"):
        OpenVinoEngine(onnx_bytes(weights=WEIGHTS, size=(16, 16)), SPEC)


@pytest.mark.parametrize("content", [b"", b"garbage", onnx_bytes()[:-40], b"\x08" * 1000])
def test_what_is_no_onnx_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    for model in (content, tmp_path / "a.onnx"):
        with pytest.raises(ValueError, match="OpenVINO cannot use the model: ") as raised:
            OpenVinoEngine(model, SPEC)
        assert "\n" not in str(raised.value) and "src/" not in str(raised.value)


def test_a_closed_engine_says_so() -> None:
    one = engine()
    one.close()
    with pytest.raises(ValueError, match="closed"):
        one.infer(images(1))


def test_compiled_networks_are_kept_and_told_apart(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    engine(cache=cache)
    kept = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert kept, "OpenVINO put something there"
    again = engine(cache=cache)
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == kept, "and read it"
    np.testing.assert_allclose(again.infer(images(1)), convolved(images(1)), atol=1e-5)
    changed = WEIGHTS.copy()
    changed[1, 2, 2, 2] += 1
    other = OpenVinoEngine(onnx_bytes(weights=changed, bias=0.25), SPEC, threads=1, cache=cache)
    np.testing.assert_allclose(other.infer(images(1)), convolved(images(1), changed), atol=1e-5)


def test_a_cache_that_cannot_be_used_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = engine(cache=tmp_path / "file" / "below")
    np.testing.assert_allclose(one.infer(images(1)), convolved(images(1)), atol=1e-5)
    cache = tmp_path / "cache"
    cache.mkdir()
    engine(cache=cache)
    for file in cache.iterdir():
        file.write_bytes(file.read_bytes()[:-20])
    found = engine(cache=cache).infer(images(1))
    np.testing.assert_allclose(found, convolved(images(1)), atol=1e-5)


CHILD = """
import sys
from pathlib import Path
from engines.base import Spec
from engines.openvino import OpenVinoEngine
import numpy as np
engine = OpenVinoEngine(Path(sys.argv[1]), Spec(multiple=4, outputs=2), threads=1)
engine.infer(np.zeros((1, 3, 8, 8), np.float32))
print(sorted(name for name in ("torch", "numba", "cv2", "onnx") if name in sys.modules))
print(sorted(name for name, module in sys.modules.items()
             if "telemetry" in name and module is not None and not name.startswith("openvino.")))
allowed = [line for task in Path("/proc/self/task").iterdir()
           for line in (task / "status").read_text().splitlines() if "Cpus_allowed_list" in line]
print(len(set(allowed)))
"""


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """It loads nothing heavy, sends nothing, leaves no file at home, and pins no thread."""
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(weights=WEIGHTS))
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "a.onnx")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    heavy, telemetry, masks = done.stdout.splitlines()
    assert heavy == "[]", "OpenVINO alone"
    assert telemetry == "[]", "nothing that could report"
    assert list(home.rglob("*")) == []
    assert masks == "1", "threads are free to run on all cores of the process"


TWO_ENGINES = """
import signal, sys
from pathlib import Path
from engines.base import Spec
from engines.openvino import OpenVinoEngine
engines = [OpenVinoEngine(Path(sys.argv[1]), Spec(multiple=4, outputs=2)) for _ in range(2)]
while engines:
    engines.pop(0).close()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""


def test_signals_are_heard_after_engines_are_closed(tmp_path: Path) -> None:
    """With a core for each engine, this is a segmentation fault."""
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(weights=WEIGHTS))
    done = subprocess.run(
        [sys.executable, "-c", TWO_ENGINES, str(tmp_path / "a.onnx")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


@pytest.mark.parametrize("usual", [None, (16, 16)])
def test_threads_may_ask_at_the_same_time(usual: tuple[int, int] | None) -> None:
    one = engine(mode="throughput", streams=2, threads=2, usual=usual)
    shapes = [(1, 16, 16), (3, 16, 16), (1, 8, 32), (2, 8, 8), (5, 12, 12)]
    batches = [images(count, *shape) for count, *shape in shapes * 8]
    with ThreadPoolExecutor(5) as executor:
        found = list(executor.map(one.infer, batches))
    for batch, logits in zip(batches, found, strict=True):
        np.testing.assert_allclose(logits, convolved(batch), atol=1e-5)


def test_who_waits_for_an_engine_that_is_closed_is_told() -> None:
    one = engine()
    assert one._open.take(wait=True) is not None and one._open.take(wait=False) is None
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(one.infer, images(1))
        one.close()
        with pytest.raises(ValueError, match="closed"):
            waiting.result(10)


def test_a_picture_is_computed_the_same_in_any_company() -> None:
    batch = images(5, 32, 32)
    for options in ({}, {"mode": "throughput", "streams": 2, "threads": 2}):
        one = engine(**options)
        together = one.infer(batch)
        for number in range(5):
            assert np.array_equal(one.infer(batch[number : number + 1])[0], together[number])
