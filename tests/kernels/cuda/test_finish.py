"""From logits to scores and components on a device, against the CPU's way, exactly."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.components import components
from kernels.cuda import finish
from kernels.cuda.batch import Table, table_of
from kernels.cuda.device import Buffer, Device
from kernels.cuda.finish import Finished, Finisher
from kernels.rank import value_of_rank
from kernels.resize import enlarge
from tests.kernels.cuda.host import HostBuffer, HostDevice, HostStream, needs_compiler
from tests.kernels.cuda.test_components import check_equal

Maps = NDArray[np.float32]


def maps(seed: int, shape: tuple[int, int, int, int]) -> Maps:
    """Logits (N, K, h, w). Enlarged they are smooth, so components are large."""
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


def table_for(
    shapes: Sequence[tuple[int, int]], views: Sequence[tuple[int, int]], limit: float, min_area: int
) -> Table:
    table = table_of(shapes, views)
    pixels = table["height"].astype(np.int64) * table["width"]
    table["rank"] = np.ceil(0.99 * pixels).astype(np.int64) - 1
    table["limit"], table["min_area"] = limit, min_area
    return table


def on_device(device: Device, stream: Any, logits: Maps) -> Buffer:
    buffer = device.allocate(logits.nbytes)
    device.upload(logits, buffer, stream)
    return buffer


def run(device: Device, finisher: Finisher, logits: Maps, table: Table) -> list[Finished]:
    stream = device.stream()
    buffer = on_device(device, stream, logits)
    n, k, h, w = logits.shape
    ticket = finisher.enqueue(stream, buffer, (n, k, h, w), table)
    ticket.wait()
    return ticket.results()


def check(found: list[Finished], logits: Maps, table: Table, connectivity: Any = 4) -> None:
    """The same as by the CPU's kernels; none overflows."""
    assert len(found) == len(table)
    for own, channels, row in zip(found, logits, table, strict=False):
        seen = channels[:, : row["view_height"], : row["view_width"]]
        if not np.isfinite(seen).all():
            assert not own.finite
            assert own.components is None
            continue
        shape = (int(row["height"]), int(row["width"]))
        highest = np.stack([enlarge(channel, shape) for channel in seen]).max(axis=0)
        assert own.finite
        assert not own.overflow
        assert own.score == value_of_rank(highest.ravel(), int(row["rank"]))
        assert own.components is not None
        expected = components(highest >= row["limit"], connectivity, int(row["min_area"]))
        check_equal(own.components, expected)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.data(),
    frame=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    count=st.integers(1, 4),
    outputs=st.integers(1, 3),
    limit=st.sampled_from([-np.inf, -1.0, 0.0, 1.5, np.inf]),
    min_area=st.sampled_from([0, 1, 9, 300]),
    connectivity=st.sampled_from([4, 8]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equal_to_the_cpu(
    device: Device,
    data: st.DataObject,
    frame: tuple[int, int],
    count: int,
    outputs: int,
    limit: float,
    min_area: int,
    connectivity: int,
    seed: int,
) -> None:
    sides = st.tuples(st.integers(1, 100), st.integers(1, 100))
    parts = st.tuples(st.integers(1, frame[0]), st.integers(1, frame[1]))
    shapes = data.draw(st.lists(sides, min_size=count, max_size=count))
    views = data.draw(st.lists(parts, min_size=count, max_size=count))
    table = table_for(shapes, views, limit, min_area)
    logits = maps(seed, (count, outputs, *frame))
    finisher = Finisher(device, images=4, pixels=40_000, most_runs=6_000, connectivity=connectivity)
    check(run(device, finisher, logits, table), logits, table, connectivity)


def test_one_finisher_for_many_batches(device: Device) -> None:
    finisher = Finisher(device, images=3, pixels=100, most_runs=3_000)  # has to make room
    for seed, side in enumerate((20, 90, 64, 1, 75)):
        count = 1 + seed % 3
        table = table_for([(side, side + 5)] * count, [(8, 7)] * count, 0.0, 2)
        logits = maps(seed, (3, 1, 8, 8))
        check(run(device, finisher, logits, table), logits, table)


def test_a_batch_of_nothing(device: Device) -> None:
    finisher = Finisher(device, images=1, pixels=100, most_runs=10)
    assert run(device, finisher, maps(0, (1, 1, 2, 2)), table_for([], [], 0.0, 0)) == []


def test_what_is_not_finite_and_what_has_too_many_runs(device: Device) -> None:
    rows, columns = np.indices((16, 16))
    checkered = np.where((rows + columns) % 2 == 0, 1.0, -1.0).astype(np.float32)  # 128 pieces
    logits = np.stack([checkered, checkered, np.abs(checkered), np.abs(checkered)])[:, None]
    logits[1, 0, 15, 15] = np.nan
    logits[3, 0, 12, 0] = np.inf  # not in its view
    table = table_for([(16, 16)] * 4, [(16, 16)] * 3 + [(12, 16)], 0.0, 0)
    for most, fits in ((127, False), (128, True)):
        finisher = Finisher(device, images=4, pixels=1024, most_runs=most)
        first, second, third, fourth = run(device, finisher, logits, table)
        assert first.overflow == (not fits)
        assert (first.components is not None) == fits
        assert first.finite
        assert first.score == 1.0
        assert not second.finite
        assert second.components is None
        check([third, fourth], logits[2:], table[2:])


class LateDevice(HostDevice):
    """What is downloaded arrives only when an event behind it was asked for several times."""

    def __init__(self, polls: int) -> None:
        super().__init__()
        self._polls = polls
        self._late: list[Callable[[], None]] = []
        self.downloads: list[int] = []

    def download(
        self, of: HostBuffer, host: NDArray[Any], stream: HostStream, *, at: int = 0
    ) -> None:
        self.downloads.append(host.nbytes)
        copy = super().download
        self._late.append(functools.partial(copy, of, host, stream, at=at))

    def event(self, stream: HostStream) -> LateEvent:  # type: ignore[override]
        return LateEvent(self, self._polls)

    def arrive(self) -> None:
        for copy in self._late:
            copy()
        self._late.clear()


class LateEvent:
    """Happens when it was asked for often enough."""

    def __init__(self, device: LateDevice, polls: int) -> None:
        self._device, self._left = device, polls

    def ready(self) -> bool:
        self._left -= 1
        if self._left > 0:
            return False
        self._device.arrive()
        return True

    def wait(self) -> None:
        raise AssertionError("nothing waits")


@needs_compiler
@pytest.mark.parametrize("first", [1, 20, 10_000])
def test_nothing_waits(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    monkeypatch.setattr(finish, "FIRST_PIECES", first)
    device = LateDevice(polls=4)
    finisher = Finisher(device, images=2, pixels=20_000, most_runs=3_000)
    table = table_for([(90, 70), (40, 95)], [(9, 9), (9, 9)], 0.0, 0)
    logits = maps(3, (2, 1, 9, 9))
    stream = device.stream()
    ticket = finisher.enqueue(stream, on_device(device, stream, logits), (2, 1, 9, 9), table)
    with pytest.raises(RuntimeError, match="not ready"):
        ticket.results()
    with pytest.raises(RuntimeError, match="have not been taken"):
        finisher.enqueue(stream, on_device(device, stream, logits), (2, 1, 9, 9), table)
    asked = 1
    while not ticket.ready():
        asked += 1
    second = first < 10_000  # some pieces are left for a second download
    assert asked == (8 if second else 4) - 1
    assert len(device.downloads) == (4 if second else 3)
    found = ticket.results()
    check(found, logits, table)
    kept = sum(len(own.components.runs) for own in found if own.components is not None)
    if second:
        assert device.downloads[2] + device.downloads[3] >= 12 * kept
        assert device.downloads[2] == 12 * 2 * first
    with pytest.raises(RuntimeError, match="taken before"):
        ticket.results()
    finisher.enqueue(stream, on_device(device, stream, logits), (2, 1, 9, 9), table)


@needs_compiler
def test_results_stay_when_the_next_batch_comes() -> None:
    device = HostDevice()
    finisher = Finisher(device, images=1, pixels=10_000, most_runs=3_000)
    table = table_for([(90, 70)], [(9, 9)], 0.0, 0)
    logits, others = maps(3, (1, 1, 9, 9)), maps(4, (1, 1, 9, 9))
    found = run(device, finisher, logits, table)
    run(device, finisher, others, table)
    check(found, logits, table)


@needs_compiler
def test_wrong_arguments() -> None:
    device = HostDevice()
    finisher = Finisher(device, images=1, pixels=100)
    stream = device.stream()
    buffer = device.allocate(4 * 4)
    with pytest.raises(ValueError, match=r"1 pictures\. Got: 2"):
        finisher.enqueue(stream, buffer, (2, 1, 2, 2), table_for([(3, 3)] * 2, [(1, 1)] * 2, 0, 0))
    table = table_for([(3, 3)], [(1, 1)], 0, 0)
    with pytest.raises(ValueError, match="do not fit into 16 bytes"):
        finisher.enqueue(stream, buffer, (1, 1, 2, 3), table)
    table["height"] = 0
    with pytest.raises(ValueError, match="0 x 3"):
        finisher.enqueue(stream, buffer, (1, 1, 2, 2), table)
    with pytest.raises(ValueError, match="connectivity"):
        Finisher(device, images=1, pixels=100, connectivity=5)
