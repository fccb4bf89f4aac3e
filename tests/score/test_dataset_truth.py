"""The truth of data sets on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from forgecli.detection import Case
from forgecli.errors import UsageError
from forgecli.score.dataset_truth import Remarks, find_cases, truth_rows, write_truth
from forgecli.score.problems import BadRows

HEIGHT, WIDTH = 4, 5


def picture(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    return file


def masks(file: Path, *boxes: tuple[slice, slice]) -> Path:
    array = np.zeros((len(boxes), HEIGHT, WIDTH), np.uint8)
    for plane, box in zip(array, boxes, strict=True):
        plane[box] = 1
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, array)
    return file


ALL = slice(None)
FIRST_COLUMN = (ALL, slice(0, 1))
TOP_ROW = (slice(0, 1), ALL)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    picture(root / "train_images/authentic/10.png")
    picture(root / "train_images/authentic/9.png")
    picture(root / "train_images/forged/10.png")
    masks(root / "train_masks/10.npy", FIRST_COLUMN, TOP_ROW)
    return root


def rows(cases: list[Case], remarks: Remarks | None = None) -> list[tuple[str, str, str]]:
    return list(truth_rows(cases, remarks or Remarks()))


def test_ids_of_paths(dataset: Path) -> None:
    assert rows(find_cases([dataset], id_from="path")) == [
        ("train_images/authentic/9.png", "authentic", "authentic"),
        ("train_images/authentic/10.png", "authentic", "authentic"),
        ("train_images/forged/10.png", "[1, 4];[1, 1, 5, 1, 9, 1, 13, 1, 17, 1]", "[4, 5]"),
    ]


def test_parts(dataset: Path) -> None:
    assert [row[0] for row in rows(find_cases([dataset], part="authentic"))] == ["9", "10"]
    assert [row[1][0] for row in rows(find_cases([dataset], part="forged"))] == ["["]


def test_an_id_in_both_classes(dataset: Path) -> None:
    with pytest.raises(UsageError, match="'10'") as caught:
        find_cases([dataset])
    assert "--id-from path" in caught.value.mend
    assert "--part" in caught.value.mend


def test_flat_folders(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "images/b.png")
    picture(tmp_path / "images/c.png")
    masks(tmp_path / "masks/a.npy", FIRST_COLUMN)
    masks(tmp_path / "masks/b.npy")
    remarks = Remarks()
    found = rows(find_cases([tmp_path]), remarks)
    assert [row[1] for row in found] == ["[1, 4]", "authentic", "authentic"]
    assert remarks.unlabelled == ["c"]
    assert [row[0] for row in rows(find_cases([tmp_path], part="forged"))] == ["a", "b"]


def test_masks_as_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "train_images/forged/a.png")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[FIRST_COLUMN] = 255
    (tmp_path / "train_masks").mkdir()
    cv2.imwrite(str(tmp_path / "train_masks/a.png"), mask)
    assert rows(find_cases([tmp_path])) == [("a", "[1, 4]", "[4, 5]")]


def test_no_labels_at_all(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(UsageError, match="no image here has a mask") as caught:
        find_cases([tmp_path])
    assert "train_masks" in caught.value.mend
    assert rows(find_cases([tmp_path], part="authentic")) == [("a", "authentic", "authentic")]


def test_an_empty_part(tmp_path: Path) -> None:
    picture(tmp_path / "authentic/a.png")
    with pytest.raises(UsageError, match="none of the 1 images is forged"):
        find_cases([tmp_path], part="forged")


def test_repaired_masks_are_told(dataset: Path) -> None:
    array = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    array[0, 0] = 1
    np.save(dataset / "train_masks/10.npy", array)
    remarks = Remarks()
    assert rows(find_cases([dataset], part="forged"), remarks) == [("10", "[1, 1]", "[4, 5]")]
    (line,) = remarks.lines()
    assert "channels last" in line
    assert "'10'" in line


def test_all_problems_are_collected(dataset: Path, tmp_path: Path) -> None:
    (dataset / "train_masks/10.npy").write_bytes(b"not an array")
    picture(dataset / "train_images/forged/11.png")
    picture(dataset / "train_images/forged/12.png")
    masks(dataset / "train_masks/12.npy")
    (dataset / "train_images/forged/13.png").write_bytes(b"not a picture")
    masks(dataset / "train_masks/13.npy", FIRST_COLUMN)
    output = tmp_path / "gt.csv"
    with pytest.raises(BadRows) as caught:
        write_truth(output, truth_rows(find_cases([dataset], part="forged"), Remarks()))
    assert [problem.case_id for problem in caught.value.problems] == ["10", "11", "12", "13"]
    assert [problem.file.name for problem in caught.value.problems] == [
        "10.npy",
        "11.png",
        "12.npy",
        "13.png",
    ]
    assert all(problem.mend for problem in caught.value.problems)
    assert not output.exists()


def test_the_file(dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "new/gt.csv"
    assert write_truth(output, truth_rows(find_cases([dataset], part="forged"), Remarks())) == 1
    assert output.read_bytes() == (
        b'case_id,annotation,shape\n10,"[1, 4];[1, 1, 5, 1, 9, 1, 13, 1, 17, 1]","[4, 5]"\n'
    )
