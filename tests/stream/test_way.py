"""Who takes the GPU path, and what is said to those who do not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from forgecli.config import resolve
from forgecli.errors import UsageError
from forgecli.predict.detectors import Chosen
from forgecli.predict.pool import Pool
from forgecli.predict.settings import PredictSettings
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.stream.pool import StreamPool
from forgecli.stream.way import way_of
from kernels.cuda import cupy_device
from tests.predict.fakes import FakeDetector
from tests.stream.host_lanes import plan_of


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy finds one."""
    monkeypatch.setattr("forgecli.stream.way.find_spec", lambda name: object())
    monkeypatch.setattr(cupy_device, "CupyDevice", lambda number: object())


def chosen(plan: SegmentPlan | None, name: Any = "segment") -> Chosen:
    return Chosen(name, FakeDetector, 0.5, {}, network=plan, most_workers=1)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("engine", ["torch", "tensorrt"])
@pytest.mark.parametrize("streams", [None, 3])
def test_networks_on_a_gpu_take_it(engine: Any, streams: int | None) -> None:
    way = way_of(chosen(replace(plan_of(), engine=engine)), PredictSettings(streams=streams))
    assert isinstance(way.make_pool, partial) and way.make_pool.func is StreamPool
    assert way.make_pool.keywords["streams"] == streams
    assert way.notes == () and way.most_workers is not None and way.most_workers >= 1


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("changed", "settings", "said"),
    [
        ({}, {"workers": 0}, "--workers 0"),
        ({"preprocess": Preprocess(view="tile")}, {}, "view resize"),
        ({"preprocess": Preprocess(ela=True)}, {}, "JPEG"),
        ({"tta": "flip"}, {}, "--tta none"),
        ({"thresholds": plan_of(instances="matched").thresholds}, {}, "merged or components"),
        ({"graphs": True}, {}, "graphs"),
    ],
)
def test_others_are_told_why_not(
    changed: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    way = way_of(chosen(replace(plan_of(), **changed)), PredictSettings(**settings))
    assert way.make_pool is Pool and way.most_workers == 1
    assert len(way.notes) == 1 and said in way.notes[0] and "not the GPU path" in way.notes[0]


@pytest.mark.usefixtures("gpu")
def test_fused_is_told_why_not() -> None:
    (said,) = way_of(chosen(plan_of(), "fused"), PredictSettings()).notes
    assert "match" in said


def test_without_cupy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgecli.stream.way.find_spec", lambda name: None)
    (said,) = way_of(chosen(plan_of()), PredictSettings()).notes
    assert "forgecli[gpu]" in said


def test_a_gpu_that_cupy_does_not_find_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(number: int) -> None:
        raise RuntimeError(f"CuPy finds no GPU {number}")

    monkeypatch.setattr("forgecli.stream.way.find_spec", lambda name: object())
    monkeypatch.setattr(cupy_device, "CupyDevice", none)
    (said,) = way_of(chosen(replace(plan_of(), device="cuda:2")), PredictSettings()).notes
    assert "CuPy finds no GPU 2" in said


@pytest.mark.parametrize("plan", [None, replace(plan_of(), device="cpu")])
def test_on_the_cpu_nothing_is_said(plan: SegmentPlan | None) -> None:
    way = way_of(chosen(plan), PredictSettings())
    assert way.make_pool is Pool and way.notes == ()


@pytest.mark.parametrize(("text", "value"), [("auto", None), ("3", 3), ("64", 64)])
def test_what_a_user_may_say_of_streams(text: str, value: Any) -> None:
    settings = resolve(
        PredictSettings, "predict", config={}, file=None, environment={}, flags={"streams": text}
    )
    assert settings.streams == value


@pytest.mark.parametrize("text", ["0", "65", "many", "-1", "1.5"])
def test_what_a_user_may_not(text: str) -> None:
    with pytest.raises(UsageError, match="STREAMS: input should be"):
        resolve(
            PredictSettings, "predict", config={}, file=None,
            environment={"FORGE_PREDICT_STREAMS": text}, flags={},
        )  # fmt: skip


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("plan", "name", "said"),
    [
        (None, "match", "match has no network"),
        (replace(plan_of(), device="cpu"), "segment", "not on a GPU"),
        (replace(plan_of(), tta="flip"), "segment", "--tta none"),
        (plan_of(), "fused", "no streams"),
    ],
)
def test_streams_that_would_do_nothing_are_refused_if_typed(
    plan: SegmentPlan | None, name: str, said: str
) -> None:
    settings = PredictSettings(streams=4)
    assert way_of(chosen(plan, name), settings).make_pool is Pool, "from a file they may be there"
    with pytest.raises(UsageError, match="--streams has nothing to do") as raised:
        way_of(chosen(plan, name), settings, typed=True)
    assert said in raised.value.what and raised.value.mend == "leave out --streams"
