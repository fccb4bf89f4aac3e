"""The engine that computes where its input lies; here on the CPU, at addresses of the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.base import LaneEngine
from engines.torch import TorchEngine
from engines.torch_lanes import TorchLanes
from tests.engines.test_torch import Tiny, images

torch.set_num_threads(1)


def enqueued(engine: LaneEngine, batch: np.ndarray, lane: int = 0) -> np.ndarray:
    """What is written to the address that was given, between two guards."""
    count, _, height, width = batch.shape
    memory = np.full(count * engine.spec.outputs * height * width + 16, 7, np.float32)
    shape: tuple[int, int, int, int] = batch.shape  # type: ignore[assignment]
    engine.enqueue(lane, batch.ctypes.data, memory[8:].ctypes.data, shape, 0)
    assert (memory[:8] == 7).all() and (memory[-8:] == 7).all(), "nothing beside it"
    return memory[8:-8].reshape(count, engine.spec.outputs, height, width)


def test_it_gives_what_the_other_engine_gives() -> None:
    lanes: LaneEngine = TorchLanes(Tiny().train(), device="cpu", lanes=3, largest=4)
    one = TorchEngine(Tiny().eval())
    for lane, count in ((0, 1), (2, 4), (1, 3), (0, 2)):
        batch = images(count, 8 * count, 12)
        before = batch.copy()
        np.testing.assert_array_equal(enqueued(lanes, batch, lane), one.infer(batch))
        assert np.array_equal(batch, before), "the input is the caller's"
    assert (lanes.lanes, lanes.largest, lanes.spec) == (3, 4, one.spec)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_that_of_autocast(precision: str) -> None:
    lanes = TorchLanes(Tiny(), device="cpu", precision=precision)  # type: ignore[arg-type]
    one = TorchEngine(Tiny().eval(), precision=precision)  # type: ignore[arg-type]
    found = enqueued(lanes, images(2))
    np.testing.assert_array_equal(found, one.infer(images(2)))
    assert 0 < np.abs(found - TorchEngine(Tiny().eval()).infer(images(2))).max() < 0.05


@pytest.mark.parametrize(
    ("lane", "shape", "said"),
    [
        (-1, (1, 3, 8, 8), "counted from 0"),
        (2, (1, 3, 8, 8), "there are 2 lanes"),
        (0, (0, 3, 8, 8), "1 to 4 images"),
        (0, (5, 3, 8, 8), "1 to 4 images"),
        (0, (1, 6, 8, 8), "3 channels"),
        (0, (1, 3, 8, 9), "multiples of 4"),
        (0, (1, 3, 0, 8), "multiples of 4"),
    ],
)
def test_a_shape_or_lane_that_there_is_not(
    lane: int, shape: tuple[int, int, int, int], said: str
) -> None:
    lanes = TorchLanes(Tiny(), device="cpu", lanes=2, largest=4)
    with pytest.raises(ValueError, match=said):
        lanes.enqueue(lane, 0, 0, shape, 0)  # the addresses are not looked at


def test_one_size_only() -> None:
    network = Tiny()
    network.size = (8, 12)  # type: ignore[assignment]
    lanes = TorchLanes(network, device="cpu")
    assert enqueued(lanes, images(1)).shape == (1, 2, 8, 12)
    with pytest.raises(ValueError, match=r"\(8, 12\)"):
        lanes.enqueue(0, 0, 0, (1, 3, 12, 8), 0)


def test_a_network_that_gives_another_size_writes_nothing() -> None:
    network = Tiny()
    network.body.append(nn.MaxPool2d(2))
    lanes = TorchLanes(network, device="cpu")
    with pytest.raises(ValueError, match="the network gave"):
        lanes.enqueue(0, images(1).ctypes.data, 0, (1, 3, 8, 12), 0)


def test_memory_that_does_not_suffice_says_so() -> None:
    """The caller halves its batch where an error speaks of memory."""

    class Greedy(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            if len(images) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate everything")
            return super().forward(images)

    lanes = TorchLanes(Greedy(), device="cpu")
    with pytest.raises(RuntimeError, match="out of memory"):
        enqueued(lanes, images(2))
    assert enqueued(lanes, images(1)).shape == (1, 2, 8, 12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "int8"}, "int8"),
        ({"lanes": 0}, "1 lane or more"),
        ({"largest": 0}, "1 image or more"),
        ({"compile": True}, "NVIDIA"),
        ({"device": "meta"}, "NVIDIA"),
    ],
)
def test_what_cannot_be_asked(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TorchLanes(Tiny(), **{"device": "cpu", **options})  # type: ignore[arg-type]


def test_a_closed_engine_says_so() -> None:
    lanes = TorchLanes(Tiny(), device="cpu")
    lanes.close()
    with pytest.raises(ValueError, match="closed"):
        lanes.enqueue(0, 0, 0, (1, 3, 8, 8), 0)
