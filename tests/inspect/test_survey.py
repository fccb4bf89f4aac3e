"""Data sets with one thing wrong each, and the one finding that must follow."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from forgecli.detection import Status
from forgecli.errors import UsageError
from forgecli.inspect.rows import Kind
from forgecli.inspect.survey import Survey, survey
from tests.inspect.sets import SHAPE, Maker, clean, mask, noise


def look(folder: Path, **more: object) -> Survey:
    settings: dict[str, object] = {"max_pixels": 10_000_000, "workers": 0, **more}
    return survey(folder, **settings)  # type: ignore[arg-type]


def kinds(found: Survey) -> list[tuple[Kind, str]]:
    return [(each.kind, each.path) for each in found.summary.findings]


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    return clean(tmp_path / "set")


def test_a_clean_set(made: Maker) -> None:
    found = look(made.folder)
    assert kinds(found) == []
    summary = found.summary
    assert [(each.name, each.images) for each in summary.classes] == [
        ("authentic", 3), ("forged", 2), ("no class", 0),
    ]  # fmt: skip
    assert summary.parts == {"train": {"authentic": 3, "forged": 2}}
    assert summary.twins == 1
    assert summary.labelled and summary.unreadable == summary.wrong == 0
    assert summary.instances == {1: 1, 2: 1}
    assert found.verdict() == "5 images; nothing wrong found"
    two = next(row for row in found.rows if row.path == "train_images/forged/2.png")
    assert two.truth is not None and two.truth.areas == (100, 140)
    assert two.truth.coverage == pytest.approx(10)
    assert (two.case_id, two.mask, two.part) == ("2", "train_masks/2.npy", "train")
    assert (two.height, two.width, two.channels, two.bits) == (*SHAPE, 3, 8)


def test_rows_are_in_the_order_of_paths(made: Maker) -> None:
    made.image("train_images/authentic/10.png", 10)
    names = [row.path.split("/")[-2:] for row in look(made.folder).rows]
    assert names == [["authentic", f"{n}.png"] for n in (1, 2, 3, 10)] + [
        ["forged", "2.png"], ["forged", "4.png"],
    ]  # fmt: skip


def test_forged_without_mask(made: Maker) -> None:
    made.image("train_images/forged/9.png", 9)
    assert kinds(look(made.folder)) == [(Kind.NO_MASK, "train_images/forged/9.png")]


def test_masks_without_image(made: Maker) -> None:
    made.mask("train_masks/7.npy", mask((0, 0, 1, 1)))
    made.mask("train_masks/1.npy", mask((0, 0, 1, 1)))  # of an authentic image
    cv2.imwrite(str(made.folder / "train_masks" / "4.png"), mask((0, 0, 1, 1))[0])
    found = look(made.folder)
    assert sorted(kinds(found)) == sorted(
        [
            (Kind.ORPHAN, "train_masks/1.npy"),
            (Kind.ORPHAN, "train_masks/7.npy"),
            (Kind.SECOND_MASK, "train_masks/4.png"),
        ]
    )
    texts = {each.path: each.text for each in found.summary.findings}
    assert "authentic" in texts["train_masks/1.npy"]
    assert "4.npy is read instead" in texts["train_masks/4.png"]


def test_the_folder_of_images_itself_finds_its_masks(made: Maker) -> None:
    made.mask("train_masks/7.npy", mask((0, 0, 1, 1)))
    for folder in ("train_images", "train_images/forged", "train_images/authentic"):
        found = look(made.folder / folder)
        orphans = [each.path for each in found.summary.findings]
        assert [Path(path).name for path in orphans] == ["7.npy"], folder
    assert look(made.folder / "train_images" / "forged").summary.coverage.images == 2


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (mask((0, 0, 8, 8), shape=(20, 30)), Kind.MASK_SIZE),
        (mask((0, 0, 8, 8)).transpose(0, 2, 1), Kind.MASK_AXES),
        (mask((0, 0, 8, 8), (9, 9, 3, 3)).transpose(1, 2, 0), Kind.MASK_AXES),
        (mask((0, 0, 8, 8)) * 255, Kind.MASK_VALUES),
        (mask((0, 0, 8, 8)).astype(np.float32) * 0.5, Kind.MASK_VALUES),
        (mask((0, 0, 8, 8)).astype(np.int16) * -1, Kind.MASK_VALUES),
        (np.where(np.arange(60) < 9, 3, mask((0, 0, 8, 8))), Kind.MASK_VALUES),
        (np.where(mask((0, 0, 8, 8)) > 0, np.nan, 1.0), Kind.MASK_VALUES),
        (mask((0, 0, 8, 8), (0, 0, 0, 0)), Kind.MASK_CHANNEL),
        (mask((0, 0, 0, 0), (0, 0, 0, 0)), Kind.MASK_EMPTY),
        (mask((0, 0, 8, 8))[None], Kind.MASK_FORM),
        (mask((0, 0, 8, 8), (4, 4, 8, 8)), Kind.OVERLAP),
        (mask((0, 0, 8, 8), (0, 0, 8, 8)), Kind.OVERLAP),
        (np.zeros((3, 3, 3, 3), np.uint8), Kind.MASK_UNREADABLE),
    ],
)
def test_bad_masks(made: Maker, array: np.ndarray, kind: Kind) -> None:
    made.mask("train_masks/4.npy", array)
    found = look(made.folder)
    assert kinds(found) == [(kind, "train_masks/4.npy")]
    assert found.unreadable == (kind is Kind.MASK_UNREADABLE)


@pytest.mark.parametrize(
    "array",
    [
        mask((0, 0, 8, 8))[0],
        mask((0, 0, 8, 8)).astype(bool),
        mask((0, 0, 8, 8)).astype(np.float64),
        np.asfortranarray(mask((0, 0, 8, 8), (9, 9, 3, 3))),
    ],
)
def test_masks_that_are_as_good(made: Maker, array: np.ndarray) -> None:
    made.mask("train_masks/4.npy", array)
    assert kinds(look(made.folder)) == []


def test_how_instances_overlap_is_said(made: Maker) -> None:
    made.mask("train_masks/4.npy", mask((0, 0, 8, 8), (20, 0, 4, 4), (4, 4, 8, 8)))
    (finding,) = look(made.folder).summary.findings
    assert finding.text == "instances 1 and 3 share 16 pixels, 25 % of the smaller"


def test_a_mask_that_only_pickle_could_load(made: Maker) -> None:
    np.save(made.folder / "train_masks" / "4.npy", np.array([{}]), allow_pickle=True)
    assert kinds(look(made.folder)) == [(Kind.MASK_UNREADABLE, "train_masks/4.npy")]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", Status.UNREADABLE),
        (b"not a picture at all", Status.UNREADABLE),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, Status.UNREADABLE),
    ],
)
def test_a_bad_image_is_a_row(made: Maker, content: bytes, status: Status) -> None:
    made.data("train_images/authentic/3.png", content)
    found = look(made.folder)
    assert kinds(found) == [(Kind.UNREADABLE, "train_images/authentic/3.png")]
    row = next(row for row in found.rows if row.case_id == "3")
    assert (row.status, row.pixels) == (status, None)
    assert found.unreadable == found.summary.classes[0].unreadable == 1
    assert found.readable == 4


def test_a_truncated_image_keeps_its_size(made: Maker) -> None:
    path = made.folder / "train_images" / "forged" / "4.png"
    path.write_bytes(path.read_bytes()[:2000])
    found = look(made.folder)
    assert kinds(found) == [(Kind.UNREADABLE, "train_images/forged/4.png")]
    row = next(row for row in found.rows if row.case_id == "4")
    assert (row.height, row.width) == SHAPE
    assert row.truth is not None and row.truth.areas == (24,)


def test_an_image_over_the_limit(made: Maker) -> None:
    made.image("train_images/authentic/1.png", noise(1, (50, 60)))
    found = look(made.folder, max_pixels=2400)
    assert kinds(found) == [(Kind.TOO_LARGE, "train_images/authentic/1.png")]
    assert found.rows[0].status is Status.TOO_LARGE
    assert found.rows[0].height == 50


def test_odd_files_are_notes(made: Maker) -> None:
    _, packed = cv2.imencode(".bmp", noise(3))
    made.data("train_images/authentic/3.png", packed.tobytes())
    found = look(made.folder)
    assert kinds(found) == [(Kind.ODD_FILE, "train_images/authentic/3.png")]
    assert found.summary.wrong == 0


def test_an_image_of_one_colour(made: Maker) -> None:
    made.image("train_images/authentic/3.png", np.full((*SHAPE, 3), 7, np.uint8))
    assert kinds(look(made.folder)) == [(Kind.BLANK, "train_images/authentic/3.png")]


def test_twins_of_different_size(made: Maker) -> None:
    made.image("train_images/authentic/2.png", noise(2, (41, 60)))
    found = look(made.folder)
    assert kinds(found) == [(Kind.TWIN_SIZE, "train_images/forged/2.png")]
    assert "60 x 41" in found.summary.findings[0].text


def test_a_forged_image_that_is_its_twin(made: Maker) -> None:
    made.image(
        "train_images/authentic/2.bmp", cv2.imread(str(made.folder / "train_images/forged/2.png"))
    )
    (made.folder / "train_images/authentic/2.png").unlink()
    found = look(made.folder)
    assert kinds(found) == [
        (Kind.TWIN_FORM, "train_images/forged/2.png"),  # PNG and BMP tell the classes apart
        (Kind.TWIN_SAME, "train_images/forged/2.png"),
    ]
    assert "same pixels in another file" in found.summary.findings[1].text


def test_twins_told_apart_by_grey(made: Maker) -> None:
    grey = np.repeat(noise(2)[:, :, :1], 3, axis=2)
    made.image("train_images/authentic/2.png", grey)
    assert kinds(look(made.folder)) == [(Kind.TWIN_FORM, "train_images/forged/2.png")]


def test_duplicates(made: Maker) -> None:
    made.image("train_images/authentic/20.png", 1)  # an authentic picture twice
    made.image("train_images/forged/21.png", 3)  # an authentic one that is called forged
    made.mask("train_masks/21.npy", mask((0, 0, 4, 4)))
    made.image("test_images/22.png", 4)  # in the test set as well
    found = look(made.folder)
    assert kinds(found) == [
        (Kind.DUPLICATE, "train_images/authentic/20.png"),
        (Kind.BOTH_CLASSES, "train_images/forged/21.png"),
        (Kind.LEAK_PICTURE, "train_images/forged/4.png"),
    ]
    texts = [each.text for each in found.summary.findings]
    assert texts == [
        "same file: train_images/authentic/1.png",
        "same file: train_images/authentic/3.png",
        "same file: test_images/22.png",
    ]


def test_unreadable_duplicates_are_known_by_their_bytes(made: Maker) -> None:
    for name in ("30", "31"):
        made.data(f"train_images/authentic/{name}.png", b"the same broken file")
    found = look(made.folder)
    assert (Kind.DUPLICATE, "train_images/authentic/31.png") in kinds(found)


def test_ids_in_two_sets_and_twice_in_a_class(made: Maker) -> None:
    made.image("test_images/1.png", 50)
    made.image("train_images/authentic/3.bmp", 51)
    assert sorted(kinds(look(made.folder))) == sorted(
        [
            (Kind.SAME_ID, "train_images/authentic/3.png"),
            (Kind.LEAK_ID, "train_images/authentic/1.png"),
        ]
    )
    assert look(made.folder).summary.wrong == 1  # an id alone proves nothing


def test_against_another_set(made: Maker, tmp_path: Path) -> None:
    other = Maker(tmp_path / "test")
    other.image("a.png", 4)  # pixels of forged 4
    other.image("2.png", 60)  # an id of two images
    other.data("bad.png", b"bad")
    found = look(made.folder, against=tmp_path / "test")
    assert sorted(kinds(found)) == sorted(
        [
            (Kind.LEAK_ID, "train_images/authentic/2.png"),
            (Kind.LEAK_ID, "train_images/forged/2.png"),
            (Kind.LEAK_PICTURE, "train_images/forged/4.png"),
        ]
    )
    compared = found.summary.against
    assert compared is not None
    assert (compared.images, compared.unreadable) == (3, 1)
    assert (compared.shared_ids, compared.shared_pictures) == (2, 1)
    assert len(found.rows) == 5
    assert found.unreadable == 1


def test_synthetic_sets_that_share_a_source(made: Maker, tmp_path: Path) -> None:
    other = Maker(tmp_path / "test")
    other.image("train_images/authentic/70.png", 70)
    other.data("cards/70.json", b'{"sources": ["a.tif", "b.tif"]}')
    made.data("cards/1.json", b'{"sources": ["c.tif"]}')
    made.data("cards/2.json", b'{"sources": ["c.tif", "b.tif"]}')
    for name, content in (("3", b"{"), ("4", b"[]"), ("5", b'{"sources": 5}')):
        made.data(f"cards/{name}.json", content)
    found = look(made.folder, against=other.folder)
    assert kinds(found) == [(Kind.LEAK_SOURCE, "cards/2.json")]
    assert found.summary.against is not None and found.summary.against.shared_sources == 1


def test_against_a_part_of_the_same_folder(made: Maker) -> None:
    made.image("test_images/90.png", 90)
    found = look(made.folder, against=made.folder / "test_images")
    assert kinds(found) == []
    assert len(found.rows) == 5
    with pytest.raises(UsageError, match="in the other data set"):
        look(made.folder / "test_images", against=made.folder)


def test_images_and_masks_without_folders_for_classes(tmp_path: Path) -> None:
    made = Maker(tmp_path / "set")
    for number in (1, 2, 3):
        made.image(f"images/{number}.png", number)
    made.mask("masks/1.npy", mask((0, 0, 8, 8)))
    made.mask("masks/2.npy", mask((0, 0, 0, 0)))
    found = look(made.folder)
    assert [row.label for row in found.rows] == ["forged", "authentic", ""]
    assert kinds(found) == []


def test_a_folder_of_images(tmp_path: Path) -> None:
    made = Maker(tmp_path / "set")
    made.image("a/1.png", 1)
    made.image("b/1.png", 2)
    found = look(made.folder)
    assert kinds(found) == []
    assert not found.summary.labelled
    assert "none with a class" in found.verdict()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "holds no images"),
        (lambda folder: Maker(folder).data("a.txt", b"text"), "holds no images"),
        (lambda folder: folder.write_bytes(b""), "is a file"),
        (
            lambda folder: cv2.imwrite(
                str(Maker(folder).data("train_masks/1.png", b"")), mask((0, 0, 1, 1))[0]
            ),
            "masks but no images",
        ),
    ],
)
def test_nothing_to_look_at(tmp_path: Path, make: object, said: str) -> None:
    make(tmp_path / "set")  # type: ignore[operator]
    with pytest.raises(UsageError, match=said) as caught:
        look(tmp_path / "set")
    assert "train_images/authentic" in caught.value.mend


def test_names_that_are_no_text(tmp_path: Path) -> None:
    made = clean(tmp_path / "set")
    named = os.fsencode(made.folder / "train_images/authentic") + b"/\xff<b>.png"
    (made.folder / "train_images/authentic/1.png").rename(os.fsdecode(named))
    found = look(made.folder)
    assert kinds(found) == []
    assert "\\udcff<b>" in [row.case_id for row in found.rows]
