from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from forgecli.cases.discover import discover
from forgecli.cases.masks import read_mask
from forgecli.errors import ForgeError, UsageError
from forgecli.synth import forgery
from forgecli.synth.dataset import Job, Written, case_rng, write_dataset
from forgecli.synth.recipe import Mix, Negatives, Output, Recipe
from forgecli.synth.sources import list_sources
from forgecli.synth.summary import Summary, table
from tests.synth.pictures import nuclei, tissue
from tests.synth.test_sources import save

# Quick ways to forge, and enough negatives to see one.
RECIPE = dataclasses.replace(
    Recipe(),
    mix=Mix(object=1, region=1, blot=0, panel=0, overlap=0, removal=0),
    negatives=Negatives(share=0.3),
    output=Output(twins=0.7, rgba=0.5, grey=0.5),
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authentic")
    for seed in range(4):
        save(folder / "nuclei" / f"{seed}.png", nuclei(seed))
        save(folder / "tissue" / f"{seed}.png", tissue(seed))
    return folder


def job(sources: Path, folder: Path, *, seed: int = 1, recipe: Recipe = RECIPE) -> Job:
    return Job(list_sources(sources), recipe, seed, folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Written]]:
    folder = tmp_path_factory.mktemp("made") / "set"
    return folder, list(write_dataset(job(sources, folder), 8))


def test_the_layout_is_the_competitions(made: tuple[Path, list[Written]]) -> None:
    folder, cases = made
    forged = {case.case_id for case in cases if case.label == "forged"}
    authentic = {case.case_id for case in cases if case.label == "authentic" or case.twin}
    assert len(cases) == 8 and forged and authentic - forged
    images = folder / "train_images"
    assert {path.stem for path in (images / "forged").iterdir()} == forged
    assert {path.stem for path in (images / "authentic").iterdir()} == authentic
    assert {path.stem for path in (folder / "train_masks").iterdir()} == forged
    assert {path.stem for path in (folder / "cards").iterdir()} == {c.case_id for c in cases}


def test_masks_and_twins_fit_their_images(made: tuple[Path, list[Written]]) -> None:
    folder, cases = made
    for case in cases:
        if case.label != "forged":
            continue
        image = cv2.imread(
            str(folder / "train_images" / "forged" / f"{case.case_id}.png"), cv2.IMREAD_UNCHANGED
        )
        assert image is not None and image.shape[:2] == case.shape
        masks = np.load(folder / "train_masks" / f"{case.case_id}.npy", allow_pickle=False)
        assert masks.dtype == np.uint8 and masks.shape == (case.instances, *case.shape)
        assert masks.any(axis=(1, 2)).all() and masks.max() == 1
        assert 100 * masks.any(axis=0).mean() == pytest.approx(case.coverage, abs=1e-3)
        if case.twin:
            twin = cv2.imread(
                str(folder / "train_images" / "authentic" / f"{case.case_id}.png"),
                cv2.IMREAD_UNCHANGED,
            )
            assert twin is not None and twin.shape == image.shape
        card = json.loads((folder / "cards" / f"{case.case_id}.json").read_text())
        assert len(card["groups"]) == case.instances
        assert all("/" in name for name in card["sources"])


def test_other_commands_read_it(made: tuple[Path, list[Written]]) -> None:
    folder, cases = made
    found = discover([folder], id_from="path")
    labels = [case.label for case in found]
    assert labels.count("forged") == sum(case.label == "forged" for case in cases)
    for case in found:
        if case.mask is not None:
            image = cv2.imread(str(case.image))
            assert image is not None
            masks, warnings = read_mask(case.mask, image.shape[:2])
            assert len(masks) and warnings == []


def test_the_number_of_workers_changes_nothing(
    sources: Path, made: tuple[Path, list[Written]], tmp_path: Path
) -> None:
    done = list(write_dataset(job(sources, tmp_path / "set"), 8, workers=2))
    assert {case.case_id for case in done} == {case.case_id for case in made[1]}
    assert contents(tmp_path / "set") == contents(made[0])


def test_a_run_goes_on_where_it_stopped(
    sources: Path, made: tuple[Path, list[Written]], tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    stopped = write_dataset(job(sources, folder), 8)
    for _ in range(3):
        next(stopped)
    stopped.close()
    (folder / "cards" / "000001.json").unlink()  # as if it had been killed in the middle of it
    again = list(write_dataset(job(sources, folder), 8))
    in_order = sorted(again, key=lambda case: case.case_id)
    assert in_order == sorted(made[1], key=lambda case: case.case_id)
    assert contents(folder) == contents(made[0])


def test_a_longer_run_keeps_the_first_cases(
    sources: Path, made: tuple[Path, list[Written]], tmp_path: Path
) -> None:
    list(write_dataset(job(sources, tmp_path / "set"), 2))
    whole = contents(made[0])
    for name, data in contents(tmp_path / "set").items():
        assert whole[name] == data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 2}, "seed"),
        ({"recipe": dataclasses.replace(RECIPE, output=Output(twins=0))}, "recipe"),
    ],
)
def test_another_data_set_is_not_mixed_in(
    sources: Path, made: tuple[Path, list[Written]], change: dict[str, object], said: str
) -> None:
    other = dataclasses.replace(job(sources, made[0]), **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"differs in {said}"):
        next(write_dataset(other, 1))


def test_a_folder_of_something_else_is_left_alone(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        next(write_dataset(job(sources, tmp_path), 1))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_card_says_what_to_do(sources: Path, tmp_path: Path) -> None:
    list(write_dataset(job(sources, tmp_path / "set"), 1))
    (tmp_path / "set" / "cards" / "000000.json").write_text("{")
    with pytest.raises(ForgeError, match="delete it"):
        next(write_dataset(job(sources, tmp_path / "set"), 1))


def test_cases_that_cannot_be_made_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgery, "_PLANS", 2)
    save(tmp_path / "flat" / "a.png", np.full((200, 200, 3), 9, np.uint8))
    (tmp_path / "flat" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    recipe = dataclasses.replace(RECIPE, negatives=Negatives(share=0))
    done = list(write_dataset(job(tmp_path / "flat", tmp_path / "set", recipe=recipe), 1))
    assert done[0].problem and done[0].label == "" and set(done[0].unreadable) == {"b.png"}
    summary = Summary()
    summary.add(done[0])
    assert summary.failed and summary.unreadable and summary.images == 0


def test_cases_do_not_share_random_numbers() -> None:
    first = {float(case_rng(seed, index).random()) for seed in range(20) for index in range(20)}
    assert len(first) == 400


def test_the_summary_counts(made: tuple[Path, list[Written]]) -> None:
    summary = Summary()
    for case in made[1]:
        summary.add(case)
    assert summary.forged + summary.authentic == 8
    assert summary.images == len(list((made[0] / "train_images").rglob("*.png")))
    assert sum(summary.ways.values()) == sum(
        number * count for number, count in summary.instances.items()
    )
    quantiles = list(summary.coverage_quantiles().values())
    assert quantiles == sorted(quantiles) and 0 < quantiles[-1] < 100
    assert table(summary).row_count == 8
