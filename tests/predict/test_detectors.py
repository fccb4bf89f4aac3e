"""Which detector runs, with which threshold, and what the record says of it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from forgecli.errors import UsageError
from forgecli.fused import FusedDetector
from forgecli.match.detector import MatchDetector
from forgecli.match.operating import default_points
from forgecli.predict import detectors
from forgecli.predict.detectors import Chosen, choose
from forgecli.predict.record import settings_hash
from forgecli.predict.settings import PredictSettings
from forgecli.segment.checkpoint import read_card, write_card
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.thresholds import Thresholds
from forgecli.stream.way import way_of
from tests.segment.checkpoints import write_checkpoint
from tests.segment.onnx_files import write_onnx


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "a.safetensors", thresholds=Thresholds(gate=0.8))


def chosen(
    config: dict[str, dict[str, Any]] | None = None,
    environment: dict[str, str] | None = None,
    network: dict[str, Any] | None = None,
    **asked: Any,
) -> Chosen:
    return choose(
        PredictSettings(**asked), config=config or {}, file=None, environment=environment or {},
        network={"device": "cpu", **(network or {})} if asked.get("model") else network or {},
    )  # fmt: skip


def test_which_detector_it_is(model: Path) -> None:
    assert chosen().name == "match" and isinstance(chosen().make(), MatchDetector)
    alone = chosen(model=model)
    assert alone.name == "segment" and isinstance(alone.make(), SegmentDetector)
    both = chosen(model=model, detector="fused")
    assert both.name == "fused" and isinstance(both.make(), FusedDetector)
    assert chosen(detector="match", network={"device": None}).name == "match"
    with pytest.raises(UsageError, match="match has none"):
        chosen(model=model, detector="match")


def test_a_network_that_was_tuned_to_be_quiet_says_so(tmp_path: Path) -> None:
    quiet = write_checkpoint(tmp_path / "q.safetensors", thresholds=Thresholds(gate=1.0))
    assert any("flags nothing" in text for text in chosen(model=quiet).warnings)
    assert not chosen(model=quiet, threshold=0.5).warnings


def test_another_view_than_the_tuned_one_is_said(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path / "t.safetensors")
    card = read_card(file)
    view = dataclasses.asdict(card.preprocess)
    write_card(file, replace(card, tuning={"tta": "d4", "precision": "fp32", "preprocess": view}))
    (said,) = chosen(model=file).warnings
    assert "another tta (d4 there, none here)" in said
    assert not chosen(model=file, network={"tta": "d4"}).warnings
    assert len(chosen(model=file, network={"tta": "d4", "size": 64}).warnings) == 1


def test_the_threshold_is_the_detectors_own(model: Path) -> None:
    assert chosen(threshold=0.2).threshold == chosen(threshold=0.2).make().settings.threshold == 0.2
    assert chosen(model=model).threshold == 0.8
    asked = chosen(model=model, threshold=0.3)
    assert asked.threshold == asked.make().plan.thresholds.gate == 0.3
    file = {"segment": {"gate": 0.4}}
    assert chosen(file, model=model).threshold == 0.4
    assert chosen(file, {"FORGE_SEGMENT_GATE": "0.5"}, model=model).threshold == 0.5
    assert chosen(file, model=model, threshold=0.6).threshold == 0.6
    assert chosen(model=model, detector="fused", threshold=0.6).threshold == 0.6


def test_the_false_positive_rate_chooses_the_threshold(model: Path) -> None:
    points = default_points()
    kinds = sorted(points.thresholds)

    def lowest(rate: float) -> float:
        return min(points.threshold(rate, kind) for kind in kinds)

    assert chosen().threshold == lowest(0.01), "the default is 1 %"
    assert chosen(fpr=0.05).threshold == lowest(0.05)
    assert chosen(fpr=0.05).make().settings.false_positive_rate == 0.05
    assert chosen(fpr=0.05, model=model, detector="fused").threshold == lowest(0.05)
    said = chosen(fpr=0.05).record
    assert said["false_positive_rate"] == 0.05
    assert said["thresholds"] == {kind: points.threshold(0.05, kind) for kind in kinds}
    assert chosen(threshold=0.2).record["thresholds"] == {"all": 0.2}
    # What the job is asked for wins over the detector's own table.
    file = {"match": {"threshold": 0.3}}
    assert chosen(file).threshold == 0.3
    assert chosen(file, fpr=0.02).threshold == lowest(0.02)
    assert chosen({"match": {"false-positive-rate": 0.02}}).threshold == lowest(0.02)


@pytest.mark.parametrize(
    ("asked", "file", "said"),
    [
        ({"fpr": 0.02, "threshold": 0.5}, {}, "--threshold and --fpr"),
        ({"fpr": 0.9}, {}, "--fpr: .*from 0.005 to 0.1. Got: 0.9"),
        ({"fpr": 0.0001}, {}, "Got: 0.0001"),
        ({}, {"match": {"false-positive-rate": 0.5}}, "false-positive-rate: .*Got: 0.5"),
    ],
)
def test_rates_that_cannot_be(
    asked: dict[str, Any], file: dict[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(file, **asked)


def test_a_network_has_no_measured_rates(model: Path) -> None:
    with pytest.raises(UsageError, match="--fpr is for match"):
        chosen(model=model, fpr=0.01)


def test_fused_has_the_gate_of_the_checkpoint_or_of_the_user(tmp_path: Path, model: Path) -> None:
    tuned = write_checkpoint(tmp_path / "t.safetensors", thresholds=Thresholds(fused_gate=0.97))
    assert not chosen(model=tuned, detector="fused").warnings
    (said,) = chosen(model=model, detector="fused").warnings
    assert "fused_gate" in said and "match alone" in said
    asked = chosen({"segment": {"fused-gate": 0.9}}, model=model, detector="fused")
    assert not asked.warnings
    fused: Any = asked.make()
    assert fused._gate == 0.9
    assert fused._segment.plan.thresholds.gate == 0.9, "it outlines from there on"


@pytest.mark.parametrize(
    ("asked", "network", "said"),
    [
        ({"detector": "segment"}, {}, "needs a network"),
        ({"detector": "fused"}, {}, "needs a network"),
        ({"detector": "match"}, {"tta": "d4"}, "--tta is for networks"),
        ({}, {"instances": "merged"}, "--instances is for networks"),
        ({"model": Path("none.safetensors")}, {}, "no such checkpoint"),
    ],
)
def test_what_does_not_go_together_is_wrong_use(
    asked: dict[str, Any], network: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(network=network, **asked)


def test_unknown_keys_are_refused_whichever_detector_runs() -> None:
    with pytest.raises(UsageError, match=r"unknown key 'pixels' in \[segment\]") as raised:
        chosen({"segment": {"pixels": 1}})
    assert "did you mean pixel?" in raised.value.mend
    with pytest.raises(UsageError, match="FORGE_SEGMENT_GATES"):
        chosen(environment={"FORGE_SEGMENT_GATES": "1"})


def test_workers_of_a_gpu(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forgecli.segment import plan

    assert chosen(model=model).most_workers is None and chosen().most_workers is None
    monkeypatch.setattr(plan, "resolve_device", lambda asked: "cuda:0")
    assert chosen(model=model).most_workers == 1
    assert chosen(model=model, detector="fused").most_workers == 4
    assert "cuda:0" in chosen(model=model).notes[0]


def test_an_onnx_is_shared_by_all_images_at_work(model: Path, tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx")
    found = chosen(model=file)
    shared = found.make_shared
    assert shared is not None
    for other in (chosen(), chosen(model=model), chosen(model=file, detector="fused")):
        assert other.make_shared is None
    way = way_of(found, PredictSettings(model=file))
    assert isinstance(way.make_pool, partial) and way.make_pool.keywords == {"shared": shared}
    assert way.most_workers is None
    assert chosen(model=file, network={"instances": "matched"}).make_shared is None


def test_the_hash_follows_all_that_can_change_an_annotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write_checkpoint(tmp_path / "one.safetensors")
    other = write_checkpoint(tmp_path / "other.safetensors", seed=1)

    def hashed(**asked: Any) -> str:
        found = chosen(**asked)
        settings = replace(PredictSettings(**{k: v for k, v in asked.items() if k in ("model",)}),
                           detector=found.name, threshold=found.threshold)  # fmt: skip
        return settings_hash(settings, found.record)

    hashes = {
        "match": hashed(),
        "rate": hashed(fpr=0.05),
        "one": hashed(model=one),
        "other": hashed(model=other),
        "fused": hashed(model=one, detector="fused"),
        "fused other": hashed(model=other, detector="fused"),
        "tta": hashed(model=one, network={"tta": "d4"}),
        "pixel": hashed(model=one, config={"segment": {"pixel": 0.1}}),
        "fused match": hashed(model=one, detector="fused", config={"match": {"min_area": 49}}),
    }
    assert len(set(hashes.values())) == len(hashes)
    assert hashed(model=one, network={"batch": 2}) == hashes["one"], "how many go at once"
    scored = hashed(threshold=0.5)
    assert scored == hashed(threshold=0.5, config={"match": {"false-positive-rate": 0.05}})
    assert scored == hashed(threshold=0.5, environment={"FORGE_PREDICT_FPR": "0.1"}), "of no effect"

    class Elsewhere:
        def joinpath(self, name: str) -> Path:
            (tmp_path / name).write_text("{}")
            return tmp_path / name

    monkeypatch.setattr(detectors, "files", lambda package: Elsewhere())
    assert hashed() != hashes["match"], "another judge"
    assert hashed(model=one, detector="fused") != hashes["fused"]
    assert hashed(model=one) == hashes["one"]


def test_the_record_of_a_run_holds_the_thresholds_of_all_kinds(tmp_path: Path) -> None:
    from forgecli.predict.record import write_record
    from forgecli.predict.summary import Summary

    def recorded(**asked: Any) -> dict[str, Any]:
        found = chosen(**asked)
        settings = replace(
            PredictSettings(), detector=found.name, threshold=found.threshold, fpr=found.fpr
        )
        write_record(tmp_path / "r.json", settings, found.record, Summary(0, 0, 0))
        written: dict[str, Any] = json.loads((tmp_path / "r.json").read_text())["settings"]
        return written

    points = default_points()
    by_rate = recorded(fpr=0.05)
    assert by_rate["threshold"] == {
        kind: points.threshold(0.05, kind) for kind in points.thresholds
    }
    assert by_rate["fpr"] == 0.05
    assert recorded()["fpr"] == 0.01
    by_score = recorded(threshold=0.4)
    assert (by_score["threshold"], by_score["fpr"]) == (0.4, None)


def test_the_record_says_whether_the_rate_was_measured_so(tmp_path: Path) -> None:
    from forgecli.predict.record import write_record
    from forgecli.predict.summary import Summary

    def rate(**asked: Any) -> Any:
        found = chosen(**asked)
        settings = PredictSettings(detector=found.name)
        write_record(tmp_path / "r.json", settings, found.record, Summary(0, 0, 0))
        return json.loads((tmp_path / "r.json").read_text())["false_positive_rate"]

    assert rate() == {"asked": 0.01, "measured": True, "unmeasured": []}
    assert rate(fpr=0.05)["asked"] == 0.05
    with_inverted = rate(config={"match": {"inverted": True, "min-gutter": 4}})
    assert with_inverted == {"asked": 0.01, "measured": False,
                             "unmeasured": ["min_gutter", "inverted"]}  # fmt: skip
    assert rate(threshold=0.7) is None
    assert rate(config={"match": {"inverted": True}}, threshold=0.7) is None
    model = write_checkpoint(tmp_path / "a.safetensors")
    assert rate(model=model) is None, "a network alone has no rate"
    assert rate(model=model, detector="fused")["measured"], "without a gate it never speaks"
    write_checkpoint(model, thresholds=Thresholds(gate=0.8, fused_gate=0.9))
    assert rate(model=model, detector="fused")["unmeasured"] == ["segment"]
