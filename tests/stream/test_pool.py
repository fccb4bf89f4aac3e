"""The GPU path gives what the ordinary path gives, and loses no image more."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engines.base import Images
from forgecli.cases.discover import discover
from forgecli.detection import Status
from forgecli.errors import ForgeError
from forgecli.predict.examine import Examiner
from forgecli.predict.tasks import Outcome, Task, Work
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.plan import SegmentPlan
from forgecli.stream import intake, pool, slots
from forgecli.stream.pool import StreamPool
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.segment.fake_engine import FakeEngine
from tests.stream.here import CrewHere
from tests.stream.host_lanes import (
    HostLanes,
    LateDevice,
    LateLanes,
    blobs,
    opens,
    plan_of,
    two_channels,
)

pytestmark = needs_compiler


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the blocks of shared memory that the test makes; `left` tells which are there."""
    names: list[str] = []

    class Noted(SharedMemory):
        def __init__(self, name: str | None = None, create: bool = False, size: int = 0) -> None:
            super().__init__(name, create, size)
            if create:
                names.append(self.name)

    monkeypatch.setattr(slots, "SharedMemory", Noted)
    return names


def left(names: list[str]) -> list[str]:
    """Those of the blocks that are still there. Others than this test's may be, at any time."""
    return [name for name in names if (Path("/dev/shm") / name).exists()]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes."""
    monkeypatch.setattr(intake, "Crew", CrewHere)


without_processes = pytest.mark.usefixtures("here")

SHAPES = [(40, 60), (64, 64), (200, 90), (33, 47), (120, 121), (40, 60), (9, 200), (1, 1), (96, 30)]


def draw(folder: Path, shapes: list[tuple[int, int]] = SHAPES) -> None:
    """Dark pictures with bright spots; one of four has none."""
    folder.mkdir(exist_ok=True)
    for number, shape in enumerate(shapes):
        rng = np.random.default_rng(number)
        image = rng.integers(0, 60, (*shape, 3), np.uint8)
        for _ in range(number % 4 * 2):
            center = int(rng.integers(shape[1])), int(rng.integers(shape[0]))
            cv2.circle(image, center, int(rng.integers(2, 12)), (250, 240, 230), -1)
        cv2.imwrite(str(folder / f"p{number:02}.png"), image)


def tasks_of(folder: Path, made: Path | None = None, *, overlays: bool = True) -> Iterator[Task]:
    for row, case in enumerate(discover([folder])):
        mask = made / f"{case.case_id}.npy" if made else None
        overlay = made / f"{case.case_id}.png" if made and overlays else None
        yield Task(row, case, mask, overlay)


def work_of(plan: SegmentPlan, **more: Any) -> Work:
    values = {"min_area": 0, "max_pixels": 1_000_000, "mask_format": "npy", "evidence": True}
    return Work(
        make_detector=partial(SegmentDetector, plan),  # not called
        threshold=plan.thresholds.gate,
        **{**values, **more},
    )


def ordinary(
    folder: Path, plan: SegmentPlan, function: Callable[[Images], Images], made: Path | None = None,
    *, outputs: int = 1, size: tuple[int, int] | None = None, **more: Any,
) -> list[Outcome]:  # fmt: skip
    """What the ordinary path gives, one image after the other in this process."""
    engine = FakeEngine(function, multiple=8, outputs=outputs, size=size)
    work = replace(work_of(plan, **more), make_detector=lambda: SegmentDetector(plan, engine))
    examiner = Examiner(work)
    return [examiner.examine(task) for task in tasks_of(folder, made)]


def streamed(
    tasks: Iterator[Task], plan: SegmentPlan, device: HostDevice, engine: HostLanes,
    *, notes: list[str] | None = None, streams: int | None = 2, size: int = 1,
    stop: Callable[[], bool] = lambda: False, patience: float = 0.01, **more: Any,
) -> list[Outcome]:  # fmt: skip
    """What the GPU path gives, in the order of the rows."""
    said = notes if notes is not None else []
    made = StreamPool(
        work_of(plan, **more), size, note=said.append, stop=stop, plan=plan, streams=streams,
        open_lanes=opens(device, engine), patience=patience,
    )  # fmt: skip
    found = list(made.examine(tasks))
    assert engine.closed and not multiprocessing.active_children()
    return sorted(found, key=lambda outcome: outcome.row)


def same(found: list[Outcome], expected: list[Outcome]) -> None:
    """Equal but for the time they took."""
    assert [replace(one, seconds={}) for one in found] == [
        replace(one, seconds={}) for one in expected
    ]


def same_files(one: Path, two: Path) -> None:
    """Masks and overlays, to the last byte."""
    names = sorted(file.name for file in one.iterdir())
    assert names and names == sorted(file.name for file in two.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_the_outcomes_of_the_ordinary_path(tmp_path: Path) -> None:
    draw(tmp_path / "in")
    (tmp_path / "in" / "bad.png").write_bytes(b"not a picture")
    (tmp_path / "in" / "huge.png").write_bytes((tmp_path / "in" / "p02.png").read_bytes())
    plan = plan_of(min_area=5)
    expected = ordinary(tmp_path / "in", plan, blobs, tmp_path / "a", max_pixels=17_999)
    engine = HostLanes(blobs)
    found = streamed(
        tasks_of(tmp_path / "in", tmp_path / "b"), plan, HostDevice(), engine, max_pixels=17_999
    )
    assert {one.status for one in expected} == {Status.OK, Status.UNREADABLE, Status.TOO_LARGE}
    assert sum(one.flagged for one in expected) > 2
    same(found, expected)
    same_files(tmp_path / "a", tmp_path / "b")
    flagged = next(one for one in found if one.flagged)
    assert list(flagged.seconds) == ["read", "wait", "detect", "instances", "write", "all"]
    assert sum(list(flagged.seconds.values())[:-1]) <= flagged.seconds["all"]


@without_processes
def test_late_answers_out_of_order(tmp_path: Path) -> None:
    """Lanes that answer late, and in another order than they were asked; slots used many times."""
    draw(tmp_path / "in", SHAPES * 3)
    plan = plan_of(instances="components")
    device = LateDevice((3, 1, 7, 2, 1))
    engine = LateLanes(blobs, device, lanes=3, largest=3)
    found = streamed(tasks_of(tmp_path / "in"), plan, device, engine, streams=3)
    same(found, ordinary(tmp_path / "in", plan, blobs))
    assert {lane for lane, _, _ in engine.batches} == {0, 1, 2}
    assert max(count for _, count, _ in engine.batches) > 1


@without_processes
def test_one_frame_and_two_channels(tmp_path: Path) -> None:
    draw(tmp_path / "in")
    plan = plan_of()
    size = (48, 64)
    engine = HostLanes(two_channels, outputs=2, size=size)
    found = streamed(tasks_of(tmp_path / "in"), plan, HostDevice(), engine)
    same(found, ordinary(tmp_path / "in", plan, two_channels, outputs=2, size=size))
    assert {frame for _, _, frame in engine.batches} == {size}


@without_processes
def test_more_runs_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forgecli.stream import lane

    draw(tmp_path / "in")
    monkeypatch.setattr(lane, "Finisher", partial(lane.Finisher, most_runs=8))
    plan = plan_of(instances="components")
    device = LateDevice()
    found = streamed(tasks_of(tmp_path / "in"), plan, device, LateLanes(blobs, device))
    same(found, ordinary(tmp_path / "in", plan, blobs))


@without_processes
def test_what_is_not_a_number_fails_alone(tmp_path: Path) -> None:
    draw(tmp_path / "in", [(40, 60)] * 4)
    plan = plan_of()

    def spoilt(images: Images) -> Images:
        """Not a number where a picture has no spots."""
        logits = blobs(images)
        for map_ in logits:
            if map_.max() < 0:
                map_[0, 3, 3] = np.nan
        return logits

    found = streamed(tasks_of(tmp_path / "in"), plan, HostDevice(), HostLanes(spoilt))
    same(found, ordinary(tmp_path / "in", plan, spoilt))
    assert [one.status for one in found] == [Status.FAILED, *[Status.OK] * 3]
    assert "NotFinite while detecting" in found[0].reason


@without_processes
def test_an_engine_that_refuses_a_picture_costs_that_picture(tmp_path: Path) -> None:
    draw(tmp_path / "in", [(40, 60)] * 4)

    def refuses(images: Images) -> None:
        if images.max(axis=(1, 2, 3)).min() < 0.5:
            raise ValueError("a strange picture\nwith a long story")

    plan = plan_of()
    engine = HostLanes(blobs, broken=refuses)
    notes: list[str] = []
    made = streamed(tasks_of(tmp_path / "in"), plan, Unwarmed(), engine, notes=notes)
    assert [one.status for one in made] == [Status.FAILED, *[Status.OK] * 3]
    assert made[0].reason == "ValueError while detecting: a strange picture"
    assert made[0].shape == (40, 60)


class Unwarmed(HostDevice):
    """Its pinned memory is bright, and with it the picture that is looked at first."""

    def pinned(self, size: int) -> Any:
        return _Bright.of(size) if size == 48 * 64 * 3 else super().pinned(size)


class _Bright(np.ndarray):  # type: ignore[type-arg]
    @classmethod
    def of(cls, size: int) -> _Bright:
        return np.full(size, 255, np.uint8).view(cls)

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


@without_processes
def test_memory_of_the_gpu_halves_the_batch(tmp_path: Path) -> None:
    draw(tmp_path / "in", [(40, 60)] * 8)
    plan = plan_of(batch=4)
    engine = HostLanes(blobs, limit=1, lanes=1)
    notes: list[str] = []
    found = streamed(
        tasks_of(tmp_path / "in"), plan, HostDevice(), engine, notes=notes, patience=60.0
    )
    same(found, ordinary(tmp_path / "in", plan, blobs))
    said = [note for note in notes if "GPU's memory does not hold" in note]
    assert len(said) == 2 and "4 images at once: 2" in said[0] and "2 images at once: 1" in said[1]
    assert {count for _, count, _ in engine.batches} == {1}


@without_processes
def test_one_picture_too_many_is_recorded_and_tried_again(tmp_path: Path) -> None:
    draw(tmp_path / "in", [(40, 60), (40, 60), (90, 90)])
    seen = []

    def full(images: Images) -> None:
        if images.shape[2] == images.shape[3]:
            seen.append(images.shape)
            raise RuntimeError("CUDA out of memory.\nTried to allocate a lot")

    notes: list[str] = []
    engine = HostLanes(blobs, broken=full)
    found = streamed(
        tasks_of(tmp_path / "in"), plan_of(), HostDevice(), engine, notes=notes, streams=1
    )
    assert [one.status for one in found] == [Status.OK, Status.OK, Status.FAILED]
    assert found[2].reason == "out of memory while detecting"
    assert len(seen) == 2 and any("trying 1 again" in note for note in notes)


@without_processes
def test_what_is_tried_again_has_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: list[str]
) -> None:
    """No picture is decoded while another is at work; and memory that was kept is given back."""
    from forgecli.predict import reading

    draw(tmp_path / "in", [(90, 90)] * 4)
    events: list[str] = []
    kept: list[int] = []
    read = reading.read_case

    def heard(case: Any, most: int) -> Any:
        events.append("read")
        kept.append(len(left(blocks)))
        return read(case, most)

    def full(images: Images) -> None:
        if engine.batches:  # not the one that is looked at first
            raise RuntimeError("CUDA out of memory.")
        engine.batches.append((0, 0, (0, 0)))

    monkeypatch.setattr(reading, "read_case", heard)
    device = LateDevice((9,))
    engine = LateLanes(blobs, device, broken=full)

    def note(text: str) -> None:
        if text.startswith("trying"):
            events.clear()
            kept.clear()

    made = StreamPool(
        work_of(plan_of()), 2, note=note, stop=lambda: False, plan=plan_of(), streams=1,
        open_lanes=opens(device, engine),
    )  # fmt: skip
    for outcome in made.examine(tasks_of(tmp_path / "in")):
        assert outcome.out_of_memory
        events.append("over")
    assert events == ["read", "over"] * 4
    assert kept[-1] == 1, "one picture's"
    assert len(blocks) > 1 and not left(blocks)


def test_a_reader_that_dies_costs_one_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "in", [(40, 60)] * 5)
    (tmp_path / "in" / "p01.png").rename(tmp_path / "in" / "segfault.png")
    (tmp_path / "in" / "p03.png").rename(tmp_path / "in" / "killed.png")
    monkeypatch.setattr(intake, "serve", fragile)
    notes: list[str] = []
    found = streamed(
        tasks_of(tmp_path / "in"), plan_of(), HostDevice(), HostLanes(blobs), notes=notes, size=2
    )
    by_name = {one.case_id: one for one in found}
    assert "SIGSEGV" in by_name["segfault"].reason
    assert "memory" in by_name["killed"].reason and by_name["killed"].out_of_memory
    assert sum(one.status is Status.OK for one in found) == 3 == len(found) - 2
    assert any("trying 1 again" in note for note in notes)


def fragile(pipe: Any, work: Work, threads: int) -> None:
    """A reader that some names end."""
    from forgecli.predict import reading
    from forgecli.stream.reader import serve

    read = reading.read_case

    def deadly(case: Any, most: int) -> Any:
        if case.case_id == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if case.case_id == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return read(case, most)

    reading.read_case = deadly
    serve(pipe, work, threads)


def test_pictures_larger_than_slots_and_few_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: list[str]
) -> None:
    draw(tmp_path / "in", SHAPES * 2)
    monkeypatch.setattr(pool, "_PIXELS", 1000)
    monkeypatch.setattr(pool, "_MOST_SHARED", 2 * 3000)
    plan = plan_of()
    device = LateDevice()
    found = streamed(
        tasks_of(tmp_path / "in", tmp_path / "b"), plan, device, LateLanes(blobs, device), size=2
    )
    same(found, ordinary(tmp_path / "in", plan, blobs, tmp_path / "a"))
    same_files(tmp_path / "a", tmp_path / "b")
    assert blocks and not left(blocks)


@without_processes
def test_a_mask_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    draw(tmp_path / "in", [(40, 60)] * 4)
    (tmp_path / "file").write_text("")
    found = streamed(
        tasks_of(tmp_path / "in", tmp_path / "file"), plan_of(), HostDevice(), HostLanes(blobs)
    )
    flagged = [one for one in found if one.flagged]
    assert flagged and all(one.unwritten for one in flagged)


def test_stop_ends_it_soon(tmp_path: Path) -> None:
    draw(tmp_path / "in", [(40, 60)] * 6)
    stopped: list[float] = []

    def slow(images: Images) -> None:
        if len(engine.batches) == 3:
            stopped.append(time.monotonic())

    engine = HostLanes(blobs, broken=slow, largest=1)
    found = streamed(
        tasks_of(tmp_path / "in"), plan_of(batch=1), HostDevice(), engine,
        stop=lambda: bool(stopped),
    )  # fmt: skip
    assert len(found) < 6
    assert time.monotonic() - stopped[0] < 4


def test_an_abandoned_pool_leaves_nothing(tmp_path: Path, blocks: list[str]) -> None:
    draw(tmp_path / "in")
    engine = HostLanes(blobs)
    made = StreamPool(
        work_of(plan_of()), 1, note=print, stop=lambda: False, plan=plan_of(), streams=1,
        open_lanes=opens(HostDevice(), engine),
    )  # fmt: skip
    outcomes = made.examine(tasks_of(tmp_path / "in"))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert engine.closed and not multiprocessing.active_children()
    assert blocks and not left(blocks)


@without_processes
def test_a_dead_gpu_is_an_error_that_says_so(tmp_path: Path) -> None:
    class Dying(HostDevice):
        def synchronize(self) -> None:
            if engine.batches[3:]:
                raise RuntimeError("cudaErrorIllegalAddress: an illegal memory access")

        def unpin(self, memory: Any) -> None:
            self.synchronize()

    def fails(images: Images) -> None:
        if engine.batches[2:]:
            engine.batches.append((0, 0, (0, 0)))
            raise RuntimeError("launch failed")

    draw(tmp_path / "in")

    class Stuck(HostLanes):
        def close(self) -> None:
            super().close()
            raise RuntimeError("cudaErrorIllegalAddress")

    engine = Stuck(blobs, broken=fails, largest=1)
    with pytest.raises(ForgeError, match="host failed: cudaErrorIllegalAddress"):
        streamed(tasks_of(tmp_path / "in"), plan_of(batch=1), Dying(), engine)
    assert engine.closed and not multiprocessing.active_children()


@without_processes
def test_a_gpu_that_dies_in_the_middle_of_a_batch_is_no_hang(tmp_path: Path) -> None:
    class Fatal:
        def ready(self) -> bool:
            raise RuntimeError("cudaErrorIllegalAddress: an illegal memory access")

        wait = ready

    class Dying(HostDevice):
        def event(self, stream: Any) -> Any:
            return Fatal() if engine.batches[2:] else super().event(stream)

        def synchronize(self) -> None:
            if engine.batches[2:]:
                Fatal().ready()

    draw(tmp_path / "in")
    engine = HostLanes(blobs, largest=1)
    with pytest.raises(ForgeError, match="host failed: cudaErrorIllegalAddress"):
        streamed(tasks_of(tmp_path / "in"), plan_of(batch=1), Dying(), engine)
    assert engine.closed and not multiprocessing.active_children()


@without_processes
def test_a_network_that_cannot_look_is_an_error(tmp_path: Path) -> None:
    def never(images: Images) -> None:
        raise ValueError("no such shape")

    draw(tmp_path / "in", [(40, 60)])
    with pytest.raises(ForgeError, match="cannot look at a picture: no such shape"):
        streamed(tasks_of(tmp_path / "in"), plan_of(), HostDevice(), HostLanes(blobs, broken=never))


@without_processes
def test_the_number_of_streams_is_found_out(tmp_path: Path) -> None:
    draw(tmp_path / "in", [(40, 60)] * 24)
    plan = plan_of(batch=1)
    engine = HostLanes(blobs, lanes=2, largest=1)
    notes: list[str] = []
    found = streamed(
        tasks_of(tmp_path / "in"), plan, HostDevice(), engine, notes=notes, streams=None
    )
    same(found, ordinary(tmp_path / "in", plan, blobs))
    assert len(engine.batches) == 1 + 24, "the first is the trial picture; none comes twice"
    (said,) = [note for note in notes if note.startswith("streams: ")]
    assert "1: " in said and "2: " in said
