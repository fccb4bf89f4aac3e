"""The whole batch: rows, order, files, exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from forgecli.detection import Status
from forgecli.errors import ExitCode, UsageError
from kernels.rle import annotation_from_text, decode
from tests.predict.fakes import SIZE, draw, job, square


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_input_has_one_row_in_natural_order(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out" / "submission.csv"
    draw(folder, "b10.png", "b9.png", "flag.png", "weak.png", "boom.png", "memory.png")
    (folder / "bad.png").write_bytes(b"not a picture")
    summary = job(folder, output)
    found = rows(output)
    assert [row["case_id"] for row in found] == [
        "b9", "b10", "bad", "boom", "flag", "memory", "weak",
    ]  # fmt: skip
    assert {row["case_id"] for row in found if row["annotation"] != "authentic"} == {"flag"}
    assert (summary.images, summary.flagged, summary.rows) == (7, 1, 7)
    assert summary.statuses == {Status.OK: 4, Status.FAILED: 2, Status.UNREADABLE: 1}
    assert summary.exit_code is ExitCode.SOME_INPUTS_FAILED


def test_annotation_holds_every_instance(tmp_path: Path) -> None:
    draw(tmp_path / "in", "flag.png")
    assert job(tmp_path / "in", tmp_path / "s.csv").exit_code is ExitCode.DONE
    (row,) = rows(tmp_path / "s.csv")
    large, small = annotation_from_text(row["annotation"])
    expected = square(SIZE, 4, 4, 8) | square(SIZE, 20, 30, 8)
    assert np.array_equal(decode(large, SIZE), expected)
    assert decode(small, SIZE).sum() == 8


@pytest.mark.parametrize(
    ("asked", "flagged", "instances"),
    [
        ({"threshold": 0.5}, {"flag"}, "2"),
        ({"threshold": 0.9}, {"flag"}, "2"),
        ({"threshold": 0.95}, set(), "0"),
        ({"threshold": 0.2}, {"flag", "weak"}, "2"),
        ({"min_area": 8}, {"flag"}, "2"),
        ({"min_area": 9}, {"flag"}, "1"),
        ({"min_area": 500}, set(), "0"),
    ],
)
def test_threshold_and_smallest_area(
    tmp_path: Path, asked: dict[str, float], flagged: set[str], instances: str
) -> None:
    draw(tmp_path / "in", "flag.png", "weak.png", "plain.png")
    job(tmp_path / "in", tmp_path / "s.csv", **asked)
    details = {row["case_id"]: row for row in rows(tmp_path / "s.details.csv")}
    assert {name for name, row in details.items() if row["flagged"] == "1"} == flagged
    assert details["flag"]["instances"] == instances


def test_details_say_what_happened(tmp_path: Path) -> None:
    draw(tmp_path / "in", "boom.png", "flag.png")
    draw(tmp_path / "in", "huge.png", shape=(80, 80))
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    job(tmp_path / "in", tmp_path / "s.csv", max_pixels=5000)
    details = {row["case_id"]: row for row in rows(tmp_path / "s.details.csv")}
    assert {name: row["status"] for name, row in details.items()} == {
        "bad": "unreadable", "boom": "failed", "flag": "ok", "huge": "too-large",
    }  # fmt: skip
    assert (details["flag"]["width"], details["flag"]["height"]) == ("60", "40")
    assert details["flag"]["reason"] == "" and details["huge"]["reason"] != ""
    # One line of a long story, no traceback.
    assert details["boom"]["reason"] == "ValueError while detecting: a strange picture"


def test_all_inputs_bad_is_a_failure_with_all_rows(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.png").write_bytes(b"junk")
    summary = job(tmp_path / "in", tmp_path / "s.csv")
    assert summary.exit_code is ExitCode.FAILED
    assert [row["annotation"] for row in rows(tmp_path / "s.csv")] == ["authentic"] * 3
    assert len(summary.failures) == 3


def test_a_detector_that_breaks_its_word_is_a_failed_row(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png", "wrong.png")
    assert job(tmp_path / "in", tmp_path / "s.csv").failed == 1
    assert "0 detections for one picture" in rows(tmp_path / "s.details.csv")[1]["reason"]


def test_rows_of_the_sample_in_its_order(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png", "flag.png", "unwanted.png")
    sample = tmp_path / "sample.csv"
    sample.write_text("\ufeffcase_id,annotation\ngone,x\nflag,x\nlost,x\na,x\nend,x\n", "utf-8")
    summary = job(tmp_path / "in", tmp_path / "s.csv", sample_submission=sample)
    found = rows(tmp_path / "s.csv")
    assert [row["case_id"] for row in found] == ["gone", "flag", "lost", "a", "end"]
    assert [row["annotation"] == "authentic" for row in found] == [True, False, True, True, True]
    assert (summary.no_image, summary.ignored, summary.images) == (3, 1, 2)
    assert summary.exit_code is ExitCode.DONE
    statuses = [row["status"] for row in rows(tmp_path / "s.details.csv")]
    assert statuses == ["no-image", "ok", "no-image", "ok", "no-image"]


def test_masks_of_flagged_images(tmp_path: Path) -> None:
    draw(tmp_path / "in", "flag.png", "plain.png", "weak.png")
    job(tmp_path / "in", tmp_path / "s.csv", masks=tmp_path / "masks")
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["flag.npy"]
    mask = np.load(tmp_path / "masks" / "flag.npy", allow_pickle=False)
    assert mask.dtype == np.uint8 and mask.shape == (2, *SIZE)
    assert mask.flags.c_contiguous and set(np.unique(mask)) == {0, 1}
    assert np.array_equal(mask[0], square(SIZE, 4, 4, 8) | square(SIZE, 20, 30, 8))

    job(tmp_path / "in", tmp_path / "t.csv", masks=tmp_path / "png", mask_format="png")
    picture = cv2.imread(str(tmp_path / "png" / "flag.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None and picture.dtype == np.uint8
    assert np.array_equal(picture, mask.any(axis=0) * np.uint8(255))


def test_pictures_of_nested_ids_stay_in_their_folder(tmp_path: Path) -> None:
    draw(tmp_path / "in", "one/flag.png", "two/flag.png")
    job(
        tmp_path / "in",
        tmp_path / "s.csv",
        id_from="path",
        masks=tmp_path / "masks",
        overlays=tmp_path / "overlays",
    )
    ids = [row["case_id"] for row in rows(tmp_path / "s.csv")]
    for case_id in ids:
        assert (tmp_path / "masks" / (case_id + ".npy")).is_file()
        assert (tmp_path / "overlays" / case_id).is_file(), "its suffix is not written twice"


def test_evidence_has_a_line_per_image(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png", "flag.png", "weak.png", "boom.png")
    job(tmp_path / "in", tmp_path / "s.csv", evidence=tmp_path / "e.jsonl", min_area=9)
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [line["case_id"] for line in lines] == ["a", "boom", "flag", "weak"]
    flag = lines[2]
    assert flag["flagged"] is True and flag["shape"] == [40, 60] and flag["score"] == 0.9
    assert [instance["submitted"] for instance in flag["instances"]] == [True, False]
    assert flag["instances"][0]["area"] == 128
    assert flag["instances"][0]["regions"][1] == {"area": 64, "box": [30, 20, 38, 28]}
    assert flag["pairs"][0] == {
        "instance": 0, "first": 0, "second": 1, "affine": [[1, 0, 26], [0, 1, 16]],
        "mirrored": False, "inverted": False, "inliers": 42, "correlation": 0.97,
    }  # fmt: skip
    assert flag["pairs"][1]["correlation"] is None  # JSON has no NaN
    assert lines[3]["flagged"] is False and lines[3]["instances"]
    assert lines[1]["status"] == "failed" and lines[1]["reason"]


def test_record_has_settings_versions_and_counts(tmp_path: Path) -> None:
    draw(tmp_path / "in", "flag.png", "a.png")
    job(tmp_path / "in", tmp_path / "s.csv", threshold=0.25)
    record = json.loads((tmp_path / "s.run.json").read_text())
    assert record["settings"]["threshold"] == 0.25
    details = rows(tmp_path / "s.details.csv")
    assert {(row["threshold"], row["fpr"]) for row in details} == {("0.25", "")}
    assert record["detector_settings"] == {"square": 8, "threshold": 0.5}
    assert record["counts"]["flagged"] == 1 and record["counts"]["complete"] is True
    assert {"python", "numpy", "numba"} <= set(record["versions"])

    first = (tmp_path / "s.run.json").read_bytes()
    job(tmp_path / "in", tmp_path / "s.csv", threshold=0.25, overwrite=True)
    again = json.loads((tmp_path / "s.run.json").read_text())
    again["settings"]["overwrite"] = False
    assert again == json.loads(first), "the same run gives the same record"
    job(tmp_path / "in", tmp_path / "t.csv", threshold=0.26)
    other = json.loads((tmp_path / "t.run.json").read_text())
    assert other["settings_hash"] != record["settings_hash"]


def test_where_results_go_does_not_change_the_hash(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    job(tmp_path / "in", tmp_path / "s.csv")
    job(tmp_path / "in", tmp_path / "t.csv", evidence=tmp_path / "e.jsonl", masks=tmp_path / "m")
    hashes = {
        json.loads((tmp_path / name).read_text())["settings_hash"]
        for name in ("s.run.json", "t.run.json")
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@a", 'quo"te', "a,b", "new\nline", "ü中"])
def test_names_are_data(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "in", name + ".png")
    job(tmp_path / "in", tmp_path / "s.csv")
    (row,) = rows(tmp_path / "s.csv")
    assert row["case_id"] == name, "a submission holds the exact id"
    (details,) = rows(tmp_path / "s.details.csv")
    assert details["case_id"][0] not in "=+-@", "the details open in a spreadsheet"
    assert details["case_id"].removeprefix("'") == name


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    try:
        (tmp_path / "in" / "a.png").rename(
            tmp_path / "in" / b"\xff\xfe.png".decode("utf-8", "surrogateescape")
        )
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    job(tmp_path / "in", tmp_path / "s.csv", overlays=tmp_path / "o", evidence=tmp_path / "e.jsonl")
    (row,) = rows(tmp_path / "s.csv")
    assert "\\udcff" in row["case_id"]


def test_overlays_of_flagged_images_only(tmp_path: Path) -> None:
    draw(tmp_path / "in", "flag.png", "plain.png", "weak.png")
    summary = job(tmp_path / "in", tmp_path / "s.csv", overlays=tmp_path / "o")
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["flag.png"]
    picture = cv2.imread(str(tmp_path / "o" / "flag.png"))
    assert picture is not None and picture.shape[0] > 3 * SIZE[0]
    assert summary.unwritten == 0


def test_sample_with_no_image_of_the_folder_is_wrong_use(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    (tmp_path / "sample.csv").write_text("case_id\nb\n")
    with pytest.raises(UsageError, match="none of its 1 ids"):
        job(tmp_path / "in", tmp_path / "s.csv", sample_submission=tmp_path / "sample.csv")
