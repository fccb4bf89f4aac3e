"""What of bench.components_cuda runs without a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from bench import components_cuda
from bench.components_cuda import OURS, Ours, show
from bench.machine import Timing
from tests.kernels.cuda.host import HostDevice, needs_compiler


@needs_compiler
def test_ours_is_checked() -> None:
    pixels = (np.random.default_rng(0).random((70, 50)) < 0.3).astype(np.uint8)
    device = HostDevice()
    ours = Ours(device, device.stream(), pixels, 4, 3)
    ours()
    ours.check(pixels, 4)
    with pytest.raises(SystemExit, match="disagrees"):
        ours.check(pixels, 8)


def test_records_as_tables() -> None:
    record = {"side": 64, "mask": "noise", "connectivity": 4, "components": 3, "pieces": 5}
    times = {"gpu_milliseconds": 0.1, "host_milliseconds": 0.02, "shown": "1.00 (1.00 - 1.00)"}
    both = [{**record, **times, "contender": name} for name in (OURS, "areas, a peer")]
    shown = show({"device": "a GPU", "records": [*both, {**both[0], "connectivity": 8}]})
    assert shown.count("64 x 64, noise") == 2
    lines = [line.split() for line in shown.splitlines() if line.startswith("areas, a peer")]
    assert lines == [["areas,", "a", "peer", "0.100", "0.020", "1.00", "(1.00", "-", "1.00)"]]


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none(number: int = 0) -> None:
        raise RuntimeError("CuPy finds no GPU 0")

    monkeypatch.setattr("kernels.cuda.cupy_device.CupyDevice", none)
    monkeypatch.setattr("sys.argv", ["components_cuda"])
    with pytest.raises(SystemExit) as stopped:
        components_cuda.main()
    assert stopped.value.code == 2
    assert "needs an NVIDIA GPU" in capsys.readouterr().err


@needs_compiler
def test_a_peer_that_cannot_run_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("no headers\nof CUDA")

    def timed(cupy: object, contenders: dict[str, object], rounds: int) -> dict[str, Timing]:
        return {name: Timing((1.0,), (0.5,)) for name in contenders}

    device, told = HostDevice(), dict[str, str]()
    monkeypatch.setattr(components_cuda, "peers", lambda *_: {"areas, a peer": broken})
    monkeypatch.setattr(components_cuda, "timed", timed)
    pixels = (np.random.default_rng(0).random((40, 50)) < 0.3).astype(np.uint8)
    found = components_cuda._records(
        None, device, device.stream(), "noise", pixels, 4, 1, told.__setitem__
    )
    assert [record["contender"] for record in found] == [
        OURS, "areas and runs, forge, of 8 pictures",
    ]  # fmt: skip
    assert told == {"areas, a peer": "no headers\nof CUDA"}
