"""`forge predict` as a user calls it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from forgecli import app
from forgecli.predict import detectors
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds
from tests.predict.fakes import FakeDetector, FakeSettings, draw
from tests.segment.checkpoints import write_checkpoint

Forge = Callable[..., tuple[int, str, str]]
FORGE = (sys.executable, "-c", "from forgecli.app import main; main()")


@dataclass(frozen=True)
class FakeMatch(FakeSettings):
    """Settings of match, as far as the job asks for them."""

    false_positive_rate: float = 0.01


@pytest.fixture
def forge(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Forge:
    """Runs the program with the fake detector: exit code, stdout, stderr."""
    monkeypatch.setattr(detectors, "match_settings", lambda *_: FakeMatch())
    monkeypatch.setattr(detectors, "match_factory", lambda settings: FakeDetector)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["forge", "predict", *arguments])
        with pytest.raises(SystemExit) as raised:
            app.main()
        out, err = capsys.readouterr()
        return int(raised.value.code or 0), out, err

    return call


def test_stdout_is_empty_and_stderr_tells(forge: Forge) -> None:
    draw(Path("in"), "flag.png", "a.png")
    code, out, err = forge("in", "--workers", "0")
    assert (code, out) == (0, "")
    assert "2 images" in err and "1 flagged, 1 not flagged" in err
    assert "submission.csv" in err and "submission.details.csv" in err
    assert Path("submission.csv").is_file() and Path("submission.run.json").is_file()


def test_json_is_one_object_on_stdout(forge: Forge) -> None:
    draw(Path("in"), "flag.png", "a.png")
    Path("in/bad.png").write_bytes(b"")
    code, out, err = forge("in", "--workers", "0", "--json", "-o", "out/s.csv")
    assert code == 3
    summary = json.loads(out)
    assert summary["output"] == "out/s.csv" and summary["complete"] is True
    assert (summary["rows"], summary["flagged"], summary["unreadable"]) == (3, 1, 1)
    assert summary["images_per_second"] > 0
    assert "bad: unreadable: " in err


def test_all_options_at_once(forge: Forge) -> None:
    draw(Path("in"), "x/flag.png", "a.png", "weak.png")
    Path("sample.csv").write_text("case_id,annotation\nweak.png,\nx/flag.png,\n")
    code, _, err = forge(
        "in", "--detector", "match", "--output", "o/s.csv", "--sample-submission", "sample.csv",
        "--masks", "o/m", "--mask-format", "png", "--overlays", "o/v", "--evidence", "o/e.jsonl",
        "--threshold", "0.1", "--min-area", "9", "--max-pixels", "10000", "--workers", "1",
        "--id-from", "path", "--overwrite",
    )  # fmt: skip
    assert code == 0, err
    assert "1 images are not in the sample" in err
    with Path("o/s.csv").open(newline="") as file:
        rows = {row["case_id"]: row["annotation"] for row in csv.DictReader(file)}
    assert list(rows) == ["weak.png", "x/flag.png"]
    assert ";" not in rows["x/flag.png"], "the small instance is dropped"
    assert Path("o/m/x/flag.png").is_file() and Path("o/v/weak.png").is_file()
    assert len(Path("o/e.jsonl").read_text().splitlines()) == 2


def test_settings_from_file_environment_and_flags(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(Path("in"), "flag.png")
    Path("forge.toml").write_text(
        '[predict]\nthreshold = 0.25\nmin-area = 3\noutput = "file.csv"\nworkers = 0\n'
    )
    monkeypatch.setenv("FORGE_PREDICT_MIN_AREA", "4")
    monkeypatch.setenv("FORGE_PREDICT_OUTPUT", "environment.csv")
    code, _, err = forge("in", "--config", "forge.toml", "-o", "flag.csv")
    assert code == 0, err
    record = json.loads(Path("flag.run.json").read_text())
    settings = record["settings"]
    assert record["detector_settings"]["threshold"] == 0.25, "it outlines only what it flags"
    assert (settings["threshold"], settings["min_area"], settings["workers"]) == (0.25, 4, 0)
    assert not Path("file.csv").exists() and not Path("environment.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["empty"], "no pictures"),
        (["in", "--threshold", "2"], "--threshold"),
        (["in", "--threshold", "x"], "--threshold"),
        (["in", "--min-area", "-1"], "--min-area"),
        (["in", "--workers", "-1"], "--workers"),
        (["in", "--detector", "other"], "--detector"),
        (["in", "--mask-format", "gif"], "--mask-format"),
        (["in", "--config", "bad.toml"], "treshold"),
        (["in", "--config", "none.toml"], "none.toml"),
        (["in", "--sample-submission", "none.csv"], "none.csv"),
        (["in", "-o", "old.csv"], "--overwrite"),
        (["in", "--no-such-option"], "--no-such-option"),
        (["twice"], "--id-from path"),
        ([], "IMAGES"),
    ],
)
def test_wrong_use_is_exit_code_2_and_writes_nothing(
    forge: Forge, arguments: list[str], said: str
) -> None:
    draw(Path("in"), "flag.png")
    draw(Path("twice"), "x/1.png", "y/1.png")
    Path("empty").mkdir()
    Path("old.csv").write_text("precious")
    Path("bad.toml").write_text("[predict]\ntreshold = 1\n")
    before = sorted(Path().rglob("*"))
    code, out, err = forge(*arguments)
    assert (code, out) == (2, "")
    assert said in err and "Traceback" not in err
    assert sorted(Path().rglob("*")) == before and Path("old.csv").read_text() == "precious"


def test_folder_of_unreadable_files_is_exit_code_1(forge: Forge) -> None:
    Path("in").mkdir()
    for number in range(12):
        Path(f"in/{number}.png").write_bytes(b"junk")
    code, _, err = forge("in", "--workers", "0")
    assert code == 1
    assert "12 not judged" in err and "and 2 more" in err
    assert Path("submission.csv").read_text().count("authentic") == 12


def test_defaults_in_the_help_are_the_defaults() -> None:
    from forgecli.predict.settings import PredictSettings
    from forgecli.segment.settings import SegmentSettings

    said = (Path(app.__file__).parent / "commands" / "predict.py").read_text()
    settings = PredictSettings()
    for value in (
        settings.output,
        settings.mask_format,
        settings.min_area,
        settings.id_from,
        settings.max_pixels,
    ):
        assert f"Default: {value}." in said
    network = SegmentSettings()
    for value in (
        network.engine, network.device, network.precision, network.tta, network.batch
    ):  # fmt: skip
        assert f"Default: {value}." in said


def test_the_program_with_the_match_detector(tmp_path: Path) -> None:
    draw(tmp_path / "in", "noise.png", shape=(96, 128))
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = subprocess.run(
        [*FORGE, "predict", "in", "--json", "--workers", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["ok"], summary["unreadable"], summary["rows"]) == (1, 1, 2)
    assert "Traceback" not in done.stderr
    record = json.loads((tmp_path / "submission.run.json").read_text())
    assert record["detector_settings"]


def test_settings_of_the_match_detector_are_checked(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    (tmp_path / "f.toml").write_text("[match]\nno_such_setting = 1\n")
    done = subprocess.run(
        [*FORGE, "predict", "in", "--config", "f.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown key 'no_such_setting' in [match]" in done.stderr


def test_the_help_and_the_readme_name_the_rate_in_use() -> None:
    from pathlib import Path

    from forgecli.match.operating import default_points
    from forgecli.match.settings import MatchSettings

    rate, rates = MatchSettings().false_positive_rate, default_points().rates
    root = Path(__file__).parents[2]
    help_text = (root / "docs/cli.md").read_text("utf-8")
    assert f"Not with --threshold. Default: {rate:g}." in help_text.replace("`", "")
    assert f"{rates[0]:g} to {rates[-1]:g}: chooses the threshold" in help_text
    assert "`--fpr`" in (root / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fpr", "0.5"], "from 0.005 to 0.1"),
        (["--fpr", "0"], "--fpr: input should be greater than 0"),
        (["--fpr", "0.01", "--threshold", "0.5"], "--threshold and --fpr"),
    ],
)
def test_a_wrong_rate_is_wrong_use(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "in").mkdir()
    done = subprocess.run(
        [*FORGE, "predict", "in", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_the_program_with_a_network(tmp_path: Path) -> None:
    weights = write_checkpoint(
        tmp_path / "net.safetensors",
        preprocess=Preprocess(size=64),
        thresholds=Thresholds(pixel=0.0, gate=0.0),
    )
    draw(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = subprocess.run(
        [*FORGE, "predict", "in", "--model", weights.name, "--device", "cpu", "--workers", "1",
         "--overlays", "v", "--evidence", "e.jsonl", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "network: simple-cnn on cpu, fp32" in done.stderr and "Traceback" not in done.stderr
    summary = json.loads(done.stdout)
    assert (summary["flagged"], summary["unreadable"]) == (2, 1)
    rows = {row["case_id"]: row["annotation"] for row in rows_of(tmp_path / "submission.csv")}
    assert rows["a"] == rows["b"] == "[1, 2400]", "all of 40 x 60 pixels"
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == ["a.png", "b.png"]
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    by_id = {line["case_id"]: line["found_by"] for line in lines}
    assert by_id == {"a": "segment", "b": "segment", "bad": ""}
    assert all(line["pairs"] == [] for line in lines)
    record = json.loads((tmp_path / "submission.run.json").read_text())
    assert record["settings"]["detector"] == "segment"
    assert record["detector_settings"]["sha256"] == sha256(weights.read_bytes()).hexdigest()
    assert record["detector_settings"]["thresholds"]["pixel"] == 0.0
    assert record["versions"]["torch"]


def test_a_damaged_network_is_told_once_and_before_any_row(tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path / "net.safetensors")
    weights.write_bytes(weights.read_bytes()[:-5])
    draw(tmp_path / "in", "a.png", "b.png")
    done = subprocess.run(
        [*FORGE, "predict", "in", "--model", weights.name, "--device", "cpu", "--workers", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("is not a safetensors file") == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "submission.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--detector", "segment"], "--model"),
        (["--detector", "fused"], "--model"),
        (["--tta", "d4"], "--tta is for networks"),
        (["--model", "none.safetensors"], "none.safetensors"),
        (["--model", "net.safetensors", "--device", "gpu"], "no device"),
        (["--model", "net.safetensors", "--size", "7"], "--size"),
        (["--model", "net.safetensors", "--batch", "0"], "--batch"),
        (["--model", "net.safetensors", "--engine", "other"], "--engine"),
        (["--model", "net.safetensors", "--instances", "other"], "--instances"),
    ],
)
def test_wrong_use_of_a_network_is_exit_code_2_and_writes_nothing(
    forge: Forge, arguments: list[str], said: str
) -> None:
    draw(Path("in"), "flag.png")
    write_checkpoint(Path("net.safetensors"))
    before = sorted(Path().rglob("*"))
    code, out, err = forge("in", *arguments)
    assert (code, out) == (2, "")
    assert said in err and "Traceback" not in err
    assert sorted(Path().rglob("*")) == before


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))
