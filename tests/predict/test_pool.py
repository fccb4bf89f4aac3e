"""Worker processes: crashes and lack of memory cost one row."""

from __future__ import annotations

import csv
import multiprocessing
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from forgecli.cases.discover import discover
from forgecli.errors import ExitCode, ForgeError
from forgecli.predict.pool import Pool
from forgecli.predict.tasks import Task, Work
from tests.predict.fakes import FakeDetector, Voice, dies_at_start, draw, job, unprepared


def reasons(output: Path) -> dict[str, str]:
    with output.with_name(output.stem + ".details.csv").open(newline="") as file:
        return {row["case_id"]: row["reason"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_costs_one_row(tmp_path: Path, workers: int) -> None:
    names = ["a", "boom", "flag", "killed", "memory", "segfault", "z"]
    draw(tmp_path / "in", *(name + ".png" for name in names))
    voice = Voice()
    evidence = tmp_path / "e.jsonl"
    summary = job(
        tmp_path / "in", tmp_path / "s.csv", workers=workers, voice=voice, evidence=evidence
    )
    lines = (tmp_path / "s.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == names
    assert summary.failed == 4 and summary.flagged == 1
    assert summary.exit_code is ExitCode.SOME_INPUTS_FAILED
    said = reasons(tmp_path / "s.csv")
    assert "SIGSEGV" in said["segfault"]
    assert "memory" in said["killed"] and "memory" in said["memory"]
    assert len(evidence.read_text().splitlines()) == len(names)
    # With others beside it, what ran out of memory is tried again on its own.
    assert any("trying 2 again" in note for note in voice.notes) == (workers == 2)


def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    draw(tmp_path / "in", *(f"{kind}{n}.png" for kind in ("flag", "x") for n in range(4)))
    job(tmp_path / "in", tmp_path / "one.csv", workers=0, evidence=tmp_path / "one.jsonl")
    job(tmp_path / "in", tmp_path / "two.csv", workers=2, evidence=tmp_path / "two.jsonl")
    for one, two in (("one.csv", "two.csv"), ("one.jsonl", "two.jsonl")):
        assert (tmp_path / one).read_bytes() == (tmp_path / two).read_bytes()


@pytest.mark.parametrize(
    ("make", "said"), [(unprepared, "no such device"), (dies_at_start, "ended with code 7")]
)
def test_a_detector_that_cannot_start_is_one_error(tmp_path: Path, make: object, said: str) -> None:
    draw(tmp_path / "in", "a.png", "b.png")
    with pytest.raises(ForgeError, match=said):
        job(tmp_path / "in", tmp_path / "s.csv", workers=2, make=make)  # type: ignore[arg-type]
    assert not (tmp_path / "s.csv").exists()
    assert not list(tmp_path.glob(".forge-*"))


def test_no_more_workers_than_images(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png")
    made = tmp_path / "made"
    made.mkdir()
    job(tmp_path / "in", tmp_path / "s.csv", workers=8, make=partial(counted, made))
    assert len(list(made.iterdir())) == 1


def counted(folder: Path) -> FakeDetector:
    (folder / str(len(list(folder.iterdir())))).touch()
    return FakeDetector()


def test_tasks_are_taken_when_a_worker_is_free(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{number}.png" for number in range(6)))
    taken: list[int] = []

    def tasks() -> Iterator[Task]:
        for row, case in enumerate(discover([tmp_path])):
            taken.append(row)
            yield Task(row, case)

    work = Work(FakeDetector, 0.5, 0, 10_000, "npy", evidence=False)
    pool = Pool(work, 1, note=lambda text: None, stop=lambda: False)
    outcomes = pool.examine(tasks())
    assert taken == []
    assert next(outcomes).row == 0
    assert len(taken) <= 3, "one at work and one waiting, whatever is still to come"
    assert [outcome.row for outcome in outcomes] == [1, 2, 3, 4, 5]


def test_an_abandoned_pool_leaves_no_process(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "slow.png")
    work = Work(FakeDetector, 0.5, 0, 10_000, "npy", evidence=False)
    pool = Pool(work, 1, note=lambda text: None, stop=lambda: False)
    outcomes = pool.examine(Task(row, case) for row, case in enumerate(discover([tmp_path])))
    next(outcomes)
    assert multiprocessing.active_children()
    outcomes.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
