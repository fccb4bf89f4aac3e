"""From what a user names to cases."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.cases.discover import discover
from forgecli.cases.order import natural_key
from forgecli.detection import Case, Label
from forgecli.errors import UsageError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nothing reads this")


def ids(cases: list[Case]) -> list[str]:
    return [case.case_id for case in cases]


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """The layout of the competition, with an id in both classes and one mask missing."""
    root = tmp_path / "data"
    touch(root, *(f"train_images/authentic/{i}.png" for i in (1, 2, 10)))
    touch(root, *(f"train_images/forged/{i}.png" for i in (2, 3, 20, 30)))
    touch(root, "train_masks/2.npy", "train_masks/3.npy", "train_masks/20.png")
    touch(root, "supplemental_images/77.png", "supplemental_masks/77.npy")
    touch(root, "test_images/500.png", "sample_submission.csv")
    return root


def test_folders_are_searched_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "10.png", "9.JPG", "b/a2.Tiff", "b/A1.webp", "b/c/1.bmp", "b/c/2.npy")
    cases = discover([tmp_path])
    assert ids(cases) == ["1", "2", "9", "10", "A1", "a2"]
    assert cases[3] == Case("10", tmp_path / "10.png")


def test_names_in_any_script(tmp_path: Path) -> None:
    touch(tmp_path, "größe.png", "图1.png", "a b\tc.png", "e\u0301.png", "x\ny.png")
    assert set(ids(discover([tmp_path]))) == {"größe", "图1", "a b\tc", "\u00e9", "x\ny"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"fig\xff.png")).write_bytes(b"")
    (case,) = discover([tmp_path])
    case.case_id.encode("utf-8")
    assert case.image.exists()


def test_what_is_no_picture_is_passed_over_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "1.png", "notes.txt", "table.csv", "more.csv", "README")
    touch(tmp_path, "._1.png", ".DS_Store", ".hidden/2.png")
    assert ids(discover([tmp_path])) == ["1"]
    output = capsys.readouterr()
    assert "4 files" in output.err
    assert "2 .csv" in output.err
    assert output.out == ""


def test_a_named_file_is_a_case_whatever_it_is(tmp_path: Path) -> None:
    touch(tmp_path, "scan.dat", ".hidden.png", "train_images/1.png", "train_masks/1.png")
    assert ids(discover([tmp_path / "scan.dat"])) == ["scan"]
    assert ids(discover([str(tmp_path / ".hidden.png")])) == [".hidden"]
    assert ids(discover([tmp_path / "train_masks/1.png"])) == ["1"]
    assert ids(discover([tmp_path / "train_masks"])) == ["1"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "set/1.png", "set/deep/2.png", "elsewhere/3.png")
    (tmp_path / "set/deep/up").symlink_to("../..", target_is_directory=True)
    (tmp_path / "set/self").symlink_to(".", target_is_directory=True)
    (tmp_path / "set/other").symlink_to("../elsewhere", target_is_directory=True)
    (tmp_path / "set/4.png").symlink_to("1.png")
    assert ids(discover([tmp_path / "set"])) == ["1", "2", "3", "4"]


def test_a_broken_link_is_a_case(tmp_path: Path) -> None:
    """So that it gets its row, and a reason."""
    (tmp_path / "1.png").symlink_to("nowhere.png")
    (tmp_path / "2.png").symlink_to("2.png")
    assert ids(discover([tmp_path])) == ["1", "2"]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.png", "a/2.jpg", "b/3.png", "b/c/4.png", "b/notes.txt", "b/[5].png")
    monkeypatch.chdir(tmp_path)
    assert ids(discover(["*/*.png"])) == ["1", "3", "[5]"]
    assert ids(discover(["**/*.png"])) == ["1", "3", "4", "[5]"]
    assert ids(discover(["**"])) == ["1", "2", "3", "4", "[5]"]
    assert ids(discover(["?"])) == ["1", "2", "3", "4", "[5]"]
    assert ids(discover(["b/*"])) == ["3", "4", "[5]"]
    assert ids(discover(["b/[5].png"])) == ["[5]"], "a name that exists is no pattern"
    with pytest.raises(UsageError, match="Nothing matches"):
        discover(["*.gif"])


def test_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.png", "a/2.png", "b/3.png", "c/ü.png")
    monkeypatch.chdir(tmp_path)
    lines = "\ufeffa/1.png\r\n\n# not this\nb\nc/ü.png\nmissing.png\n"
    (tmp_path / "list.txt").write_text(lines, encoding="utf-8")
    cases = discover(["@list.txt"])
    assert ids(cases) == ["1", "3", "missing", "ü"]
    assert not cases[2].image.exists()
    (tmp_path / "zeros.txt").write_bytes(b"a/1.png\0b/3.png\0")
    assert ids(discover(["@zeros.txt"])) == ["1", "3"]


def test_a_list_on_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "1.png", "2.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"2.png\n1.png")))
    assert ids(discover(["-"])) == ["1", "2"]


def test_bad_lists(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="list cannot be read"):
        discover([f"@{tmp_path / 'none.txt'}"])
    (tmp_path / "empty.txt").write_text("\n# nothing\n", encoding="utf-8")
    with pytest.raises(UsageError, match="names no pictures"):
        discover([f"@{tmp_path / 'empty.txt'}"])


def test_two_files_of_one_id(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.jpg", "b/2.png")
    with pytest.raises(UsageError) as caught:
        discover([tmp_path])
    assert str(tmp_path / "a/1.png") in caught.value.what
    assert str(tmp_path / "b/1.jpg") in caught.value.what
    assert "--id-from path" in caught.value.mend
    assert ids(discover([tmp_path], id_from="path")) == ["a/1.png", "b/1.jpg", "b/2.png"]


def test_ids_of_paths_begin_where_all_inputs_meet(tmp_path: Path) -> None:
    touch(tmp_path, "x/a/1.png", "x/a/1.jpg", "x/b/1.png", "y/1.png")
    both = discover([tmp_path / "x/a", tmp_path / "x/b"], id_from="path")
    assert ids(both) == ["a/1.jpg", "a/1.png", "b/1.png"]
    mixed = discover([tmp_path / "x/a/1.png", tmp_path / "y"], id_from="path")
    assert ids(mixed) == ["x/a/1.png", "y/1.png"]
    assert ids(discover([tmp_path / "y/1.png"], id_from="path")) == ["1.png"]
    pattern = str(tmp_path / "x/*/1.png")
    assert ids(discover([pattern], id_from="path")) == ["a/1.png", "b/1.png"]


def test_a_file_named_twice_is_one_case(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/2.png")
    assert ids(discover([tmp_path / "a/1.png", tmp_path, tmp_path / "a"])) == ["1", "2"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder") as caught:
        discover([tmp_path / "none"])
    assert caught.value.file == str(tmp_path / "none")
    with pytest.raises(UsageError, match="no pictures in"):
        discover([tmp_path])
    touch(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match="no pictures in"):
        discover([tmp_path])
    with pytest.raises(UsageError):
        discover([])
    with pytest.raises(UsageError, match="no such file or folder"):
        discover(["x" * 5000])


def test_labels_and_masks_of_the_competition(data_set: Path) -> None:
    cases = {case.case_id: case for case in discover([data_set], id_from="path")}
    assert len(cases) == 9
    assert not any("masks" in case_id for case_id in cases)

    def truth(case_id: str) -> tuple[Label | None, str | None]:
        case = cases[case_id]
        return case.label, None if case.mask is None else str(case.mask.relative_to(data_set))

    assert truth("train_images/authentic/1.png") == (Label.AUTHENTIC, None)
    assert truth("train_images/authentic/2.png") == (Label.AUTHENTIC, None)
    assert truth("train_images/forged/2.png") == (Label.FORGED, "train_masks/2.npy")
    assert truth("train_images/forged/20.png") == (Label.FORGED, "train_masks/20.png")
    assert truth("train_images/forged/30.png") == (Label.FORGED, None)
    assert truth("supplemental_images/77.png") == (Label.FORGED, "supplemental_masks/77.npy")
    assert truth("test_images/500.png") == (None, None)


@pytest.mark.parametrize("inside", ["train_images/forged", "train_images/forged/3.png"])
def test_a_part_of_a_data_set_keeps_its_truth(data_set: Path, inside: str) -> None:
    cases = {case.case_id: case for case in discover([data_set / inside])}
    assert cases["3"].label is Label.FORGED
    assert cases["3"].mask == data_set / "train_masks/3.npy"


def test_an_id_in_both_classes_is_named(data_set: Path) -> None:
    with pytest.raises(UsageError, match="'2'"):
        discover([data_set])


def test_plain_images_and_masks(tmp_path: Path) -> None:
    touch(tmp_path, "images/1.jpg", "masks/1.png", "alone/masks/7.png")
    cases = discover([tmp_path])
    assert ids(cases) == ["1", "7"], "masks without images beside them are pictures"
    assert cases[0].mask == tmp_path / "masks/1.png"
    assert cases[0].label is None


def test_relative_inputs_find_their_masks(data_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data_set / "train_images/forged")
    for named in (".", "3.png"):
        cases = {case.case_id: case for case in discover([named])}
        assert cases["3"].label is Label.FORGED
        assert cases["3"].mask is not None
        assert cases["3"].mask.samefile(data_set / "train_masks/3.npy")


def test_natural_order() -> None:
    names = ["10", "9", "1", "a10", "a9", "A1", "b", "a", "", "9a", "09", "1.5", "é"]
    expected = ["", "1", "1.5", "09", "9", "9a", "10", "a", "A1", "a9", "a10", "b", "é"]
    assert sorted(names, key=natural_key) == expected


@given(st.lists(st.text()))
def test_natural_order_is_an_order(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)
