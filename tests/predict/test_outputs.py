"""What cannot be written is found out before the work starts, or costs as little as it can."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forgecli.atomic import OutputError
from forgecli.errors import ExitCode, ForgeError, UsageError
from forgecli.predict.outputs import Outputs
from forgecli.predict.plan import Plan
from forgecli.predict.settings import PredictSettings
from tests.predict.fakes import Voice, draw, job


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def occupy(disk: Path, leave: int) -> Path:
    """Fill a disk but for some bytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (free - leave))
    return ballast


@pytest.mark.parametrize("name", ["s.csv", "s.details.csv", "s.run.json", "e.jsonl"])
def test_existing_outputs_are_refused(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "in", "a.png")
    (tmp_path / name).write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        job(tmp_path / "in", tmp_path / "s.csv", evidence=tmp_path / "e.jsonl")
    assert (tmp_path / name).read_text() == "precious"
    job(tmp_path / "in", tmp_path / "s.csv", evidence=tmp_path / "e.jsonl", overwrite=True)
    assert (tmp_path / name).read_text() != "precious"


@pytest.mark.parametrize("kind", ["masks", "overlays"])
def test_folders_with_files_are_refused(tmp_path: Path, kind: str) -> None:
    draw(tmp_path / "in", "flag.png")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "other.txt").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        job(tmp_path / "in", tmp_path / "s.csv", **{kind: tmp_path / "old"})
    job(tmp_path / "in", tmp_path / "s.csv", overwrite=True, **{kind: tmp_path / "old"})
    assert len(list((tmp_path / "old").iterdir())) == 2, "files of others stay"


def test_a_suffix_is_not_written_twice(tmp_path: Path) -> None:
    """With paths as ids, which have the suffix of their picture."""
    draw(tmp_path / "in", "one/flag.png", "one/flag.tif", "two/flag.PNG", "flag.png.png")
    job(
        tmp_path / "in", tmp_path / "s.csv", overlays=tmp_path / "o", masks=tmp_path / "m",
        id_from="path",
    )  # fmt: skip
    made = [
        sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*"))
        for folder in (tmp_path / "o", tmp_path / "m")
    ]
    names = ["flag.png.png", "one/flag.png", "one/flag.tif.png", "two/flag.PNG"]
    assert made[0] == names
    assert made[1] == ["flag.png.png.npy", "one/flag.png.npy", "one/flag.tif.npy",
                       "two/flag.PNG.npy"]  # fmt: skip


def test_missing_folders_are_made(tmp_path: Path) -> None:
    draw(tmp_path / "in", "flag.png")
    deep = tmp_path / "x" / "y"
    job(tmp_path / "in", deep / "s.csv", masks=deep / "m", overlays=deep / "o" / "p")
    assert (deep / "s.csv").is_file() and (deep / "o" / "p" / "flag.png").is_file()


