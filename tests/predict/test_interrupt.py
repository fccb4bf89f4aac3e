"""Ctrl-C and SIGTERM: a valid partial submission, exit code 130, no process left behind."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.predict.fakes import Voice, Watch, draw, job

REPOSITORY = Path(__file__).parents[2]


def start(folder: Path, output: Path, workers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.predict.program", str(folder), str(output), str(workers)],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives to a job
    )


def processes_of(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        state, _, process_group = text.rpartition(")")[2].split()[:3]  # after the name in ()
        if int(process_group) == group and state != "Z":
            found.append(text)
    return found


def all_end(group: int) -> bool:
    """Whether no process of the group is left after a while."""
    deadline = time.monotonic() + 20
    while processes_of(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes_of(group)


def wait_for_rows(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for part in folder.glob(".forge-*.part"):
            lines = part.read_text().splitlines()
            if lines[:1] == ["case_id,annotation"] and len(lines) > count:
                return
        time.sleep(0.02)
    raise AssertionError("no rows in time")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("workers", [2, 0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_the_finished_rows(
    tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    draw(tmp_path / "in", "a1.png", "a2.png", "a3.png", "slow.png", "slow2.png")
    process = start(tmp_path / "in", tmp_path / "out" / "s.csv", workers)
    wait_for_rows(tmp_path / "out", 3)
    time.sleep(0.2)
    sent = time.monotonic()
    os.killpg(process.pid, number)  # the terminal sends it to the whole group
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - sent < 15, "it waited for the slow images"
    assert process.returncode == 130, said
    with (tmp_path / "out" / "s.csv").open(newline="") as file:
        assert [row["case_id"] for row in csv.DictReader(file)] == ["a1", "a2", "a3"]
    record = json.loads((tmp_path / "out" / "s.run.json").read_text())
    assert record["counts"]["complete"] is False and record["counts"]["rows_missing"] == 2
    assert "Traceback" not in said and "stopping" in said
    assert not list((tmp_path / "out").glob(".forge-*")), "drafts are gone"
    assert all_end(process.pid)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a1.png", *(f"pause{number}.png" for number in range(40)))
    process = start(tmp_path / "in", tmp_path / "out" / "s.csv", 2)
    wait_for_rows(tmp_path / "out", 1)
    process.kill()
    process.wait()
    assert all_end(process.pid)
    assert process.stderr is not None
    process.stderr.close()


def interrupt(after: int) -> Watch:
    def look(summary: object) -> None:
        if getattr(summary, "images") == after:  # noqa: B009 - any summary
            os.kill(os.getpid(), signal.SIGINT)

    return Watch(look)


def test_rows_out_of_turn_are_kept(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a-slow.png", "b.png", "c.png")
    voice = Voice()
    summary = job(tmp_path / "in", tmp_path / "s.csv", workers=2, watch=interrupt(2), voice=voice)
    assert (tmp_path / "s.csv").read_text().splitlines()[1:] == ["b,authentic", "c,authentic"]
    assert summary.interrupted and summary.rows == 2 and summary.exit_code == 130
    assert any("stopping" in note for note in voice.notes)


def test_stopped_before_the_first_row_keeps_what_was_there(tmp_path: Path) -> None:
    draw(tmp_path / "in", "slow.png")
    (tmp_path / "s.csv").write_text("precious")
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    summary = job(tmp_path / "in", tmp_path / "s.csv", overwrite=True)
    assert summary.interrupted and summary.rows == 0
    assert (tmp_path / "s.csv").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "s.csv"]


def test_a_signal_after_the_last_row_is_no_interruption(tmp_path: Path) -> None:
    draw(tmp_path / "in", "a.png", "b.png")
    before = signal.getsignal(signal.SIGINT)  # of a job in the background it is to ignore it
    summary = job(tmp_path / "in", tmp_path / "s.csv", watch=interrupt(2))
    assert not summary.interrupted and summary.exit_code == 0
    assert signal.getsignal(signal.SIGINT) is before, "handlers are back"


FIRST = """
import signal
from forgecli.predict.crew import Crew

def serve(pipe):
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    pipe.send(("ready", None))
    pipe.send(("blocked", signal.SIGINT in blocked))
    pipe.recv()

if __name__ == "__main__":
    crew = Crew(1, serve, (), threads=1, note=print, stop=lambda: False)
    crew.grow(1)
    said = []
    while not said:
        said = [content for _, (kind, content) in crew.heard(0.1)]
    crew.end()
    print(*said)
"""


def test_the_first_process_of_all_is_not_interrupted_either(tmp_path: Path) -> None:
    """Python starts another beside it, and undoes what keeps signals back."""
    (tmp_path / "first.py").write_text(FIRST)
    done = subprocess.run(
        [sys.executable, "first.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=60, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.stdout == "True\n", done.stderr
