"""`bench.gpu_verify` where there is no GPU: what it says, and all of it but the GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from bench import gpu_stages, gpu_verify
from bench.match_references import Material
from forgecli.match.bands import bands_of
from forgecli.match.keypoints import Keypoints
from forgecli.match.settings import MatchSettings
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.kernels.cuda.test_verification import copies


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to do, and none of it looked for in a picture."""
    image, matches = copies((140, 150), 30, 1)
    grey = np.clip(128 + image, 0, 255).astype(np.uint8)
    random = np.random.default_rng(0)
    descriptors = np.sqrt(random.dirichlet(np.ones(128), 80)).astype(np.float32)
    keypoints = Keypoints(random.uniform(0, 140, (80, 2)), np.ones(80), np.zeros(80), descriptors)
    bands = bands_of(np.repeat(grey[..., None], 3, axis=2))
    made = Material(bands, keypoints, matches, MatchSettings())
    monkeypatch.setattr(gpu_verify, "material", lambda picture: made)
    monkeypatch.setattr(gpu_verify, "WINDOWS", 3)


@needs_compiler
def test_every_stage_is_compared_and_timed(little: None) -> None:
    records = gpu_verify.compared(HostDevice(), 300, rounds=1, least=0.0, matches=40)
    stages = [*gpu_verify.TOLERANCES, "all"]
    assert [record["stage"] for record in records] == stages
    assert all(record["cpu_milliseconds"] > 0 < record["gpu_milliseconds"] for record in records)
    assert "keypoints" in records[0]["work"]
    shown = gpu_stages.show({"device": "host", "threads": 1, "records": records})
    assert [line for line in shown.splitlines() if line.startswith("300 x 300: all")]


@needs_compiler
def test_a_result_that_differs_is_told(little: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = gpu_verify.Sides(HostDevice(), 300, 20)
    sides.check()
    right = sides.stages()

    def changed(result: Any) -> Any:
        if isinstance(result, np.ndarray):
            return result + 2
        return [changed(each) for each in result]

    for name, (cpu, gpu) in right.items():
        result = changed(gpu())
        stages = Mock(return_value={**right, name: (cpu, Mock(return_value=result))})
        monkeypatch.setattr(sides, "stages", stages)
        with pytest.raises(SystemExit, match=f"disagrees with the CPU: {name}: not "):
            sides.check()


def test_without_a_gpu_it_says_so() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if cupy.cuda.is_available():
        pytest.skip("there is a GPU")
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu_verify"], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert "needs an NVIDIA GPU and CuPy: CuPy finds no GPU" in done.stderr
