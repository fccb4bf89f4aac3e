"""Which number of lanes is taken."""

from __future__ import annotations

import pytest

from forgecli.stream.trial import Trial
from tests.stream.test_batches import Clock


def rehearse(trial: Trial, clock: Clock, seconds: dict[int, float], gap: float = 0.0) -> list[int]:
    """Run batches of one image with as many lanes as allowed, each batch of a candidate taking so
    many seconds of the GPU's time; the numbers of lanes that were tried."""
    tried = [trial.lanes]
    for _ in range(500):
        if trial.over:
            return tried
        lanes = trial.lanes
        for _ in range(lanes):
            trial.sent()
        for _ in range(lanes):
            clock.time += seconds[lanes]
            trial.came(1)
        clock.time += gap
        if trial.lanes != tried[-1]:
            tried.append(trial.lanes)
    raise AssertionError("it does not end")


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 4.0, 2: 2.0, 4: 1.0, 8: 0.5}, 8),
        ({1: 4.0, 2: 2.0, 4: 1.99, 8: 2.5}, 2),
        ({1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}, 1),
        ({1: 2.0, 2: 3.0, 4: 1.5, 8: 1.49}, 4),
    ],
)
@pytest.mark.parametrize("gap", [0.0, 50.0])
def test_the_fastest_and_not_more_than_are_worth_it(
    seconds: dict[int, float], best: int, gap: float
) -> None:
    """Time in which nothing was at work does not count."""
    clock = Clock()
    trial = Trial(8, clock)
    tried = rehearse(trial, clock, seconds, gap)
    assert trial.lanes == best
    assert sorted(set(tried) - {best}) == [n for n in (1, 2, 4, 8) if n != best]
    assert trial.as_text().startswith(f"streams: {best} (") and "8: " in trial.as_text()


def test_no_more_lanes_than_there_are() -> None:
    clock = Clock()
    trial = Trial(3, clock)
    rehearse(trial, clock, {1: 2.0, 2: 1.0})
    assert trial.lanes == 2
    assert Trial(1, clock).lanes == 1


def test_a_number_that_was_chosen_is_not_tried() -> None:
    trial = Trial.of(5, Clock())
    assert trial.over and trial.lanes == 5
    trial.sent()
    assert trial.came(1) is False


def test_lanes_that_have_no_room() -> None:
    clock = Clock()
    trial = Trial(8, clock)
    while trial.lanes < 8:
        for _ in range(trial.lanes):
            trial.sent()
        for _ in range(trial.lanes):
            clock.time += 1.0 / trial.lanes
            trial.came(1)
    trial.cap(5)
    assert trial.lanes == 5
    rehearse(trial, clock, {5: 0.1})
    assert trial.over and trial.lanes == 5
    trial.cap(3)
    assert trial.lanes == 3


def test_the_first_batches_do_not_count() -> None:
    clock = Clock()
    trial = Trial(2, clock, (1, 2))
    first = True
    while trial.lanes == 1:
        trial.sent()
        clock.time += 1000.0 if first else 1.0
        first = False
        trial.came(1)
    rehearse(trial, clock, {2: 1.0})
    assert trial.lanes == 1, "both give one image a second"
