from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch")

from forgecli.app import app
from forgecli.cases.decode import read_picture
from forgecli.cases.discover import discover
from forgecli.cases.masks import read_mask
from forgecli.config import resolve
from forgecli.errors import ForgeError, UsageError
from forgecli.predict.decide import flagged_instances
from forgecli.score.metric import score_image
from forgecli.segment import opening
from forgecli.segment.checkpoint import card_file, read_card
from forgecli.segment.detector import SegmentDetector
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.settings import SegmentSettings
from forgecli.tune.report import COLUMNS
from forgecli.tune.settings import TuneSettings
from kernels.rle import annotation_to_text, encode
from tests.tune.red_dataset import SIDE, RedEngine, write_checkpoint, write_dataset

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, 20)
    return folder


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint that opens as a network that sees red."""
    weights = tmp_path / "run" / "best.safetensors"
    write_checkpoint(weights)

    def open_engine(*arguments: Any, **named: Any) -> tuple[RedEngine, Any]:
        return RedEngine(), read_card(weights)

    monkeypatch.setattr(opening, "open_engine", open_engine)
    return weights


@pytest.fixture
def run() -> Run:
    def tune(*arguments: str | Path) -> Result:
        line = ["tune", *map(str, arguments), "--workers", "1", "--device", "cpu"]
        return CliRunner().invoke(app, line)

    return tune


def failure(result: Result) -> ForgeError:
    assert isinstance(result.exception, ForgeError), result.output
    return result.exception


def test_the_score_that_is_told_is_what_predicting_scores(
    dataset: Path, model: Path, run: Run
) -> None:
    result = run(dataset, "--model", model, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    plan = SegmentPlan.of(model, SegmentSettings(device="cpu"))
    assert plan.thresholds == read_card(model).thresholds
    found = SegmentDetector(plan, RedEngine())
    scores = []
    for case in discover([dataset], id_from="path"):
        detection = found.detect([read_picture(case)[0]])[0]
        flagged = flagged_instances(detection, threshold=plan.thresholds.gate, min_area=0)
        truth = [] if case.mask is None else read_mask(case.mask, (SIDE, SIDE))[0]
        scores.append(score_image([encode(m) for m in truth], [i.runs for i in flagged]))
    assert len(scores) == told["images"] == 40
    assert np.mean(scores) == pytest.approx(told["score"], abs=1e-12)
    assert told["score"] == pytest.approx(0.9, abs=0.01)  # all but four that nobody can see
    assert told["beats_all_authentic"] is True
    assert told["out_of_fold"] > 0.85
    assert told["groups"] == 20


def test_what_is_written(dataset: Path, model: Path, run: Run) -> None:
    before = read_card(model)
    told = json.loads(run(dataset, "--model", model, "--json").stdout)
    after = read_card(model)
    assert after.thresholds.instances == "merged"
    assert after.tuning["out_of_fold"] == told["out_of_fold"]
    assert len(after.tuning["chosen_by_fold"]["gate"]) == 5
    assert (after.model, after.preprocess) == (before.model, before.preprocess)
    assert str(dataset) not in card_file(model).read_text()


def test_a_dry_run_leaves_the_checkpoint_alone(dataset: Path, model: Path, run: Run) -> None:
    before = card_file(model).read_bytes()
    result = run(dataset, "--model", model, "--dry-run")
    assert result.exit_code == 0, result.output
    assert card_file(model).read_bytes() == before
    for word in ("out of fold", "all authentic", "quantile", "false-positive rate", "optimism"):
        assert word in result.stdout
    assert "few" in result.stderr


def test_the_view_that_was_tuned_is_the_checkpoints_from_then_on(
    dataset: Path, model: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = read_card(model).preprocess.size * 2
    monkeypatch.setenv("FORGE_SEGMENT_SIZE", str(size))
    assert run(dataset, "--model", model).exit_code == 0
    card = read_card(model)
    assert card.preprocess.size == card.tuning["preprocess"]["size"] == size


def test_the_report_never_replaces_an_input(dataset: Path, model: Path, run: Run) -> None:
    picture = next(dataset.rglob("*.png"))
    for file in (model, card_file(model), picture):
        before = file.read_bytes()
        refused = failure(run(dataset, "--model", model, "--report", file, "--dry-run"))
        assert isinstance(refused, UsageError) and "is an input" in str(refused)
        assert file.read_bytes() == before


def test_the_cache_gives_the_same_numbers_without_the_network(
    dataset: Path, model: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    one = run(dataset, "--model", model, "--json", "--dry-run", "--cache", cache)
    entries = sorted(cache.rglob("*.npz"))
    assert len(entries) == 37, "three forged pictures look like their twins"

    def refuse(*arguments: object) -> None:
        raise AssertionError("the network was run")

    monkeypatch.setattr(RedEngine, "_infer", refuse)
    monkeypatch.setattr(SegmentDetector, "prepare", lambda self: None)
    two = run(dataset, "--model", model, "--json", "--dry-run", "--cache", cache)
    assert json.loads(one.stdout) == json.loads(two.stdout)


def test_a_report_that_is_there_is_kept(
    dataset: Path, model: Path, run: Run, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    report.write_text("precious")
    asked = (dataset, "--model", model, "--dry-run", "--report", report)
    refused = failure(run(*asked))
    assert isinstance(refused, UsageError) and "--overwrite" in refused.mend
    assert report.read_text() == "precious"
    assert run(*asked, "--overwrite").exit_code == 0
    assert report.read_text().startswith("case_id")


def test_overwrite_without_a_report_is_refused(dataset: Path, model: Path, run: Run) -> None:
    before = card_file(model).read_bytes()
    refused = failure(run(dataset, "--model", model, "--overwrite"))
    assert isinstance(refused, UsageError) and "--report" in refused.what
    assert card_file(model).read_bytes() == before


def test_the_report_has_a_row_for_every_image(
    dataset: Path, model: Path, run: Run, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    told = json.loads(run(dataset, "--model", model, "--json", "--report", report).stdout)
    with report.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 40
    assert np.mean([float(row["score"]) for row in rows]) == pytest.approx(told["score"])
    assert np.mean([float(row["score_out_of_fold"]) for row in rows]) == pytest.approx(
        told["out_of_fold"]
    )
    twins = [{row["fold"] for row in rows if Path(row["case_id"]).stem == "7"}]
    assert [len(folds) for folds in twins] == [1]


def test_a_bad_image_is_a_row_and_exit_code_3(model: Path, run: Run, tmp_path: Path) -> None:
    folder, report = tmp_path / "data", tmp_path / "report.csv"
    write_dataset(folder, 6)
    (folder / "train_images/forged/3.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    (folder / "train_masks/4.npy").unlink()
    result = run(folder, "--model", model, "--report", report)
    assert result.exit_code == 3, result.output
    assert "2 of 12 images could not be used" in result.stderr
    with report.open(newline="") as text:
        rows = [row for row in csv.DictReader(text) if row["status"] != "ok"]
    assert sorted(row["case_id"] for row in rows) == [
        "train_images/forged/3.png",
        "train_images/forged/4.png",
    ]
    assert all(row["reason"] for row in rows)


def test_fused_takes_what_match_misses(
    dataset: Path, model: Path, run: Run, tmp_path: Path
) -> None:
    """Match is right on half of the forged images, and raises one false alarm."""
    submission = tmp_path / "match.csv"
    rows = []
    for case in discover([dataset], id_from="path"):
        number, text = int(case.image.stem), "authentic"
        if case.mask is not None and number % 2:
            text = annotation_to_text(
                [encode(mask) for mask in read_mask(case.mask, (SIDE, SIDE))[0]]
            )
        elif case.mask is None and number == 2:
            text = "[1, 4]"
        rows.append((case.case_id, text))
    with submission.open("w", newline="") as file:
        csv.writer(file).writerows([("case_id", "annotation"), *rows])
    result = run(dataset, "--model", model, "--json", "--fused", submission)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["fused"]["match"] == pytest.approx((10 + 19) / 40)
    # The network adds eight of the other ten: the rest nobody can see.
    assert told["fused"]["score"] == pytest.approx((10 + 19 + 8) / 40, abs=0.01)
    assert 0 < told["thresholds"]["fused_gate"] < 1
    assert read_card(model).thresholds.fused_gate == told["thresholds"]["fused_gate"]
    # Without the record of match's run nobody can tell later that match is used otherwise.
    assert told["fused"]["operating_point_of_match"] is None
    assert "there is no NAME.run.json of match" in " ".join(result.stderr.split())
    point = {"thresholds": {"all": 0.9}, "false_positive_rate": 0.01, "judge_sha256": "ab",
             "inverted": False}  # fmt: skip
    record = {"detector_settings": point}
    submission.with_name("match.run.json").write_text(json.dumps(record), encoding="utf-8")
    known = run(dataset, "--model", model, "--json", "--fused", submission)
    assert json.loads(known.stdout)["fused"]["operating_point_of_match"] == point
    assert "NAME.run.json" not in known.stderr
    again = run(dataset, "--model", model)
    assert "taken out" in again.stderr
    assert read_card(model).thresholds.fused_gate is None


def test_how_match_was_used_is_not_asked_where_the_network_is_silent(
    dataset: Path, model: Path, run: Run, tmp_path: Path
) -> None:
    """Match is right everywhere: there is no gate, so none that would hold elsewhere or not."""
    submission = tmp_path / "match.csv"
    rows = [("case_id", "annotation")]
    for case in discover([dataset], id_from="path"):
        masks = [] if case.mask is None else read_mask(case.mask, (SIDE, SIDE))[0]
        text = annotation_to_text([encode(mask) for mask in masks]) if len(masks) else "authentic"
        rows.append((case.case_id, text))
    with submission.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    result = run(dataset, "--model", model, "--fused", submission)
    assert result.exit_code == 0, result.output
    assert read_card(model).thresholds.fused_gate is None
    assert "in fused it is silent" in " ".join(result.stderr.split())
    assert "NAME.run.json" not in result.stderr


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("7", "authentic")], "none of its 1 ids"),
        ([("train_images/forged/0.png", "authentic")], "no row for this image"),
        ([("train_images/forged/0.png", "[1, 99999]")], "the last run ends at pixel"),
    ],
)
def test_a_submission_that_does_not_fit_is_refused(
    dataset: Path, model: Path, run: Run, tmp_path: Path, rows: list[tuple[str, str]], what: str
) -> None:
    submission = tmp_path / "match.csv"
    with submission.open("w", newline="") as file:
        csv.writer(file).writerows([("case_id", "annotation"), *rows])
    before = card_file(model).read_bytes()
    assert what in failure(run(dataset, "--model", model, "--fused", submission)).what
    assert card_file(model).read_bytes() == before


def test_a_network_that_knows_nothing_is_kept_quiet(
    dataset: Path, model: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noise(self: RedEngine, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        random = np.random.default_rng(int(images.sum() * 1e4) % 2**32)
        return random.normal(size=(len(images), 1, *images.shape[2:])).astype(np.float32)

    monkeypatch.setattr(RedEngine, "_infer", noise)
    result = run(dataset, "--model", model, "--json")
    told = json.loads(result.stdout)
    assert told["beats_all_authentic"] is False
    assert told["thresholds"]["gate"] == 1.0
    assert told["score"] == told["all_authentic"] == 0.5
    assert "flags nothing" in result.stderr


def test_authentic_images_alone_are_refused(model: Path, run: Run, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", 3)
    for mask in (tmp_path / "data/train_masks").iterdir():
        mask.unlink()
    for picture in (tmp_path / "data/train_images/forged").iterdir():
        picture.unlink()
    error = failure(run(tmp_path / "data", "--model", model))
    assert "all 3 images are authentic" in error.what


@pytest.mark.slow
def test_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    """The real network, with random weights, in two processes and in one."""
    weights, folder = tmp_path / "best.safetensors", tmp_path / "data"
    write_checkpoint(weights)
    write_dataset(folder, 6)
    line = ["tune", str(folder), "--model", str(weights), "--dry-run", "--json", "--device", "cpu"]
    one, two = (CliRunner().invoke(app, [*line, "--workers", count]) for count in ("1", "2"))
    assert one.exit_code == two.exit_code == 0, one.output + two.output
    told = [json.loads(result.stdout) for result in (one, two)]
    for name in ("images", "out_of_fold", "score", "in_fold"):  # sums differ in the last digits
        assert told[0][name] == pytest.approx(told[1][name], abs=0.02)


def test_wrong_settings_are_refused(dataset: Path, model: Path, run: Run) -> None:
    assert isinstance(failure(run(dataset, "--model", "none.safetensors")), UsageError)
    assert "--folds" in failure(run(dataset, "--model", model, "--folds", "1")).what
    assert "--instances" in failure(run(dataset, "--model", model, "--instances", "each")).what


def test_settings_come_from_the_environment_too() -> None:
    found = resolve(TuneSettings, "tune", config={}, file=None,
                    environment={"FORGE_TUNE_FOLDS": "3"}, flags={})  # fmt: skip
    assert found.folds == 3
