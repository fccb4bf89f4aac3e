"""`--inverted`: who has the last word on it, and how its pairs are told from others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from forgecli.app import app
from forgecli.detection import Pair
from forgecli.errors import UsageError
from forgecli.predict.detectors import Chosen, choose
from forgecli.predict.evidence import evidence_line
from forgecli.predict.settings import PredictSettings
from forgecli.report.legend import legend
from tests.predict.fakes import SIZE, copied
from tests.segment.checkpoints import write_checkpoint


def chosen(
    inverted: bool | None = None,
    config: dict[str, dict[str, Any]] | None = None,
    environment: dict[str, str] | None = None,
    **asked: Any,
) -> Chosen:
    return choose(
        PredictSettings(**asked), config=config or {}, file=None, environment=environment or {},
        network={"device": "cpu"} if asked.get("model") else {}, inverted=inverted,
    )  # fmt: skip


def test_the_flag_reaches_match_and_the_record() -> None:
    assert chosen().make().settings.inverted is False  # type: ignore[attr-defined]
    assert chosen().record["inverted"] is False
    assert chosen(True).make().settings.inverted is True  # type: ignore[attr-defined]
    assert chosen(True).record["inverted"] is True


def test_the_file_and_the_environment_say_it_in_the_table_of_match() -> None:
    file = {"match": {"inverted": True}}
    assert chosen(config=file).record["inverted"] is True
    assert (
        chosen(config=file, environment={"FORGE_MATCH_INVERTED": "false"}).record["inverted"]
        is False
    )
    assert chosen(True, environment={"FORGE_MATCH_INVERTED": "false"}).record["inverted"] is True


def test_a_network_alone_refuses_it(tmp_path: Path) -> None:
    model = write_checkpoint(tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="--inverted is for match"):
        chosen(True, model=model)
    both = chosen(True, model=model, detector="fused")
    assert both.record["match"]["inverted"] is True
    # A file may serve both: there it does not hinder.
    assert chosen(config={"match": {"inverted": True}}, model=model).name == "segment"


def test_the_rate_was_measured_without_and_that_is_said(tmp_path: Path) -> None:
    file = {"match": {"inverted": True}}
    for one in (chosen(True), chosen(config=file), chosen(True, fpr=0.05)):
        (said,) = one.warnings
        assert "of false positives was measured without --inverted" in said
    assert "the rate of 5 %" in chosen(True, fpr=0.05).warnings[0]
    assert not chosen().warnings
    assert not chosen(True, threshold=0.7).warnings, "of a score no rate is claimed"
    model = write_checkpoint(tmp_path / "a.safetensors")
    said, other = chosen(True, model=model, detector="fused").warnings
    assert "measured without --inverted" in said and "fused_gate" in other


def test_a_flag_undoes_what_a_file_says(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 40), 200, np.uint8))
    (tmp_path / "c.toml").write_text("[match]\ninverted = true\n")
    for flags, expected in (([], True), (["--no-inverted"], False)):
        out = tmp_path / f"{expected}.csv"
        asked = ["predict", str(tmp_path / "a.png"), "-o", str(out), "--workers", "0",
                 "--config", str(tmp_path / "c.toml"), *flags]  # fmt: skip
        ran = CliRunner().invoke(app, asked)
        assert ran.exit_code == 0, ran.output
        record = json.loads((tmp_path / f"{expected}.run.json").read_text())
        assert record["detector_settings"]["inverted"] is expected
        assert ("measured without --inverted" in " ".join(ran.stderr.split())) is expected


def test_the_line_of_evidence_says_it() -> None:
    detection = copied("x", SIZE, 0.9)
    first, second = detection.evidence
    detection = replace(detection, evidence=(replace(first, inverted=True), second))
    pairs = json.loads(evidence_line(detection, ()))["pairs"]
    assert [pair["inverted"] for pair in pairs] == [True, False]


def test_the_legend_says_it() -> None:
    detection = copied("x", SIZE, 0.9)
    inverted = [replace(pair, inverted=True) for pair in detection.evidence]
    plain = legend(detection, 900, 12)
    said = legend(replace(detection, evidence=tuple(inverted)), 900, 12)
    assert plain.shape != said.shape or (plain != said).any()


def test_a_pair_is_as_it_stands_unless_it_is_said() -> None:
    assert Pair(0, 0, 1, np.eye(2, 3), False, 1, 0.9).inverted is False


def test_the_command_takes_it(tmp_path: Path) -> None:
    import cv2

    random = np.random.default_rng(3)
    grey = cv2.GaussianBlur(random.normal(size=(120, 200)).astype(np.float32), (0, 0), 1.5)
    grey = np.clip(128 + 45 * grey / grey.std(), 0, 255).astype(np.uint8)
    grey[40:90, 130:180] = 255 - grey[40:90, 20:70]
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    rows: dict[bool, str] = {}
    for inverted in (False, True):
        out = tmp_path / f"{inverted}.csv"
        asked = ["predict", str(tmp_path / "a.png"), "-o", str(out), "--workers", "0",
                 "--threshold", "0.7", "--evidence", str(out.with_suffix(".jsonl"))]  # fmt: skip
        ran = CliRunner().invoke(app, asked + ["--inverted"] * inverted)
        assert ran.exit_code == 0, ran.output
        rows[inverted] = out.read_text().splitlines()[1]
        record = json.loads((tmp_path / f"{inverted}.run.json").read_text())
        assert f'"inverted": {str(inverted).lower()}' in json.dumps(record)
    assert rows[False].endswith("authentic")
    assert not rows[True].endswith("authentic")
    (pair,) = json.loads((tmp_path / "True.jsonl").read_text())["pairs"]
    assert pair["inverted"] is True and pair["mirrored"] is False
    shift = np.abs([pair["affine"][0][2], pair["affine"][1][2]])
    assert shift == pytest.approx([110, 0], abs=1)
