"""What of bench.gpu_match runs without a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench import gpu, gpu_match, gpu_parts
from bench.dense_sides import MOST_UNEQUAL, Sides, drawn
from bench.gpu_match import compared, measured
from bench.gpu_stages import figure, label, show
from kernels import coherence
from tests.kernels.cuda.host import HostDevice, needs_compiler

STAGES = ["describe", "seed", "find", "agree", "fit", "all, with copies"]


@needs_compiler
def test_every_stage_is_compared_and_timed() -> None:
    results = measured(HostDevice(), (96,), rounds=1)
    assert [record["stage"] for record in results["records"]] == STAGES
    for record in results["records"]:
        assert record["cpu_milliseconds"] > 0
        assert record["gpu_milliseconds"] > 0
        assert 20 < record["gpu_bytes_per_pixel"] < 60
        assert record["seeds_unequal"] <= MOST_UNEQUAL
    shown = show(results).splitlines()
    assert shown[0] == "host"
    assert [line.split("  ")[0] for line in shown[4:]] == [f"96 x 96: {name}" for name in STAGES]


@needs_compiler
def test_a_wrong_result_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = Sides(HostDevice(), HostDevice().stream(), drawn(80))
    sides.check()
    one_more: Any = lambda field, **how: right(field, **how) + 1  # noqa: E731
    right = coherence.agreeing
    monkeypatch.setattr("bench.dense_sides.coherence.agreeing", one_more)
    with pytest.raises(SystemExit, match="disagrees with the CPU: counts differ"):
        sides.check()


@needs_compiler
def test_a_describing_that_does_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = Sides(HostDevice(), HostDevice().stream(), drawn(80))
    sides.check()
    launch = HostDevice.launch

    def wrong(self: HostDevice, source: str, kernel: str, *others: Any) -> None:
        if kernel != "describe":
            launch(self, source, kernel, *others)

    monkeypatch.setattr(HostDevice, "launch", wrong)
    with pytest.raises(SystemExit, match="disagrees with the CPU: moments differ"):
        sides.check()


@needs_compiler
def test_wrong_energies_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = Sides(HostDevice(), HostDevice().stream(), drawn(80))
    launch = HostDevice.launch

    def wrong(self: HostDevice, source: str, kernel: str, *others: Any) -> None:
        launch(self, source, kernel, *others)
        if kernel == "describe":
            self.fill(sides._there.energies, 0, self.stream(), size=4)

    monkeypatch.setattr(HostDevice, "launch", wrong)
    with pytest.raises(SystemExit, match="disagrees with the CPU: moments differ"):
        sides.check()


@needs_compiler
def test_a_wrong_seeding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.dense_sides.morton_cuda.curves", lambda orders, seed: np.zeros(
        (orders, 17, 6), np.float32
    ))  # fmt: skip
    with pytest.raises(SystemExit, match="of the seeds differ"):
        compared(HostDevice(), 80, rounds=1)


def test_a_line_of_a_record() -> None:
    record = {"side": 64, "stage": "seed", "cpu_milliseconds": 12.34, "gpu_milliseconds": 0.5,
              "shown": "24.7 (24.0 - 25.1)"}  # fmt: skip
    assert label(record) == "64 x 64: seed"
    assert figure(record) == "0.50 ms, the CPU 12.3 ms: 24.7 (24.0 - 25.1) times as long"


def test_it_is_a_part_of_the_gpu_bench() -> None:
    assert "dense_field" in gpu_parts.PARTS
    assert gpu.LIMITS["dense_field"] > 0


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none(number: int = 0) -> None:
        raise RuntimeError("CuPy finds no GPU 0")

    monkeypatch.setattr("kernels.cuda.cupy_device.CupyDevice", none)
    monkeypatch.setattr("sys.argv", ["gpu_match"])
    with pytest.raises(SystemExit) as stopped:
        gpu_match.main()
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert "needs an NVIDIA GPU and CuPy: CuPy finds no GPU 0" in said.err
    assert not said.out
