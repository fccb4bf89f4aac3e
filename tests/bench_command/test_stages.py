"""The parts of predict add up to the whole."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.base import Images, Logits
from forgecli.bench import stages
from forgecli.bench.pictures import drawn, micrograph, readable
from forgecli.detection import Case, Detection, Detector, Picture
from forgecli.errors import UsageError
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.settings import SegmentSettings
from tests.segment.checkpoints import write_checkpoint
from tests.segment.fake_engine import FakeEngine, red


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    import cv2

    found = []
    for number, shape in enumerate(((40, 60), (64, 64))):
        file = tmp_path / f"{number}.png"
        cv2.imwrite(str(file), micrograph(shape, np.random.default_rng(number)))
        found.append(Case(file.stem, file))
    return found


@pytest.fixture
def plan(tmp_path: Path) -> SegmentPlan:
    weights = write_checkpoint(tmp_path / "best.safetensors", preprocess=Preprocess(size=64))
    return SegmentPlan.of(weights, SegmentSettings(device="cpu"))


def slow(images: Images) -> Logits:
    time.sleep(0.02)
    return red(images)


def test_the_engine_is_told_from_the_rest(
    cases: list[Case], plan: SegmentPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "opened", lambda plan, at_once=1: FakeEngine(slow))
    step = stages.all_of_segment(cases, plan)
    step(0)
    started = time.perf_counter()
    spent = step(1)
    whole = time.perf_counter() - started
    assert list(spent) == ["decode", "prepare", "engine", "finish"]
    assert 0.02 <= spent["engine"] < 0.1
    assert min(spent.values()) >= 0
    assert sum(spent.values()) == pytest.approx(whole, abs=0.005)


def test_the_bare_engine_gets_what_the_detector_gives_it(
    cases: list[Case], plan: SegmentPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(red)
    monkeypatch.setattr(stages, "opened", lambda plan, at_once=1: engine)
    step = stages.computing(cases, replace(plan, tta="flip", batch=2))
    engine.batches.clear()
    spent = step(0)
    assert engine.batches == [2, 2], "four forms, two at a time"
    assert spent["engine"] > 0
    assert spent["images"] == 1


def test_a_gpu_gets_batches(
    cases: list[Case], plan: SegmentPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(red)
    monkeypatch.setattr(stages, "opened", lambda plan, at_once=1: engine)
    step = stages.computing(cases, replace(plan, device="cuda:0", batch=4))
    engine.batches.clear()
    assert step(0)["images"] == 4
    assert engine.batches == [4]


def test_it_runs_the_network_of_a_checkpoint(cases: list[Case], plan: SegmentPlan) -> None:
    assert stages.computing(cases, plan)(0)["engine"] > 0


def test_decoding(cases: list[Case]) -> None:
    step = stages.decoding(cases)
    assert step(0)["decode"] > 0
    assert step(5)["decode"] > 0, "they come round again"


class Fake:
    """A detector that names its stages."""

    def prepare(self) -> None:
        pass

    def detect(self, pictures: list[Picture]) -> list[Detection]:
        time.sleep(0.01)
        return [Detection(p.case_id, p.pixels.shape[:2], seconds={"think": 0.008})
                for p in pictures]  # fmt: skip

    def close(self) -> None:
        pass


def fake() -> Detector:
    return Fake()  # type: ignore[return-value]


def test_any_detector_has_its_own_stages(cases: list[Case]) -> None:
    spent = stages.all_of(cases, fake, 0.5)(0)
    assert list(spent) == ["decode", "think", "other"]
    assert spent["other"] >= 0.001
    assert stages.detecting(cases, fake)(1)["detect"] >= 0.01


def test_drawn_pictures_can_be_read(tmp_path: Path) -> None:
    cases = drawn(tmp_path)
    assert len(cases) >= 4
    for case in cases:
        assert stages.decoding([case])(0)["decode"] > 0


def test_a_users_pictures(tmp_path: Path, cases: list[Case]) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    said: list[str] = []
    found = readable([tmp_path], 10, said.append)
    assert sorted(case.image.name for case in found) == ["0.png", "1.png"]
    assert said == ["1 of 3 images cannot be read: left out"]
    assert len(readable([cases[0].image, cases[1].image], 1, said.append)) == 1


def test_none_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="none of the images"):
        readable([tmp_path], 10, lambda text: None)
