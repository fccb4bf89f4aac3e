"""A full disk behind stdout is an error that says so, however much was printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
FORGE = [sys.executable, "-c", "from forgecli.app import main; main()"]


def ended(words: list[str], *, unbuffered: bool) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else ""}
    with FULL.open("wb") as full:
        done = subprocess.run(
            [*FORGE, *words], stdout=full, stderr=subprocess.PIPE, env=environment, check=False
        )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("words", [["--version"], ["predict", "--help"]])
def test_a_full_disk_is_said(words: list[str], unbuffered: bool) -> None:
    code, said = ended(words, unbuffered=unbuffered)
    assert code == 1
    assert said.startswith("error: stdout: the disk is full.") and "try: free some space" in said
    assert "Traceback" not in said and "Exception ignored" not in said


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*FORGE, "predict", "--help"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert done.returncode == 1 and done.stderr == b""


def test_what_is_printed_arrives() -> None:
    done = subprocess.run([*FORGE, "--version"], capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith(b"forge ") and done.stderr == b""
