"""The GPU path on a GPU: the same outcomes as the ordinary path, from equal logits.

python -m pytest -m gpu tests/gpu/test_stream.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.base import Images, LaneEngine, Spec
from forgecli.segment.plan import SegmentPlan
from forgecli.stream.pool import Opened, StreamPool
from tests.stream.host_lanes import plan_of
from tests.stream.test_pool import SHAPES, draw, ordinary, same, tasks_of, work_of

pytestmark = pytest.mark.gpu


class BrightLanes(LaneEngine):
    """`tests.stream.host_lanes.blobs` on the GPU: products and sums by powers of two, so that no
    way of rounding makes a difference."""

    def __init__(self, lanes: int, largest: int) -> None:
        self.spec = Spec(multiple=8, device="cuda:0")
        self.lanes, self.smallest, self.largest = lanes, 1, largest
        self.batches: list[int] = []

    def enqueue(
        self, lane: int, images: int, logits: int, shape: tuple[int, int, int, int], stream: int
    ) -> None:
        cupy = pytest.importorskip("cupy")
        count, _, height, width = shape
        self.batches.append(count)
        with cupy.cuda.ExternalStream(stream):
            seen = _at(images, shape)
            _at(logits, (count, 1, height, width))[...] = 8 * seen[:, :1] + 2 * seen[:, 1:2] - 7

    def trim(self) -> None:
        pass

    def close(self) -> None:
        pass


def _at(address: int, shape: tuple[int, ...]) -> object:
    cupy = pytest.importorskip("cupy")
    size = 4 * int(np.prod(shape))
    memory = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(address, size, None), 0)
    return cupy.ndarray(shape, cupy.float32, memory)


@pytest.fixture
def opened() -> Opened:
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from kernels.cuda.cupy_device import CupyDevice

    try:
        return Opened(CupyDevice(), BrightLanes(4, 4))  # type: ignore[arg-type]
    except RuntimeError as error:
        pytest.skip(str(error))


def on_the_cpu(images: Images) -> Images:
    return 8 * images[:, :1] + 2 * images[:, 1:2] - 7


@pytest.mark.parametrize("streams", [1, 4, None])
def test_the_outcomes_of_the_ordinary_path(
    tmp_path: Path, opened: Opened, streams: int | None
) -> None:
    draw(tmp_path / "in", SHAPES * 6)
    plan = plan_of(instances="components")

    def opens(plan: SegmentPlan, lanes: int) -> Opened:
        return opened

    pool = StreamPool(
        work_of(plan), 2, note=print, stop=lambda: False, plan=plan, streams=streams,
        open_lanes=opens,
    )  # fmt: skip
    found = sorted(pool.examine(tasks_of(tmp_path / "in")), key=lambda outcome: outcome.row)
    same(found, ordinary(tmp_path / "in", plan, on_the_cpu))


def test_shared_memory_is_pinned(opened: Opened) -> None:
    """Copies from a slot do not wait: the memory is known to the driver."""
    cupy = pytest.importorskip("cupy")
    from forgecli.stream.slots import Slots

    slots = Slots(opened.device, size=1 << 20, most=1 << 22, note=print)
    slot = slots.take()
    assert slot is not None
    kind = cupy.cuda.runtime.pointerGetAttributes(slot.memory.ctypes.data).type
    assert kind == 1, "cudaMemoryTypeHost"
    slots.close()
