"""Programs timed as a whole: what a user waits for, and what it costs in CPU time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.machine import Timing

FORGE = [sys.executable, "-c", "from forgecli.app import main; main()"]
"""The program, as a user calls it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of one program.

    Attributes:
        wall, cpu: seconds of the whole program; CPU with those of its children.
        said: the JSON on its last line.
    """

    wall: float
    cpu: float
    said: dict[str, Any]


@dataclass(slots=True)
class Contender:
    """A program and what was measured of it.

    Attributes:
        command: without the pictures and the output.
        limit: whether it finds nothing, and only its loop counts.
        whole: runs on all files, one per round.
        one: runs on one file, likewise.
        cold: the first run on one file.
    """

    command: list[str]
    limit: bool = False
    whole: list[Ran] = field(default_factory=list)
    one: list[Ran] = field(default_factory=list)
    cold: Ran | None = None

    def seconds(self) -> Timing:
        """Of the rounds: the program on all files; of a limit, its loop."""
        if self.limit:
            loops = tuple(float(ran.said["loop"]) for ran in self.whole)
            return Timing(loops, tuple(ran.cpu for ran in self.whole))
        return Timing(tuple(ran.wall for ran in self.whole), tuple(ran.cpu for ran in self.whole))

    def without_start(self) -> Timing | None:
        """Of the rounds: all files but one, without starting the program. None where the files are
        so few that it cannot be told from the start."""
        if self.limit:
            return self.seconds()
        pairs = list(zip(self.whole, self.one, strict=True))
        if any(whole.wall < 1.2 * one.wall for whole, one in pairs):
            return None
        return Timing(
            tuple(whole.wall - one.wall for whole, one in pairs),
            tuple(whole.cpu - one.cpu for whole, one in pairs),
        )


def run(command: Sequence[str | Path], environment: Mapping[str, str]) -> Ran:
    """Run a program to its end; ends the bench if it fails."""
    words = list(map(str, command))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        started = perf_counter()
        process = subprocess.Popen(words, stdout=out, stderr=said, env=dict(environment))
        _, status, used = os.wait4(process.pid, 0)
        wall = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said.seek(0)
        text = out.read().decode()
        if process.returncode:
            sys.exit(f"{' '.join(words)} ended with {process.returncode}:\n{said.read().decode()}")
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return Ran(wall, used.ru_utime + used.ru_stime, json.loads(lines[-1]) if lines else {})


def forge(*words: object) -> str:
    """Run a command of forge; what it printed. What it says on the way is shown.

    Ends the bench, with the last that it said, if the command fails. Inputs that failed are no
    error here: they have a row.
    """
    last: deque[str] = deque(maxlen=3)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        process = subprocess.Popen(
            [*FORGE, *map(str, words)], stdout=out, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        for line in process.stderr:
            print(line, file=sys.stderr, end="", flush=True)
            last.append(line.strip())
        code = process.wait()
        out.seek(0)
        printed = out.read()
    if code not in (0, 3):
        sys.exit(f"forge {words[0]} ended with {code}: {' '.join(last)}")
    return printed


def say(text: str) -> None:
    """Tell who waits for a bench how far it is."""
    print(text, file=sys.stderr, flush=True)


def forget(files: Sequence[Path]) -> None:
    """Take files out of the system's cache, where it can be told to."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        with file.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
