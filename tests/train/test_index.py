"""What is read from a data set: nothing is dropped without being said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from forgecli.errors import UsageError
from forgecli.train.domain import domain_of
from forgecli.train.index import count_labels, read_index, shared_sources
from tests.train.drawn import textured, write_case, write_set


def test_facts_of_a_known_image(tmp_path: Path) -> None:
    write_case(tmp_path, "a", seed=1)  # two boxes of 12 x 14 in 60 x 80
    index = read_index(tmp_path)
    twin, forged = index.items
    assert (twin.case.case_id, forged.case.case_id) == (
        "train_images/authentic/a.png",
        "train_images/forged/a.png",
    )
    assert not twin.forged and forged.forged
    assert (forged.facts.height, forged.facts.width, forged.facts.instances) == (60, 80, 1)
    assert forged.facts.coverage == pytest.approx(100 * 2 * 12 * 14 / 4800)
    # From column 5 to 64 and row 5 to 47, so a square of 59 pixels shows both.
    assert forged.facts.extent == pytest.approx(59 / 80, abs=1e-3)
    assert (twin.facts.coverage, twin.facts.extent, twin.facts.instances) == (0, 0, 0)
    assert forged.group == twin.group == "a"
    assert forged.strata == (
        "class forged", "domain grey middle, forged", "coverage > 5 %",
    )  # fmt: skip
    assert index.left_out == {} and index.warnings == ()


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path: Path) -> None:
    for name in ("good", "no mask", "empty", "broken", "wrong mask"):
        write_case(tmp_path, name, seed=2, twin=False)
    images, masks = tmp_path / "train_images", tmp_path / "train_masks"
    (masks / "no mask.npy").unlink()
    np.save(masks / "empty.npy", np.zeros((1, 60, 80), np.uint8))
    (images / "forged" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (masks / "wrong mask.npy").write_bytes(b"no array")
    cv2.imwrite(str(images / "unknown.png"), textured(3))
    index = read_index(tmp_path)
    unknown, good = sorted(index.items, key=lambda item: item.forged)
    assert good.forged and good.case.image.stem == "good"
    assert not unknown.forged and unknown.case.image.stem == "unknown"
    assert any(line.startswith("no mask and no folder") for line in index.lines())
    reasons = {Path(case_id).stem: reason for case_id, reason in index.left_out.items()}
    assert set(reasons) == {"no mask", "empty", "broken", "wrong mask"}
    assert "has no mask" in reasons["no mask"]
    assert "mask is empty" in reasons["empty"]
    told = [line for line in index.lines() if "left out, 'train" in line]
    assert len(told) == len(set(reasons.values())) == 4


def test_images_beside_masks_are_what_their_masks_say(tmp_path: Path) -> None:
    for name in ("forged", "clean", "bare"):
        write_case(tmp_path, name, seed=4, twin=False)
    for old, new in (("train_images/forged", "images"), ("train_masks", "masks")):
        (tmp_path / old).rename(tmp_path / new)
    np.save(tmp_path / "masks" / "clean.npy", np.zeros((1, 60, 80), np.uint8))
    (tmp_path / "masks" / "bare.npy").unlink()
    index = read_index(tmp_path)
    assert index.left_out == {}
    assert {item.case.image.stem: item.forged for item in index.items} == {
        "forged": True,
        "clean": False,
        "bare": False,
    }
    assert all((item.case.mask is not None) == item.forged for item in index.items)


def test_repaired_masks_are_warned_of_once_with_their_number(tmp_path: Path) -> None:
    for name in "ab":
        write_case(tmp_path, name, seed=2, twin=False)
        file = tmp_path / "train_masks" / f"{name}.npy"
        np.save(file, np.load(file, allow_pickle=False).transpose(0, 2, 1))
    index = read_index(tmp_path)
    assert len(index.items) == 2
    assert index.warnings == (
        "The mask is transposed. (2 images, the first is 'train_images/forged/a.png')",
    )


def test_too_large_pictures_are_left_out(tmp_path: Path) -> None:
    write_case(tmp_path, "a", seed=1)
    index = read_index(tmp_path, max_pixels=4799)
    assert index.items == () and len(index.left_out) == 2


def test_the_users_groups_and_domains(tmp_path: Path) -> None:
    write_set(tmp_path, 4)
    rows = tmp_path / "cases.csv"
    rows.write_text(
        "case_id,group,domain\n0,mouse,blot\n2,mouse,\n"
        "train_images/forged/3.png,,gel\n9,mouse,blot\n"
    )
    index = read_index(tmp_path, cases=rows)
    of = {item.case.case_id.removeprefix("train_images/"): item for item in index.items}
    assert of["forged/0.png"].facts.domain == of["authentic/0.png"].facts.domain == "blot"
    assert of["forged/0.png"].group == of["authentic/2.png"].group
    assert of["forged/1.png"].group != of["forged/0.png"].group
    assert of["forged/3.png"].facts.domain == "gel"
    assert of["authentic/3.png"].facts.domain == "grey middle"
    assert any("names cases that are not" in text and "'9'" in text for text in index.warnings)
    assert any("does not name the case" in text and "3 images" in text for text in index.warnings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,grup\n", "did you mean group"),
        ("group,domain\n", "no column case_id"),
        ("case_id,group\na,1\na,2\n", "line 3"),
        ("case_id\na,b\n", "too many fields"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write_case(tmp_path / "set", "a", seed=1)
    rows = tmp_path / "cases.csv"
    rows.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_index(tmp_path / "set", cases=rows)


def test_cards_join_what_shares_a_source(tmp_path: Path) -> None:
    for stem, sources in (("a", ["x"]), ("b", ["x"]), ("c", ["y"]), ("d", ["z"]), ("e", ["w"])):
        write_case(tmp_path, stem, seed=ord(stem), sources=sources)
    (tmp_path / "cards" / "e.json").write_text("{")
    index = read_index(tmp_path)
    groups = {Path(item.case.case_id).stem: item.group for item in index.items}
    assert groups == {"a": "a", "b": "a", "c": "c", "d": "d", "e": "e"}
    assert any("card is not JSON" in text for text in index.warnings)
    a, b, c = ([i for i in index.items if i.group == g][:1] for g in ("a", "a", "c"))
    assert shared_sources(a + c, b) == 1
    assert shared_sources(c, a + b) == 0


def test_the_cache_saves_reading_and_sees_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forgecli.train import index as module

    folder, cache = write_set(tmp_path / "set", 3), tmp_path / "run" / "index.json"
    read: list[str] = []
    look = module.look

    def counted(case, max_pixels):  # type: ignore[no-untyped-def]
        read.append(case.case_id)
        return look(case, max_pixels)

    monkeypatch.setattr(module, "look", counted)
    first = read_index(folder, cache=cache)
    assert len(read) == 6
    assert read_index(folder, cache=cache) == first
    assert len(read) == 6
    mask = folder / "train_masks" / "1.npy"
    wide = np.zeros((1, 60, 80), np.uint8)
    wide[0, :30] = 1
    np.save(mask, wide)
    mask.touch()
    again = read_index(folder, cache=cache)
    assert read[6:] == ["train_images/forged/1.png"]
    assert [i.facts.coverage for i in again.items if i.forged][1] == pytest.approx(50)
    cache.write_text('{"format": 1, "images": {"x": []}}')
    assert read_index(folder, cache=cache) == again


def test_threads_change_nothing(tmp_path: Path) -> None:
    write_set(tmp_path, 5)
    seen: list[tuple[int, int]] = []
    index = read_index(tmp_path, workers=4, progress=lambda *of: seen.append(of))
    assert index == read_index(tmp_path)
    assert seen == [(number, 10) for number in range(1, 11)]
    assert count_labels(index.items).total() == 10


@pytest.mark.parametrize(
    ("colour", "domain"),
    [
        ((10, 10, 10), "grey dark"),
        ((120, 121, 120), "grey middle"),
        ((230, 230, 230), "grey light"),
        ((220, 180, 230), "colour light"),
        ((0, 90, 0), "colour dark"),
    ],
)
def test_domains(colour: tuple[int, int, int], domain: str) -> None:
    assert domain_of(np.full((7, 300, 3), colour, np.uint8)) == domain
