"""Readers, slots and drawings that wait for each other come to an end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from forgecli.cases.discover import discover
from forgecli.detection import Detection, Instance
from forgecli.predict.tasks import Outcome, Task, Work
from forgecli.stream import intake as module
from forgecli.stream.batches import Waiting, view_and_frame
from forgecli.stream.intake import Intake
from forgecli.stream.slots import Slot, Slots
from tests.kernels.cuda.host import HostDevice
from tests.stream.here import CrewHere

SMALL, LARGE = (10, 30), (40, 50)
"""Pictures of 900 bytes, which fit an ordinary slot of 1,000, and of 6,000, which need 8,000."""


def work() -> Work:
    return Work(
        make_detector=_no_detector, threshold=0.5, min_area=0, max_pixels=1_000_000,
        mask_format="npy", evidence=False,
    )  # fmt: skip


def _no_detector() -> Any:
    raise AssertionError("readers have none")


def tasks_of(folder: Path, shapes: list[tuple[int, int]]) -> list[Task]:
    folder.mkdir()
    for number, shape in enumerate(shapes):
        pixels = np.random.default_rng(number).integers(0, 255, (*shape, 3), np.uint8)
        cv2.imwrite(str(folder / f"p{number}.png"), pixels)
    return [
        Task(row, case, None, folder.parent / "out" / f"{case.case_id}.png")
        for row, case in enumerate(discover([folder]))
    ]


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots(HostDevice(), size=1000, most=8000, note=print)
    yield made
    made.close()


def intake_of(slots: Slots, size: int, monkeypatch: pytest.MonkeyPatch) -> Intake:
    monkeypatch.setattr(module, "Crew", CrewHere)
    return Intake(
        work(), size, slots, seen=lambda shape: view_and_frame(shape, 64, 8, None), note=print,
        stop=lambda: False,
    )  # fmt: skip


def found_in(task: Task, shape: tuple[int, int]) -> Detection:
    region = np.array([[3, 5], [13, 5]])
    instances = (Instance(region, (region,)),)
    return Detection(task.case.case_id, shape, instances=instances, score=0.9, found_by="segment")


@pytest.mark.parametrize("readers", [1, 2])
def test_a_drawing_does_not_wait_for_readers_that_wait_for_its_slot(
    tmp_path: Path, slots: Slots, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    """Every reader holds a picture that is too large for its slot. The larger one can be had only
    when that of the first pictures is given back, and it is given back when they are drawn."""
    tasks = tasks_of(tmp_path / "in", [SMALL] * readers + [LARGE] * readers)
    intake = intake_of(slots, readers, monkeypatch)
    intake.begin(iter(tasks), readers)
    small: list[Waiting] = []
    for _ in range(3):  # all pictures are read, the large ones need more
        assert not list(intake.feed())
        small += [came for came in intake.heard(0.0) if isinstance(came, Waiting)]
    assert [one.task for one in small] == tasks[:readers]
    assert intake.starved and slots.held == readers

    for one in small:
        intake.draw(one.task, found_in(one.task, one.shape), one.slot, 0.0)
        one.slot = None
    drawn, arrived = driven(intake, slots, rounds=20)
    assert sorted(drawn) == [task.row for task in tasks[:readers]]
    assert [one.task for one in arrived] == tasks[readers:]
    assert all(task.overlay and task.overlay.exists() for task in tasks[:readers])
    assert not intake.working and slots.held == 0


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_order_all_pictures_come_through(
    tmp_path: Path, slots: Slots, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Large and small pictures, drawn or not, some given up, by one to three readers: as many
    rounds as there could be jobs, and no more."""
    rng = np.random.default_rng(seed)
    shapes = [SMALL if small else LARGE for small in rng.random(12) < 0.6]
    tasks = tasks_of(tmp_path / "in", shapes)
    intake = intake_of(slots, 1 + seed % 3, monkeypatch)
    intake.begin(iter(tasks), 1 + seed % 3)
    drawn, arrived = driven(intake, slots, rounds=200, draws=rng)
    assert sorted({*drawn, *(one.task.row for one in arrived)}) == list(range(12))
    assert not intake.working and slots.held == 0


def driven(
    intake: Intake, slots: Slots, *, rounds: int, draws: np.random.Generator | None = None
) -> tuple[list[int], list[Waiting]]:
    """Rows that were drawn, and pictures that arrived. Half of those are drawn, by a coin."""
    drawn: list[int] = []
    arrived: list[Waiting] = []
    for _ in range(rounds):
        outcomes: list[tuple[Task, Outcome]] = list(intake.feed())
        for came in intake.heard(0.0):
            if not isinstance(came, Waiting):
                outcomes.append(came)
                continue
            arrived.append(came)
            slot: Slot | None = came.slot
            assert slot is not None
            if draws is not None and draws.random() < 0.5:
                intake.draw(came.task, found_in(came.task, came.shape), slot, 0.0)
            else:
                slots.give(slot)
        for task, outcome in outcomes:
            assert not outcome.failed, outcome.reason
            drawn.append(task.row)
        if not intake.working:
            return drawn, arrived
    raise AssertionError(f"after {rounds} rounds pictures still wait for each other")
