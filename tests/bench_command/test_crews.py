"""The same work in several processes: counted, timed, and its failures told."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

import pytest

from forgecli.bench.crews import Step, rates
from forgecli.errors import ForgeError, UsageError


def sleeping(seconds: float) -> Step:
    def step(number: int) -> dict[str, float]:
        time.sleep(seconds)
        return {"sleep": seconds, "number": float(number)}

    return step


def fails() -> Step:
    raise ValueError("no such thing")


def refuses() -> Step:
    raise UsageError("is not there.", file="x.onnx")


def dies() -> Step:
    os._exit(5)


def test_rates_add_up() -> None:
    phases = {"slow": (partial(sleeping, 0.05), 0.5), "fast": (partial(sleeping, 0.01), 0.2)}
    found, taken = rates(phases, 4, processes=2, threads=1)
    assert taken == 4
    assert 10 < found["slow"].per_second <= 40, "two processes, 20 a second each at most"
    assert found["slow"].images >= 8
    assert found["slow"].seconds["sleep"] == pytest.approx(0.05)
    assert found["slow"].cpu < 0.05, "sleeping costs no CPU time"
    assert found["fast"].per_second > found["slow"].per_second


def test_all_pictures_come_equally_often() -> None:
    found, taken = rates({"one": (partial(sleeping, 0.002), 0.05)}, 3, processes=1, threads=1)
    assert taken == 3
    assert found["one"].images % 3 == 0
    assert found["one"].seconds["number"] == pytest.approx(1.0), "the mean of 0, 1, 2"


def test_slow_work_takes_fewer_pictures() -> None:
    found, taken = rates({"one": (partial(sleeping, 0.1), 0.25)}, 40, processes=1, threads=1)
    assert 1 <= taken <= 2
    assert found["one"].images >= taken


@pytest.mark.parametrize(
    ("maker", "said"),
    [(fails, "ValueError in fails: no such thing"), (refuses, "is not there"), (dies, "ended")],
)
def test_failures_are_told(maker: object, said: str) -> None:
    with pytest.raises(ForgeError, match=said):
        rates({"one": (maker, 0.1)}, 1, processes=1, threads=1)  # type: ignore[dict-item]


def several(seconds: float) -> Step:
    def step(number: int) -> dict[str, float]:
        time.sleep(seconds)
        return {"engine": seconds, "images": 4}

    return step


def test_a_step_may_be_several_images() -> None:
    found, _ = rates({"one": (partial(several, 0.04), 0.2)}, 2, processes=1, threads=1)
    assert found["one"].images % 4 == 0
    assert 40 < found["one"].per_second <= 100
    assert found["one"].seconds == {"engine": pytest.approx(0.01)}


def together(lanes: int) -> Step:
    meeting = threading.Barrier(lanes)

    def step(number: int) -> dict[str, float]:
        if threading.current_thread() is not threading.main_thread():
            meeting.wait(10)
        time.sleep(0.02)
        return {"met": 1.0}

    return step


def test_lanes_are_threads_side_by_side() -> None:
    # No time, so every lane makes one round: by their clocks they would not end together.
    found, taken = rates({"one": (partial(together, 3), 0.0)}, 2, processes=1, threads=1, lanes=3)
    assert taken == 1
    assert found["one"].images == 3
    assert found["one"].seconds["met"] == 1.0
    assert found["one"].per_second <= 150
