"""Running engines, on what stands for TensorRT and a GPU."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import Spec
from engines.tensorrt import TensorRtEngine, TensorRtLanes
from engines.tensorrt_gpu import number_of
from engines.tensorrt_lane import GRAPHS
from engines.tensorrt_library import TensorRtError, gpu_capability
from tests.engines.fake_tensorrt import FakeContext, FakeEngine, FakeGpu, fake_library, plan

SMALL = ((1, 3, 32, 32), (2, 3, 32, 64), (4, 3, 64, 64))
LARGE = ((1, 3, 32, 32), (2, 3, 128, 128), (2, 3, 128, 128))
FIXED = ((2, 3, 32, 32), (2, 3, 32, 32), (4, 3, 32, 32))


def images(count: int, height: int = 32, width: int = 64) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3, height, width), np.float32)


def expected(batch: np.ndarray, outputs: int = 1) -> np.ndarray:
    total = batch.sum(1, keepdims=True)
    return np.concatenate([(k + 1) * total for k in range(outputs)], 1)


def engine_of(data: bytes, gpu: FakeGpu | None = None, *, outputs: int = 1, flavor: Any = "rtx",
              graphs: bool = False) -> TensorRtEngine:  # fmt: skip
    gpu = gpu or FakeGpu()
    return TensorRtEngine(data, Spec(outputs=outputs), gpu=gpu, graphs=graphs,
                          library=fake_library(gpu, flavor))  # fmt: skip


class Lanes:
    """Lanes with what a user of them has: buffers and a stream each."""

    def __init__(self, data: bytes, count: int, *, flavor: Any = "tensorrt", graphs: bool = False,
                 outputs: int = 1) -> None:  # fmt: skip
        self.gpu = FakeGpu()
        self.library = fake_library(self.gpu, flavor)
        self.outputs = outputs
        self.lanes = TensorRtLanes(data, Spec(outputs=outputs), lanes=count, graphs=graphs,
                                   gpu=self.gpu, library=self.library)  # fmt: skip
        self.stream = self.gpu.memory.stream()
        self.buffers: dict[tuple[int, int], Any] = {}

    @property
    def engine(self) -> FakeEngine:
        return self.library.module.engines[0]

    @property
    def contexts(self) -> list[FakeContext]:
        return self.engine.contexts

    def run(self, lane: int, batch: np.ndarray, place: int = 0, stream: int = 7) -> np.ndarray:
        shape = (*batch.shape,)
        given = np.empty((shape[0], self.outputs, *shape[2:]), np.float32)
        if (lane, place) not in self.buffers:
            memory = self.gpu.memory
            self.buffers[lane, place] = memory.allocate(1 << 20), memory.allocate(1 << 20)
        sent, got = self.buffers[lane, place]
        self.gpu.memory.upload(batch, sent, self.stream)
        self.lanes.enqueue(lane, sent.pointer, got.pointer, shape, stream)
        self.gpu.memory.download(got, given, self.stream)
        return given


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 11), st.sampled_from([(32, 32), (32, 64), (64, 64)]), st.integers(1, 3))
def test_batches_of_any_length_give_what_the_network_gives(
    count: int, size: tuple[int, int], outputs: int
) -> None:
    batch = images(count, *size)
    for bounds in (SMALL, (*SMALL[:2], (3, 3, 64, 64)), ((2, 3, 32, 32), *SMALL[1:])):
        engine = engine_of(plan(bounds, outputs=outputs), outputs=outputs)
        found = engine.infer(batch)
        np.testing.assert_allclose(found, expected(batch, outputs), rtol=1e-6)
        assert found.flags.c_contiguous


def test_results_stay_when_the_engine_runs_again() -> None:
    engine = engine_of(plan(SMALL))
    first = engine.infer(images(2))
    kept = first.copy()
    engine.infer(images(3))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(
    "shape", [(1, 3, 96, 64), (1, 3, 64, 96), (1, 4, 32, 32), (1, 3, 40, 40), (0, 3, 32, 32)]
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    engine = engine_of(plan(SMALL))
    with pytest.raises(ValueError, match="Got"):
        engine.infer(np.zeros(shape, np.float32))


def test_what_it_takes_is_said() -> None:
    with pytest.raises(ValueError, match="1 x 3 x 32 x 32 to 4 x 3 x 64 x 64"):
        engine_of(plan(SMALL)).infer(np.zeros((1, 3, 96, 96), np.float32))


def test_the_warmup_runs_the_shape_it_was_optimised_for() -> None:
    gpu = FakeGpu()
    library = fake_library(gpu)
    engine = TensorRtEngine(plan(SMALL), Spec(), gpu=gpu, library=library)
    engine.warmup()
    assert ("shape", SMALL[1]) in library.module.engines[0].contexts[0].calls


def test_an_engine_for_one_size_says_so() -> None:
    engine = engine_of(plan(FIXED))
    assert engine.spec.size == (32, 32) and engine.spec.device == "cuda:0"
    assert engine_of(plan(SMALL)).spec.size is None
    with pytest.raises(ValueError, match="only"):
        engine.infer(images(1, 64, 64))


def test_each_lane_gives_what_a_single_run_gives() -> None:
    lanes = Lanes(plan(SMALL, outputs=2), 3, outputs=2)
    assert (lanes.lanes.lanes, lanes.lanes.smallest, lanes.lanes.largest) == (3, 1, 4)
    assert len(lanes.contexts) == 3
    for turn in range(4):
        for lane in range(3):
            batch = images(1 + (turn + lane) % 4, 32 * (1 + turn % 2), 64)
            assert np.array_equal(lanes.run(lane, batch), expected(batch, 2))


def test_lanes_share_no_working_memory() -> None:
    lanes = Lanes(plan(SMALL), 3)
    for lane in range(3):
        lanes.run(lane, images(4, 64, 64))
    blocks = sorted(context.block for context in lanes.contexts if context.block)
    assert len(blocks) == 3
    for (start, size), (after, _) in itertools.pairwise(blocks):
        assert start + size <= after
    assert all(context.strategy == "USER_MANAGED" for context in lanes.contexts)


def test_working_memory_grows_with_the_shapes_and_its_former_blocks_stay() -> None:
    lanes = Lanes(plan(SMALL), 1)
    lanes.run(0, images(1, 32, 32))
    lanes.run(0, images(1, 32, 32))
    lanes.run(0, images(4, 64, 64))
    lanes.run(0, images(1, 32, 32))
    blocks = [call[1:] for call in lanes.contexts[0].calls if call[0] == "memory"]
    assert [size for _, size in blocks] == [3 * 32 * 32, 4 * 3 * 64 * 64, 4 * 3 * 64 * 64]
    first, second = blocks[0], blocks[1]
    assert second[0] + second[1] <= first[0] or first[0] + first[1] <= second[0]


def test_little_growth_is_made_generous() -> None:
    lanes = Lanes(plan(SMALL), 1)
    for count in (1, 2, 3, 4):
        lanes.run(0, images(count, 32, 32))
    sizes = {call[2] for call in lanes.contexts[0].calls if call[0] == "memory"}
    assert len(sizes) == 3, "twice, and twice again"


def test_shapes_and_addresses_are_set_when_they_change_only() -> None:
    lanes = Lanes(plan(SMALL), 1)
    batch = images(2)
    for _ in range(3):
        lanes.run(0, batch)
    calls = lanes.contexts[0].calls
    assert [call[0] for call in calls].count("shape") == 1
    assert [call[0] for call in calls].count("address") == 2
    assert [call for call in calls if call[0] == "execute"] == [("execute", 7)] * 3
    lanes.run(0, batch, place=1)
    assert [call[0] for call in calls].count("address") == 4
    assert [call[0] for call in calls].count("shape") == 1


def test_a_profile_that_takes_the_shape_is_chosen() -> None:
    lanes = Lanes(plan(SMALL, LARGE), 1)
    context = lanes.contexts[0]
    for batch in (images(4), images(1, 128, 128), images(2, 32, 32), images(3, 32, 32)):
        assert np.array_equal(lanes.run(0, batch, stream=9), expected(batch))
    # 2 x 32 x 32 fits into the profile that is active; for 3 the first one is needed.
    assert [c for c in context.calls if c[0] == "profile"] == [("profile", 1, 9), ("profile", 0, 9)]
    with pytest.raises(ValueError, match=" or "):
        lanes.run(0, images(3, 128, 128))
    assert lanes.lanes.batches(128, 96) == (1, 2)
    assert lanes.lanes.largest == 4


def test_lanes_refuse_what_there_is_not() -> None:
    lanes = Lanes(plan(SMALL), 2)
    batch = images(1)
    good = lanes.run(0, batch)
    sent, got = lanes.buffers[0, 0]
    for lane in (2, -1):
        with pytest.raises(ValueError, match="2 lanes"):
            lanes.lanes.enqueue(lane, sent.pointer, got.pointer, batch.shape, 1)
    with pytest.raises(ValueError, match="256"):
        lanes.lanes.enqueue(0, sent.pointer + 4, got.pointer, batch.shape, 1)
    with pytest.raises(ValueError, match="256"):
        lanes.lanes.enqueue(0, sent.pointer, 0, batch.shape, 1)
    with pytest.raises(ValueError, match="5 x 3"):
        lanes.lanes.enqueue(0, sent.pointer, got.pointer, (5, 3, 32, 64), 1)
    assert np.array_equal(lanes.run(0, batch), good), "and still work"
    with pytest.raises(ValueError, match="at least one lane"):
        Lanes(plan(SMALL), 0)


def test_a_batch_that_fails_is_told_and_the_next_is_not_harmed() -> None:
    lanes = Lanes(plan(SMALL), 1)
    lanes.engine.fails = "Error Code 1: Cuda Runtime (out of memory In f at /_src/b.cpp:3)"
    with pytest.raises(TensorRtError, match="smaller batch") as raised:
        lanes.run(0, images(2))
    assert "/_src" not in str(raised.value)
    lanes.engine.fails = ""
    batch = images(2)
    assert np.array_equal(lanes.run(0, batch), expected(batch))


def test_memory_that_is_not_there() -> None:
    lanes = Lanes(plan(SMALL), 1)
    batch = images(1, 32, 32)
    lanes.run(0, batch)

    class Full:
        def allocate(self, size: int) -> Any:
            raise MemoryError

    memory, lanes.gpu.memory = lanes.gpu.memory, Full()  # type: ignore[assignment]
    lane = lanes.lanes._lanes[0]
    sent, got = lanes.buffers[0, 0]
    with pytest.raises(MemoryError):
        lane.enqueue(sent.pointer, got.pointer, (4, 3, 64, 64), 7)
    lanes.gpu.memory = memory
    assert np.array_equal(lanes.run(0, batch), expected(batch)), "a smaller batch runs"


def test_more_lanes_than_fit() -> None:
    with pytest.raises(TensorRtError, match="fewer lanes"):
        Lanes(plan(SMALL, most_contexts=2), 3)


def test_graphs_are_captured_at_the_second_run_and_replayed() -> None:
    lanes = Lanes(plan(SMALL), 2, graphs=True)
    for turn in range(5):
        for lane in range(2):
            batch = images(2) + turn + lane
            assert np.array_equal(lanes.run(lane, batch), expected(batch))
    assert lanes.gpu.captures == 2, "one for each lane"
    executed = [call for call in lanes.contexts[0].calls if call[0] == "execute"]
    assert len(executed) == 2, "once to prepare, once to be captured"


def test_another_shape_makes_the_graphs_of_a_lane_worthless() -> None:
    lanes = Lanes(plan(SMALL), 1, graphs=True)
    for batch in (images(2), images(2), images(2), images(3), images(3), images(2), images(2)):
        assert np.array_equal(lanes.run(0, batch), expected(batch))
    assert lanes.gpu.captures == 3


def test_each_place_in_memory_has_a_graph_of_its_own_up_to_a_number() -> None:
    lanes = Lanes(plan(SMALL), 1, graphs=True)
    for turn in range(3):
        for place in range(GRAPHS + 3):
            batch = images(1, 32, 32) + turn + place
            assert np.array_equal(lanes.run(0, batch, place), expected(batch))
    assert lanes.gpu.captures == GRAPHS


def test_an_engine_that_cannot_be_captured_is_an_error_and_not_run_without() -> None:
    lanes = Lanes(plan(SMALL, uncapturable=True), 1, graphs=True)
    lanes.run(0, images(1))
    with pytest.raises(TensorRtError, match="run it without graphs"):
        lanes.run(0, images(1))
    plain = Lanes(plan(SMALL, uncapturable=True), 1)
    for _ in range(3):
        plain.run(0, images(1))


@pytest.mark.parametrize("graphs", [False, True])
def test_tensorrt_for_rtx_has_graphs_of_its_own(graphs: bool) -> None:
    lanes = Lanes(plan(SMALL), 1, flavor="rtx", graphs=graphs)
    for _ in range(3):
        lanes.run(0, images(1))
    config = lanes.contexts[0].config
    assert config.cuda_graph_strategy == ("WHOLE_GRAPH_CAPTURE" if graphs else "DISABLED")
    assert config.dynamic_shapes_kernel_specialization_strategy == "EAGER"
    assert lanes.contexts[0].strategy == "USER_MANAGED"
    assert lanes.gpu.captures == 0


@pytest.mark.parametrize(
    ("data", "spec", "said"),
    [
        (plan(SMALL, names=("images", "mask")), Spec(), "tensors images, mask"),
        (plan(SMALL, names=("images", "logits", "more")), Spec(), "images, logits, more"),
        (plan(SMALL, half=True), Spec(), "not a float32"),
        (plan(SMALL, outputs=2), Spec(), "another network"),
        (plan(SMALL), Spec(channels=6), "another network"),
        (plan(SMALL), Spec(size=(96, 96)), "takes .96, 96. only"),
    ],
)
def test_an_engine_of_another_network_is_refused(data: bytes, spec: Spec, said: str) -> None:
    gpu = FakeGpu()
    with pytest.raises(ValueError, match=said):
        TensorRtEngine(data, spec, gpu=gpu, library=fake_library(gpu))


@pytest.mark.parametrize(
    ("invalid", "said"),
    [
        (1, "another version.*forge build-engine"),
        (2, "another GPU.*forge build-engine"),
        (4, "driver is too old"),
        (16, "memory does not suffice"),
        (32 + 64, "damaged"),
    ],
)
def test_why_an_rtx_engine_does_not_load(invalid: int, said: str) -> None:
    gpu = FakeGpu()
    with pytest.raises(TensorRtError, match=said):
        TensorRtEngine(plan(SMALL), Spec(), gpu=gpu,
                       library=fake_library(gpu, "rtx", invalid=invalid))  # fmt: skip


def test_why_a_data_centre_engine_does_not_load() -> None:
    gpu = FakeGpu()
    says = (
        "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file is "
        "not compatible with this version of TensorRT, expecting library version 11.0.0.1 got "
        "11.1.0.2, please rebuild. In checkVersion at runtime/a.cpp:44)"
    )
    with pytest.raises(TensorRtError, match="forge build-engine") as raised:
        TensorRtEngine(plan(SMALL), Spec(), gpu=gpu, library=fake_library(gpu, says=says))
    assert "11.1.0.2" in str(raised.value), "which versions"
    assert "a.cpp" not in str(raised.value)


def test_files_that_are_not_there_or_empty(tmp_path: Path) -> None:
    gpu = FakeGpu()
    with pytest.raises(TensorRtError, match=r"none\.engine cannot be read"):
        TensorRtEngine(tmp_path / "none.engine", Spec(), gpu=gpu, library=fake_library(gpu))
    (tmp_path / "empty.engine").touch()
    with pytest.raises(TensorRtError, match="empty"):
        TensorRtEngine(tmp_path / "empty.engine", Spec(), gpu=gpu, library=fake_library(gpu))
    (tmp_path / "good.engine").write_bytes(plan(SMALL))
    engine = TensorRtEngine(tmp_path / "good.engine", Spec(), gpu=gpu, library=fake_library(gpu))
    np.testing.assert_allclose(engine.infer(images(1)), expected(images(1)))


def test_closing_waits_and_frees() -> None:
    lanes = Lanes(plan(SMALL), 2)
    waited = []
    synchronize = lanes.gpu.memory.synchronize
    lanes.gpu.memory.synchronize = lambda: waited.append(synchronize())  # type: ignore[method-assign]
    lanes.run(1, images(1))
    lanes.lanes.close()
    assert waited == [None]
    assert lanes.lanes._loaded.engine is None
    with pytest.raises(ValueError, match="0 lanes"):
        lanes.run(0, images(1))


def test_the_gpu_is_current_whenever_the_library_works() -> None:
    lanes = Lanes(plan(SMALL), 1)
    before = lanes.gpu.entered
    lanes.run(0, images(1))
    assert lanes.gpu.entered == before + 1


def test_names_of_gpus() -> None:
    assert [number_of(name) for name in ("cuda", "cuda:0", "cuda:12")] == [0, 0, 12]
    for name in ("cpu", "cuda:", "cuda:x", "mps", "cuda0", "cuda:-1"):
        with pytest.raises(ValueError, match="cuda:NUMBER"):
            number_of(name)


@pytest.mark.skipif(gpu_capability() is not None, reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    pytest.importorskip("cupy", reason="cupy is not installed")
    with pytest.raises(RuntimeError, match=r"no cuda:0 here.*forge doctor"):
        TensorRtEngine(plan(SMALL), Spec())


def test_the_spec_is_the_callers_but_for_device_and_size() -> None:
    spec = Spec(multiple=32, precision="fp16", device="cpu")
    gpu = FakeGpu()
    engine = TensorRtEngine(plan(SMALL), spec, gpu=gpu, library=fake_library(gpu))
    assert engine.spec == dataclasses.replace(spec, device="cuda:0")
