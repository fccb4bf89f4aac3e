"""Asks libraries and programs what they find, so that none of them can take doctor along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from forgecli.cores import available_cores

PATIENCE = 60.0
"""Seconds until an import counts as hanging; PyTorch from a cold disk takes 10."""

LOADING = 180.0
"""Seconds until a network counts as one that does not load; most are compiled in a few."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one library said.

    Attributes:
        installed: whether its module is there.
        asked: whether it was imported to be asked.
        facts: see `forgecli.doctor.probe`; empty where it could not say.
        error: why it could not; empty if it could.
    """

    installed: bool
    asked: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def works(self) -> bool:
        """Whether it could be imported and asked."""
        return self.asked and not self.error

    @property
    def broken(self) -> bool:
        """Whether it is installed and cannot be used."""
        return self.asked and bool(self.error)


def ask_all(names: Iterable[str], *, patience: float = PATIENCE) -> dict[str, Answer]:
    """Ask several libraries, as many at a time as there are cores.

    Args:
        names: of `forgecli.doctor.probe.PROBES`.
        patience: seconds for each.
    """
    names = list(names)
    with ThreadPoolExecutor(max(1, available_cores())) as executor:
        answers = executor.map(lambda name: ask(name, patience=patience), names)
        return dict(zip(names, answers, strict=True))


def ask(name: str, *, patience: float = PATIENCE) -> Answer:
    """Ask one library in a process of its own. Does not raise for whatever the library does."""
    if name != "base" and find_spec(name) is None:
        return Answer(installed=False)
    return _answer("forgecli.doctor.probe", name, patience=patience, crash="its import crashes")


def ask_of(file: Path, *, patience: float = LOADING) -> Answer:
    """Whether an ONNX file loads and gives numbers, by trial, in a process of its own.

    Returns:
        an answer whose facts are ``fault``, empty where all is well, and ``mend``; see
        `forgecli.doctor.trial`.
    """
    return _answer(
        "forgecli.doctor.trial", str(file.absolute()), patience=patience, crash="to load it crashes"
    )


def _answer(module: str, argument: str, *, patience: float, crash: str) -> Answer:
    """What a module of ours says, run as a program with one argument."""
    command = [sys.executable, "-m", module, argument]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, text=True, errors="replace", timeout=patience,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Answer(True, True, error=f"no answer within {patience:g} s")
    except OSError as error:
        return Answer(True, True, error=f"Python cannot be started: {error.strerror}")
    return heard(done.returncode, done.stdout, done.stderr, crash)


def heard(code: int, stdout: str, stderr: str, crash: str = "its import crashes") -> Answer:
    """The answer in what a probe printed, or why there is none.

    Args:
        code: that it ended with.
        stdout, stderr: what it printed.
        crash: what a signal that ended it means, in words.
    """
    lines = [line for line in stdout.splitlines() if line.strip()]
    try:
        said = json.loads(lines[-1]) if lines else None
    except ValueError:
        said = None
    if code < 0:
        return Answer(True, True, error=f"{crash} the process ({_signal(-code)})")
    if isinstance(said, dict) and isinstance(said.get("facts"), dict):
        return Answer(True, True, facts=said["facts"])
    if isinstance(said, dict) and "error" in said:
        return Answer(True, True, error=str(said["error"]))
    last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "")
    return Answer(True, True, error=f"it ended with code {code}" + (f": {last}" if last else ""))


@dataclass(frozen=True, slots=True)
class Driver:
    """What `nvidia-smi` says.

    Attributes:
        there: whether the program is installed.
        version: of the driver; empty where there is none.
        gpus: name and memory in bytes of each.
        error: why it could not say.
    """

    there: bool
    version: str = ""
    gpus: tuple[tuple[str, int], ...] = ()
    error: str = ""


def nvidia_driver(
    *, program: str = "nvidia-smi", patience: float = 15.0,
    environment: Mapping[str, str] | None = None,
) -> Driver:  # fmt: skip
    """Ask NVIDIA's own program for the driver and the GPUs."""
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program
            [program, *query], capture_output=True, text=True, errors="replace",
            timeout=patience, check=False, stdin=subprocess.DEVNULL,
            env=dict(os.environ if environment is None else environment),
        )  # fmt: skip
    except (FileNotFoundError, PermissionError):
        return Driver(there=False)
    except subprocess.TimeoutExpired:
        return Driver(True, error=f"{program} gave no answer within {patience:g} s")
    except OSError as error:
        return Driver(True, error=f"{program} cannot be started: {error.strerror}")
    if done.returncode != 0:
        said = next((line for line in (done.stdout + done.stderr).splitlines() if line.strip()), "")
        return Driver(True, error=said.strip() or f"{program} ended with code {done.returncode}")
    gpus, version = [], ""
    for line in done.stdout.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        if len(parts) == 3:
            memory = int(parts[1]) << 20 if parts[1].isdigit() else 0
            gpus.append((parts[0], memory))
            version = parts[2]
    return Driver(True, version, tuple(gpus))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
