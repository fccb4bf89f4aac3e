"""Which threshold or rate counts, of all that are said in a file, by a variable, on the command
line."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from forgecli.config import resolve
from forgecli.errors import UsageError
from forgecli.match.settings import MatchSettings
from forgecli.predict.detectors import Chosen, choose
from forgecli.predict.settings import PredictSettings
from tests.segment.checkpoints import write_checkpoint

USUAL = MatchSettings().false_positive_rate


def decided(
    file: dict[str, dict[str, Any]] | None = None,
    environment: dict[str, str] | None = None,
    typed: dict[str, Any] | None = None,
    network: dict[str, Any] | None = None,
) -> Chosen:
    """As the command does it."""
    places: dict[str, Any] = {
        "config": file or {}, "file": Path("f.toml"), "environment": environment or {},
    }  # fmt: skip
    flags = {"threshold": None, "fpr": None, **(typed or {})}
    settings = resolve(PredictSettings, "predict", flags=flags, **places)
    return choose(settings, network=network or {}, typed=flags, **places)


def said(chosen: Chosen) -> tuple[float | None, float | None]:
    """The threshold and the rate that match works with; they exclude each other."""
    made: Any = chosen.make()
    score, rate = made.settings.threshold, chosen.fpr
    assert (score is None) == (rate is not None)
    assert score is not None or made.settings.false_positive_rate == rate
    assert score is None or made.settings.false_positive_rate == USUAL, "a rate of no effect"
    return score, rate


Way = tuple[dict[str, Any], tuple[float | None, float | None]]
WAYS: dict[str, list[Way]] = {
    "file": [
        ({"predict": {"threshold": 0.2}}, (0.2, None)),
        ({"match": {"threshold": 0.2}}, (0.2, None)),
        ({"predict": {"fpr": 0.02}}, (None, 0.02)),
        ({"match": {"false-positive-rate": 0.02}}, (None, 0.02)),
    ],
    "environment": [
        ({"FORGE_PREDICT_THRESHOLD": "0.3"}, (0.3, None)),
        ({"FORGE_MATCH_THRESHOLD": "0.3"}, (0.3, None)),
        ({"FORGE_PREDICT_FPR": "0.03"}, (None, 0.03)),
        ({"FORGE_MATCH_FALSE_POSITIVE_RATE": "0.03"}, (None, 0.03)),
    ],
    "typed": [({"threshold": 0.4}, (0.4, None)), ({"fpr": 0.04}, (None, 0.04))],
}


def test_the_nearest_to_the_user_counts_whatever_it_is() -> None:
    assert said(decided()) == (None, USUAL)
    for level, ways in WAYS.items():
        for way, expected in ways:
            assert said(decided(**{level: way})) == expected
    for (low, lower), (high, higher) in product(WAYS["file"], WAYS["environment"] + WAYS["typed"]):
        level = "typed" if set(high) & {"threshold", "fpr"} else "environment"
        assert said(decided(**{"file": low, level: high})) == higher != lower
    for (low, _), (high, higher) in product(WAYS["environment"], WAYS["typed"]):
        assert said(decided(environment=low, typed=high)) == higher


def test_a_variable_is_one_of_ours_as_its_setting_is() -> None:
    """In small letters as a whole it is somebody else's; the field's part may be in any case."""
    foreign = {"forge_predict_fpr": "0.02", "Forge_Predict_Threshold": "x", "forge_match_x": "1"}
    assert said(decided(environment=foreign)) == (None, USUAL)
    assert said(decided(environment={"FORGE_PREDICT_fpr": "0.02"})) == (None, 0.02)
    mixed = {"FORGE_MATCH_False_Positive_Rate": "0.05"}
    assert said(decided(environment=mixed)) == (None, 0.05)
    both = {"FORGE_PREDICT_threshold": "0.3", "FORGE_PREDICT_FPR": "0.02"}
    with pytest.raises(UsageError, match="FORGE_PREDICT_threshold and FORGE_PREDICT_FPR"):
        decided(environment=both)


@pytest.mark.parametrize(
    ("level", "both", "named"),
    [
        ("typed", {"threshold": 0.5, "fpr": 0.01}, "--threshold and --fpr"),
        ("environment", {"FORGE_MATCH_THRESHOLD": "0.5", "FORGE_PREDICT_FPR": "0.01"},
         "FORGE_MATCH_THRESHOLD and FORGE_PREDICT_FPR"),
        ("file", {"predict": {"threshold": 0.5}, "match": {"false-positive-rate": 0.01}},
         r"\[predict\] threshold and \[match\] false-positive-rate"),
    ],
)  # fmt: skip
def test_one_level_cannot_say_both(level: str, both: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named + " both say"):
        decided(**{level: both})


def test_what_is_overruled_may_contradict_itself() -> None:
    both = {"predict": {"threshold": 0.5, "fpr": 0.01}}
    assert said(decided(file=both, typed={"fpr": 0.02})) == (None, 0.02)


def test_the_tables_of_the_job_come_before_those_of_match() -> None:
    assert said(decided({"predict": {"threshold": 0.2}, "match": {"threshold": 0.7}})) == (
        0.2,
        None,
    )
    file = {"predict": {"fpr": 0.02}, "match": {"false-positive-rate": 0.05}}
    assert said(decided(file)) == (None, 0.02)


def test_a_rate_that_was_not_measured_names_where_it_was_said() -> None:
    with pytest.raises(UsageError, match=r"FORGE_MATCH_FALSE_POSITIVE_RATE: .*Got: 0.9"):
        decided(environment={"FORGE_MATCH_FALSE_POSITIVE_RATE": "0.9"})


def test_a_network_alone_has_no_rates_but_a_typed_one_is_an_error(tmp_path: Path) -> None:
    model = str(write_checkpoint(tmp_path / "a.safetensors"))
    file: dict[str, dict[str, Any]] = {
        "predict": {"model": model, "fpr": 0.02},
        "match": {"threshold": 0.9},
    }
    alone = decided(file, network={"device": "cpu"})
    assert alone.name == "segment" and alone.fpr is None and alone.threshold != 0.9
    assert decided(file, {"FORGE_PREDICT_THRESHOLD": "0.6"}).threshold == 0.6
    with pytest.raises(UsageError, match="--fpr is for match"):
        decided(file, typed={"fpr": 0.02})
