"""A fused gate that was tuned beside match at other thresholds is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forgecli.match.operating import default_points
from forgecli.predict.detectors import Chosen, choose
from forgecli.predict.settings import PredictSettings
from forgecli.segment.checkpoint import read_card, write_card
from forgecli.segment.thresholds import Thresholds
from tests.segment.checkpoints import write_checkpoint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "t.safetensors", thresholds=Thresholds(fused_gate=0.9))


def fused(model: Path, config: dict[str, dict[str, Any]] | None = None, **asked: Any) -> Chosen:
    return choose(
        PredictSettings(detector="fused", model=model, **asked), config=config or {}, file=None,
        environment={}, network={"device": "cpu"},
    )  # fmt: skip


def tuned_beside(model: Path, **asked: Any) -> dict[str, Any]:
    """Puts into the checkpoint what forge tune would of a match that was asked so."""
    record = json.loads(json.dumps(fused(model, **asked).record["match"]))
    names = ("thresholds", "false_positive_rate", "judge_sha256")
    point = {name: record[name] for name in names}
    write(model, point)
    return point


def write(model: Path, point: object) -> None:
    card = read_card(model)
    write_card(model, replace(card, tuning={"fused": {"operating_point_of_match": point}}))


def test_another_rate_or_score_is_said(model: Path) -> None:
    tuned_beside(model)
    assert not fused(model).warnings
    assert not fused(model, fpr=0.01).warnings, "the usual rate, said"
    (said,) = fused(model, fpr=0.05).warnings
    assert "at 1 % of false positives, and here match is at 5 % of false positives" in said
    assert "forge tune --fused" in said
    (said,) = fused(model, threshold=0.7).warnings
    assert "and here match is at the score 0.7" in said
    tuned_beside(model, threshold=0.7)
    assert not fused(model, threshold=0.7).warnings
    (said,) = fused(model).warnings
    assert "at the score 0.7, and here match is at 1 %" in said


def test_what_flags_from_the_same_scores_is_the_same(model: Path) -> None:
    point = tuned_beside(model, threshold=0.7)
    kinds = dict.fromkeys(default_points().thresholds, 0.7)
    write(model, {**point, "thresholds": kinds, "false_positive_rate": 0.01})
    assert not fused(model, threshold=0.7).warnings
    write(model, {**point, "thresholds": {**kinds, "blot": 0.8}, "false_positive_rate": 0.01})
    assert len(fused(model, threshold=0.7).warnings) == 1


def test_a_search_for_inverted_copies_is_another_match(model: Path) -> None:
    point = tuned_beside(model, threshold=0.7)
    inverted = {"match": {"inverted": True}}
    (said,) = fused(model, inverted, threshold=0.7).warnings
    assert "at the score 0.7 without --inverted, and here match is at the score 0.7 with it" in said
    write(model, {**point, "inverted": True})
    assert not fused(model, inverted, threshold=0.7).warnings
    (said,) = fused(model, threshold=0.7).warnings
    assert "with --inverted, and here match is at the score 0.7 without it" in said


def test_another_judge_is_said(model: Path) -> None:
    point = tuned_beside(model)
    others = {kind: score - 0.01 for kind, score in point["thresholds"].items()}
    write(model, {**point, "thresholds": others})
    (said,) = fused(model).warnings
    assert "tuned beside match with another judge" in said


def test_nothing_is_said_of_a_gate_of_the_users_or_of_what_is_not_known(model: Path) -> None:
    tuned_beside(model)
    file = {"segment": {"fused-gate": 0.8}}
    assert not fused(model, file, fpr=0.05).warnings
    for point in (None, {}, {"thresholds": None}, "?"):
        write(model, point)
        assert not fused(model, fpr=0.05).warnings
    write_card(model, replace(read_card(model), tuning={"fused": None}))
    assert not fused(model, fpr=0.05).warnings
