"""Match on a GPU: who gets there, what is said and recorded of it, and what if it is full."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pytest

from forgecli.detection import Case, Status
from forgecli.errors import UsageError
from forgecli.match import gpu
from forgecli.match.compute import CPU
from forgecli.match.detector import MatchDetector
from forgecli.match.gpu import OnGpu
from forgecli.match.settings import MatchSettings
from forgecli.predict.detectors import Chosen
from forgecli.predict.examine import Examiner
from forgecli.predict.record import settings_hash
from forgecli.predict.settings import PredictSettings
from forgecli.predict.tasks import Task, Work
from tests.kernels.cuda.host import HostDevice, needs_compiler
from tests.match.devices import Watched
from tests.match.pictures import photograph, tissue
from tests.predict.test_detectors import chosen
from tests.segment.checkpoints import write_checkpoint


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> HostDevice:
    """A machine with a GPU, as far as it is only looked for."""
    device = HostDevice()
    monkeypatch.setattr("kernels.cuda.cupy_device.CupyDevice", lambda number: device)
    return device


def match_on(device: str | None, **asked: Any) -> Chosen:
    return chosen(network={"device": device}, **asked)


def compute_of(found: Chosen) -> object:
    detector = found.make()
    assert isinstance(detector, MatchDetector)
    return detector._compute


def test_a_gpu_that_is_named_is_used_said_and_recorded(one_gpu: HostDevice) -> None:
    found = match_on("cuda")
    assert found.name == "match" and isinstance(compute_of(found), OnGpu)
    assert found.notes == ("match: on cuda:0",)
    assert any("nobody has measured" in text for text in found.warnings)
    assert found.record["device"] == "cuda:0"
    assert found.most_workers == 4
    there, here = (
        settings_hash(PredictSettings(detector="match"), each.record)
        for each in (found, match_on("cpu"))
    )
    assert there != here


@pytest.mark.parametrize("asked", [None, "auto", "cpu"])
def test_else_it_is_the_cpu_as_ever(one_gpu: HostDevice, asked: str | None) -> None:
    found = match_on(asked)
    assert compute_of(found) is CPU
    assert not found.notes and not found.warnings and found.most_workers is None
    assert found.record == chosen().record


def test_the_device_of_the_networks_table_is_not_matchs(one_gpu: HostDevice) -> None:
    assert compute_of(chosen({"segment": {"device": "cuda:0"}})) is CPU


def test_in_fused_the_network_is_there_and_match_is_not(
    tmp_path: Path, one_gpu: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgecli.segment.plan.resolve_device", lambda asked: "cuda:0")
    monkeypatch.setattr(gpu, "open_gpu", lambda device: pytest.fail("match was put on a GPU"))
    model = write_checkpoint(tmp_path / "a.safetensors")
    found = chosen(model=model, detector="fused", network={"device": "cuda:0"})
    found.make()
    assert "device" not in found.record["match"]


@pytest.mark.parametrize(
    ("asked", "said"), [("mps", "does not run on mps"), ("cuda:99", "cuda:99"), ("gpu", "'gpu'")]
)
def test_what_is_not_there_is_wrong_use(asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        match_on(asked)


def test_a_program_that_cannot_have_its_gpu_ends(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photograph(tissue((40, 40), 1)))
    forge = (sys.executable, "-c", "from forgecli.app import main; main()")
    done = subprocess.run(
        [*forge, "predict", "a.png", "--device", "cuda:99"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--device" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.csv"))


@needs_compiler
def test_an_image_that_the_gpu_has_no_room_for_fails_and_the_next_does_not(tmp_path: Path) -> None:
    device = Watched()
    compute = OnGpu(device)
    work = Work(
        partial(MatchDetector, MatchSettings(upscale_below=1), None, compute),
        0.5, 0, 10**6, "npy", evidence=False,
    )  # fmt: skip
    examiner = Examiner(work)
    examiner.prepare()
    device.room = device.live + 600_000
    outcomes = []
    for row, side in enumerate((50, 160, 50)):
        file = tmp_path / f"{row}.png"
        cv2.imwrite(str(file), photograph(tissue((side, side), row)))
        outcomes.append(examiner.examine(Task(row, Case(str(row), file))))
    assert [each.status for each in outcomes] == [Status.OK, Status.FAILED, Status.OK]
    failed = outcomes[1]
    assert failed.reason == "out of memory on the GPU while detecting"
    assert failed.out_of_memory and failed.annotation == "authentic"
    examiner.close()