def test_output_that_is_a_folder(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    (tmp_path / "s.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        job(tmp_path / "in", tmp_path / "s.csv")


def test_output_below_a_file(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        job(tmp_path / "in", tmp_path / "file" / "s.csv")
    with pytest.raises(OutputError, match="not a folder"):
        job(tmp_path / "in", tmp_path / "s.csv", overlays=tmp_path / "file")


def test_outputs_never_replace_inputs(tmp_path: Path) -> None:
    draw(tmp_path / "in", "flag.png")
    before = (tmp_path / "in" / "flag.png").read_bytes()
    for asked in (
        {"overlays": tmp_path / "in"},
        {"masks": tmp_path / "in", "mask_format": "png"},
        {"evidence": tmp_path / "in" / "flag.png"},
    ):
        with pytest.raises(UsageError, match="would be written over an input"):
            job(tmp_path / "in", tmp_path / "s.csv", overwrite=True, **asked)
    assert (tmp_path / "in" / "flag.png").read_bytes() == before


def test_outputs_never_replace_each_other(tmp_path: Path) -> None:
    draw(tmp_path / "in", "flag.png")
    for asked in (
        {"overlays": tmp_path / "o", "masks": tmp_path / "o", "mask_format": "png"},
        {"evidence": tmp_path / "s.csv"},
        {"evidence": tmp_path / "s.details.csv"},
    ):
        with pytest.raises(UsageError, match="would be written over an output"):
            job(tmp_path / "in", tmp_path / "s.csv", **asked)


def test_output_to_a_device_has_nothing_beside(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    assert job(tmp_path / "in", Path("/dev/null")).rows == 1
    assert not Path("/dev/null").is_file()


def test_read_only_disk(small_disk: Path, tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for asked in ({"output": small_disk / "s.csv"}, {"overlays": small_disk / "o"}):
        with pytest.raises(OutputError, match="read-only"):
            job(tmp_path / "in", **{"output": tmp_path / "s.csv", **asked})
    assert not (tmp_path / "s.csv").exists()


def test_full_disk_is_seen_before_the_work(small_disk: Path, tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    occupy(small_disk, leave=0)
    with pytest.raises(OutputError, match="disk is full"):
        job(tmp_path / "in", small_disk / "s.csv")
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize("workers", [0, 1])
def test_disk_that_overlays_fill_keeps_its_rows(
    small_disk: Path, tmp_path: Path, workers: int
) -> None:
    draw(tmp_path / "in", *(f"flag{n}.png" for n in range(6)), "plain.png", shape=(120, 120))
    voice = Voice()
    summary = job(
        tmp_path / "in",
        small_disk / "s.csv",
        overlays=small_disk / "o",
        voice=voice,
        workers=workers,
    )
    assert summary.rows == 7 and summary.flagged == 6
    written = list((small_disk / "o").glob("*.png"))
    assert summary.unwritten == 6 - len(written) > 0
    assert summary.exit_code is ExitCode.SOME_INPUTS_FAILED
    assert len((small_disk / "s.csv").read_text().splitlines()) == 8
    assert len([text for text in voice.warnings if "disk is full" in text]) == 2
    assert not list((small_disk / "o").glob(".forge-*"))


def test_disk_full_for_the_rows_keeps_whole_rows(small_disk: Path, tmp_path: Path) -> None:
    long = "x" * 200
    draw(tmp_path / "in", *(f"{long}{n:03}.png" for n in range(150)))
    occupy(small_disk, leave=24 << 10)
    with pytest.raises(ForgeError, match="disk is full") as raised:
        job(tmp_path / "in", small_disk / "s.csv")
    assert "of 150 rows were kept" in raised.value.mend
    text = (small_disk / "s.csv").read_text()
    assert text.endswith("authentic\n")
    kept = len(text.splitlines()) - 1
    assert 0 < kept < 150 and str(kept) in raised.value.mend


def test_evidence_that_does_not_fit_is_given_up(small_disk: Path, tmp_path: Path) -> None:
    draw(tmp_path / "in", *(f"flag{n}.png" for n in range(150)))
    voice = Voice()
    summary = job(tmp_path / "in", tmp_path / "s.csv", evidence=small_disk / "e.jsonl", voice=voice)
    assert summary.rows == 150 and summary.cut_short == [str(small_disk / "e.jsonl")]
    assert summary.exit_code is ExitCode.SOME_INPUTS_FAILED
    assert sum("e.jsonl" in text for text in voice.warnings) == 1
    lines = (small_disk / "e.jsonl").read_text().splitlines()
    assert 0 < len(lines) < 150 and all(line.endswith("]}") for line in lines)


def test_what_an_earlier_run_left_is_said(tmp_path: Path) -> None:
    """With --overwrite, pictures of images that are no longer flagged stay: the user is told."""
    folder = tmp_path / "overlays"
    settings = PredictSettings(output=tmp_path / "out.csv", overlays=folder, overwrite=True)
    outputs = Outputs.of(settings)
    outputs.check(Plan(()), overwrite=True)
    assert outputs.left_over() == []
    (folder / "old.png").write_bytes(b"")
    (said,) = outputs.left_over()
    assert "1 files" in said and str(folder) in said
