from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest

from kernels.rle import annotation_from_text, decode

EXAMPLES = Path(__file__).parents[2] / "examples"


def rows() -> list[dict[str, str]]:
    with (EXAMPLES / "truth.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_figure_has_a_row_of_truth_and_is_small() -> None:
    figures = {path.stem: path.stat().st_size for path in (EXAMPLES / "figures").glob("*.png")}
    assert [row["case_id"] for row in rows()] == sorted(figures)
    assert max(figures.values()) < 300 * 1024
    labels = [row["annotation"] == "authentic" for row in rows()]
    assert any(labels) and not all(labels)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["case_id"])
def test_the_truth_fits_its_figure(row: dict[str, str]) -> None:
    picture = cv2.imread(str(EXAMPLES / "figures" / f"{row['case_id']}.png"))
    assert picture is not None
    assert ("authentic" in row["case_id"]) == (row["annotation"] == "authentic")
    if row["annotation"] == "authentic":
        assert row["shape"] == "authentic"
        return
    assert json.loads(row["shape"]) == list(picture.shape[:2])
    for text_runs in annotation_from_text(row["annotation"]):
        mask = decode(text_runs, picture.shape[:2])
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype("uint8"))
        areas = stats[1:, cv2.CC_STAT_AREA]
        assert count >= 3 and (areas == areas[0]).all()  # whole pixels were moved
