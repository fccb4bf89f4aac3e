"""From settings to the two sides of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgecli.cases.split import write_split
from forgecli.errors import UsageError
from forgecli.train.data import DataSettings
from forgecli.train.partition import read_sides
from tests.train.drawn import write_case, write_set


def test_twins_stay_together_and_the_cache_is_kept(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", 10)
    data = DataSettings(folder=folder, validation_share=0.3)
    sides = read_sides(data, cache=tmp_path / "run")
    train = {item.group for item in sides.train}
    validation = {item.group for item in sides.validation}
    assert not train & validation and len(validation) == 3
    assert sides.strata["all"] == (14, 6)
    assert sides.strata["class forged"] == (7, 3)
    assert (tmp_path / "run" / "index.json").is_file()
    assert read_sides(data, cache=tmp_path / "run") == sides


def test_folds(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 6)
    parts = [read_sides(DataSettings(folder=folder, folds=3, fold=fold)) for fold in range(3)]
    validated = [item.case.case_id for part in parts for item in part.validation]
    assert len(validated) == len(set(validated)) == 12
    for folds, fold in ((3, 3), (1, 0), (0, 1)):
        with pytest.raises(UsageError, match="cannot be"):
            read_sides(DataSettings(folder=folder, folds=folds, fold=fold))


def test_a_split_of_another_run_is_taken(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", 10)
    first = read_sides(DataSettings(folder=folder, validation_share=0.3, split_seed=5))
    file = tmp_path / "split.csv"
    write_split(file, first.split)
    again = read_sides(DataSettings(folder=folder, split=file))
    assert again.split == first.split
    assert (again.train, again.validation) == (first.train, first.validation)
    assert again.lines == first.lines

    moved = first.validation[0].case.case_id
    kept = [line for line in file.read_text().splitlines() if not line.startswith(moved)]
    file.write_text("\n".join([*kept[:-1], f"{moved},train"]))
    last = kept[-1].split(",")[0]
    sides = read_sides(DataSettings(folder=folder, split=file))
    assert moved in sides.split.train and last not in sides.split.sides()
    assert sides.left_out == 1
    assert any("1 images are not named" in line for line in sides.lines)
    assert any("1 groups are on both sides" in line for line in sides.lines)

    file.write_text("case_id,side\nnobody,train\n")
    with pytest.raises(UsageError, match="1 images that are not in the data set, 'nobody'"):
        read_sides(DataSettings(folder=folder, split=file))
    with pytest.raises(UsageError, match="set one of them"):
        read_sides(DataSettings(folder=folder, split=file, folds=3))


def test_another_folder_to_validate_on(tmp_path: Path) -> None:
    for name, sources in (("train", ["x", "y"]), ("other", ["y", "z"])):
        for number, source in enumerate(sources):
            write_case(tmp_path / name, str(number), seed=number, sources=[source], twin=False)
    data = DataSettings(folder=tmp_path / "train", validation_folder=tmp_path / "other")
    sides = read_sides(data)
    assert len(sides.train) == len(sides.validation) == 2
    assert sides.split.train[0] == "train/train_images/forged/0.png"
    assert sides.split.validation[0] == "validation/train_images/forged/0.png"
    assert sides.strata["all"] == (2, 2)
    assert any(line.startswith("1 of 2 validation images share") for line in sides.lines)


def test_how_a_set_could_be_split_is_said_only_where_it_is(tmp_path: Path) -> None:
    for number in range(6):  # each shares a source with the next
        sources = [f"s{number}", f"s{number + 1}"]
        write_case(tmp_path / "train", str(number), seed=number, sources=sources, twin=False)
    write_case(tmp_path / "other", "0", seed=9, sources=["z"], twin=False)

    def said(data: DataSettings) -> bool:
        return any("would be one group" in line for line in read_sides(data).lines)

    assert said(DataSettings(folder=tmp_path / "train"))
    apart = DataSettings(folder=tmp_path / "train", validation_folder=tmp_path / "other")
    assert not said(apart)


def test_no_image_is_on_both_sides(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", 3)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(UsageError, match="6 images are in both"):
        read_sides(DataSettings(folder=folder, validation_folder=tmp_path / "link"))


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data set is named"):
        read_sides(DataSettings())
    folder = write_set(tmp_path, 3)
    for mask in (folder / "train_masks").iterdir():
        mask.unlink()
    with pytest.raises(UsageError, match="no forged images with masks to train on"):
        read_sides(DataSettings(folder=folder))
