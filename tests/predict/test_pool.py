"""Worker processes: crashes and lack of memory cost one row."""

from __future__ import annotations

import csv
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import sleep

import pytest

from forgecli.atomic import atomic_writer
from forgecli.cases.discover import discover
from forgecli.detection import Detection, Detector, Picture
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


def side_by_side(at_once: int) -> Detector:
    assert at_once == 3
    return FakeDetector()


def shared_pool(notes: list[str]) -> Pool:
    work = Work(unprepared, 0.5, 0, 10_000, "npy", evidence=False)
    return Pool(work, 3, note=notes.append, stop=lambda: False, shared=side_by_side)


def processes() -> set[int | None]:
    return {child.pid for child in multiprocessing.active_children()}


def test_tasks_side_by_side_are_in_one_process(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{number}-pause.png" for number in range(9)), "flag.png", "boom.png")
    notes: list[str] = []
    outcomes, seen = [], set()
    for outcome in shared_pool(notes).examine(tasks_of(tmp_path)):
        outcomes.append(outcome)
        seen |= processes()
    assert sorted(outcome.row for outcome in outcomes) == list(range(11))
    assert {outcome.case_id for outcome in outcomes if outcome.failed} == {"boom"}
    assert {outcome.case_id for outcome in outcomes if outcome.flagged} == {"flag"}
    assert len(seen) == 1 and not notes


def test_a_process_that_dies_costs_one_of_those_in_it(tmp_path: Path) -> None:
    """Those beside it are tried again; alone, the guilty ones say what they died of."""
    names = [f"{number}-pause.png" for number in range(7)]
    draw(tmp_path, *names, "3-segfault.png", "5-killed.png", "memory.png")
    notes: list[str] = []
    work = Work(FakeDetector, 0.5, 0, 10_000, "npy", evidence=False)
    pool = Pool(work, 3, note=notes.append, stop=lambda: False, shared=side_by_side)
    outcomes = list(pool.examine(tasks_of(tmp_path)))
    assert sorted(outcome.row for outcome in outcomes) == list(range(10)), "each once"
    failed = {outcome.case_id: outcome.reason for outcome in outcomes if outcome.failed}
    assert set(failed) == {"3-segfault", "5-killed", "memory"}
    assert "SIGSEGV" in failed["3-segfault"] and "killed" in failed["5-killed"]
    assert "whose process ended" in notes[-1] or "ran out of memory" in notes[-1]
    assert not multiprocessing.active_children()


def test_no_sharing_of_one(tmp_path: Path) -> None:
    """An image alone has all the machine, and a detector as it is."""
    draw(tmp_path, "flag.png")
    work = Work(FakeDetector, 0.5, 0, 10_000, "npy", evidence=False)
    pool = Pool(work, 1, note=lambda text: None, stop=lambda: False, shared=unshared)
    assert [outcome.flagged for outcome in pool.examine(tasks_of(tmp_path))] == [True]


def unshared(at_once: int) -> Detector:
    raise AssertionError("there is nobody to share with")


def test_what_cannot_start_side_by_side_is_one_error(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png", "c.png")
    for shared, said in ((refused, "is no network"), (gone, "ended with code 7")):
        work = Work(FakeDetector, 0.5, 0, 10_000, "npy", evidence=False)
        pool = Pool(work, 3, note=lambda text: None, stop=lambda: False, shared=shared)
        with pytest.raises(ForgeError, match=said) as caught:
            list(pool.examine(tasks_of(tmp_path)))
        assert (caught.value.mend, caught.value.file) == (
            ("name another", "x.onnx") if shared is refused else ("", None)
        )


def refused(at_once: int) -> Detector:
    raise ForgeError("is no network.", file="x.onnx", mend="name another")


def gone(at_once: int) -> Detector:
    return dies_at_start()


def test_stopping_side_by_side_takes_back_what_is_being_written(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png", "c.png", "d.png")
    work = Work(FakeDetector, 0.5, 0, 10_000, "npy", evidence=False)
    pool = Pool(work, 3, note=lambda text: None, stop=lambda: False,
                shared=partial(writing, tmp_path / "out"))  # fmt: skip
    outcomes = pool.examine(tasks_of(tmp_path))
    assert next(outcomes).case_id == "b"
    while len(list((tmp_path / "out").glob("*.part"))) < 2:
        sleep(0.01)
    outcomes.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
    assert not list((tmp_path / "out").iterdir())


class Writing(FakeDetector):
    """Writes a file for a long time, but for one picture."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        if pictures[0].case_id != "b":
            with atomic_writer(self._folder / f"{pictures[0].case_id}.txt"):
                for _ in range(1000):
                    sleep(0.02)
        return super().detect(pictures)


def writing(folder: Path, at_once: int) -> Detector:
    return Writing(folder)


def tasks_of(folder: Path) -> Iterator[Task]:
    return (Task(row, case) for row, case in enumerate(discover([folder])))


def once(folder: Path, at_once: int) -> Detector:
    """A detector that can be made a single time, in one process."""
    (folder / "made").mkdir()
    return FakeDetector()


def test_a_process_that_cannot_start_again_is_done_without(tmp_path: Path) -> None:
    draw(tmp_path / "in", *(f"{number}-pause.png" for number in range(8)), "2-segfault.png")
    notes: list[str] = []
    work = Work(FakeDetector, 0.5, 0, 10_000, "npy", evidence=False)
    pool = Pool(work, 3, note=notes.append, stop=lambda: False, shared=partial(once, tmp_path))
    outcomes = list(pool.examine(tasks_of(tmp_path / "in")))
    assert sorted(outcome.row for outcome in outcomes) == list(range(9)), "each once"
    assert [outcome.case_id for outcome in outcomes if outcome.failed] == ["2-segfault"]
    assert any("could not start again" in note and "made" in note for note in notes)


def test_who_ends_a_thread_ends_its_process(tmp_path: Path) -> None:
    """Or the parent would wait for its answer for ever."""
    draw(tmp_path, "exit.png", "a.png", "b.png")
    work = Work(Exiting, 0.5, 0, 10_000, "npy", evidence=False)
    pool = Pool(work, 3, note=lambda text: None, stop=lambda: False, shared=exiting)
    outcomes = {outcome.case_id: outcome for outcome in pool.examine(tasks_of(tmp_path))}
    assert len(outcomes) == 3 and not outcomes["a"].failed and not outcomes["b"].failed
    assert "ended with code 5" in outcomes["exit"].reason


class Exiting(FakeDetector):
    """Ends the program at one picture."""

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        if pictures[0].case_id == "exit":
            sys.exit(5)
        return super().detect(pictures)


def exiting(at_once: int) -> Detector:
    return Exiting()
