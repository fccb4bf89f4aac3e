"""A log gets a line now and then, not at every step."""

from __future__ import annotations

from forgecli.progress import Seldom


def test_so_many_seconds_apart() -> None:
    clock = [100.0]
    seldom = Seldom(10.0, now=lambda: clock[0])
    due = []
    for clock[0] in (100.0, 109.9, 110.0, 110.1, 119.9, 125.0, 126.0):
        due.append(seldom.due())
    assert due == [False, False, True, False, False, True, False]


def test_whatever_else_was_said_counts() -> None:
    clock = [0.0]
    seldom = Seldom(10.0, now=lambda: clock[0])
    clock[0] = 9.0
    seldom.said()
    clock[0] = 18.0
    assert not seldom.due()
    clock[0] = 19.0
    assert seldom.due()
