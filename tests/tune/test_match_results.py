"""What is known of the run that made match's submission."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from forgecli.tune.fuse import MatchScores
from forgecli.tune.match_results import operating_point


def test_the_operating_point_is_that_of_the_record(tmp_path: Path) -> None:
    submission, record = tmp_path / "m.csv", tmp_path / "m.run.json"
    assert operating_point(submission) is None
    said = {"thresholds": {"all": 0.9, "blot": 0.95}, "false_positive_rate": 0.01}
    settings = {**said, "judge_sha256": "ab", "member_threshold": 0.6}
    record.write_text(json.dumps({"detector_settings": settings}))
    expected = {**said, "judge_sha256": "ab", "inverted": False}
    assert operating_point(submission) == expected, "of a record that does not say"
    for inverted in (False, True):
        record.write_text(json.dumps({"detector_settings": {**settings, "inverted": inverted}}))
        assert operating_point(submission) == {**expected, "inverted": inverted}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"detector_settings": []}', '{"detector_settings": {"gate": 1}}', "\udcff"],
)
def test_another_record_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert operating_point(tmp_path / "m.csv") is None


def test_some_of_the_images_have_the_same_operating_point() -> None:
    scores = MatchScores(np.arange(3.0), np.array([True, False, True]), {"thresholds": {}})
    some = scores.take(np.array([True, False, True]))
    assert some.scores.tolist() == [0, 2] and some.speaks.all()
    assert some.operating_point == {"thresholds": {}}
