"""Which pictures go together, and when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.detection import Case
from forgecli.predict.tasks import Task
from forgecli.segment.preprocess import Preprocess, to_input
from forgecli.stream.batches import Queue, Waiting, view_and_frame


@dataclass
class Clock:
    """Stands still until it is moved."""

    time: float = 0.0

    def __call__(self) -> float:
        return self.time


def picture(row: int, frame: tuple[int, int], at: float = 0.0, pixels: int = 100) -> Waiting:
    task = Task(row, Case(str(row), Path(str(row))))
    return Waiting(task, None, (1, pixels), frame, frame, (), began=at, arrived=at)


def rows(pictures: list[Waiting]) -> list[int]:
    return [one.task.row for one in pictures]


@given(
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.sampled_from([32, 64, 96]),
    st.sampled_from([8, 32]),
    st.sampled_from([None, (64, 96)]),
)
def test_views_and_frames_are_the_ordinary_ones(
    shape: tuple[int, int], size: int, multiple: int, fixed: tuple[int, int] | None
) -> None:
    prepared = to_input(np.zeros((*shape, 3), np.uint8), Preprocess(size=size), multiple, fixed)
    view, frame = view_and_frame(shape, size, multiple, fixed)
    assert (view, frame) == (prepared.shape, prepared.array.shape[1:])
    if fixed is None:
        assert all(0 <= side - seen < multiple for side, seen in zip(frame, view, strict=True))


def test_a_full_batch_goes_at_once_and_the_longest_waiting_first() -> None:
    queue = Queue(Clock(), patience=1.0)
    for row, frame in enumerate([(8, 8), (8, 16), (8, 16), (8, 8), (8, 16)]):
        queue.add(picture(row, frame, at=row / 100))
    assert rows(queue.take(2, 10_000, hurry=False)) == [0, 3]
    assert rows(queue.take(2, 10_000, hurry=False)) == [1, 2]
    assert queue.take(2, 10_000, hurry=False) == [] and len(queue) == 1


def test_others_are_waited_for_but_not_long() -> None:
    clock = Clock()
    queue = Queue(clock, patience=1.0)
    assert queue.due() is None
    queue.add(picture(0, (8, 8)))
    queue.add(picture(1, (8, 16), at=0.25))
    clock.time = 0.5
    assert queue.take(4, 10_000, hurry=False) == [] and queue.due() == 0.5
    clock.time = 1.0
    assert queue.due() == 0.0
    assert rows(queue.take(4, 10_000, hurry=False)) == [0]
    assert queue.take(4, 10_000, hurry=False) == []
    assert rows(queue.take(4, 10_000, hurry=True)) == [1]
    assert queue.due() is None and not queue


def test_pixels_bound_a_batch_and_one_picture_may_have_more() -> None:
    queue = Queue(Clock(), patience=1.0)
    for row, pixels in enumerate([400, 500, 200, 3000, 100]):
        queue.add(picture(row, (8, 8), pixels=pixels))
    taken = [rows(queue.take(9, 1000, hurry=True)) for _ in range(4)]
    assert taken == [[0, 1], [2], [3], [4]]


def test_what_could_not_go_is_the_first_to_go() -> None:
    queue = Queue(Clock(), patience=1.0)
    for row in range(4):
        queue.add(picture(row, (8, 8)))
    queue.back(queue.take(2, 1000, hurry=True))
    queue.back([])
    assert rows(queue.take(4, 1000, hurry=True)) == [0, 1, 2, 3]


@given(
    st.lists(st.tuples(st.sampled_from([(8, 8), (8, 16), (16, 8)]), st.integers(1, 600))),
    st.integers(1, 5),
    st.integers(1, 900),
)
def test_every_picture_goes_once_with_its_like(
    pictures: list[tuple[tuple[int, int], int]], images: int, pixels: int
) -> None:
    queue = Queue(Clock(), patience=1.0)
    for row, (frame, own) in enumerate(pictures):
        queue.add(picture(row, frame, at=row, pixels=own))
    gone: list[int] = []
    while batch := queue.take(images, pixels, hurry=True):
        assert len({one.frame for one in batch}) == 1 and len(batch) <= images
        assert len(batch) == 1 or sum(one.pixels for one in batch) <= pixels
        gone += rows(batch)
    assert sorted(gone) == list(range(len(pictures))) and not queue


@pytest.mark.parametrize("frame", [(8, 8), (8, 16)])
def test_the_order_within_a_frame_is_kept(frame: tuple[int, int]) -> None:
    queue = Queue(Clock(), patience=1.0)
    for row in range(7):
        queue.add(picture(row, frame if row % 2 else (64, 64), at=row))
    gone = [row for _ in range(9) for row in rows(queue.take(2, 1000, hurry=True))]
    own = [row for row in gone if row % 2]
    assert own == sorted(own)
