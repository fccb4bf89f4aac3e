"""All that needs a GPU, with one command.

    python -m bench.gpu [--parts A,B] [--minutes M] [--quick] [--work DIR] [--json FILE]

Runs every test that is marked ``gpu``, then every bench of `bench.gpu_parts`, each in a process of
its own, so that one that fails, crashes or hangs costs no other. Prints a table, says which parts
could not run and why, and writes all of it as JSON; `python docs/make_tables.py` makes the table
of the documents from that.

The parts, in this order: compiling (so that no other part is measured while it compiles what a new
machine has to, once), tests (all marked gpu), transfers, engines (PyTorch as it is, compiled and
as graphs, TensorRT; batches and streams), finishing (what follows the network), files (the whole of
predict with a network, from files and from memory), components (against cupyx and cuCIM),
dense_field and verification (of the match detector, against the CPU).

Each part has a limit, and what those before it left of theirs; with all parts the limits fill the
default of --minutes. With fewer minutes the last parts go without, and the table says so. What was
found is written after every part, also if the bench is ended before its time.

Ends with 0 if all parts ran, 1 if one failed, 2 without a GPU. None of this has run on a GPU yet.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from bench.gpu_parts import PARTS
from bench.gpu_process import failed, run_within
from bench.gpu_tests import run_tests
from bench.machine import arguments, table, write_results
from forgecli.doctor.ask import Answer, ask_all, nvidia_driver
from forgecli.doctor.packages import installed

ROOT = Path(__file__).resolve().parents[1]

MINUTES = 9.0
"""For all parts together: with what asking for a GPU takes, a job of ten minutes does."""

LIMITS = {"compiling": 50, "tests": 105, "transfers": 15, "engines": 115, "finishing": 20,
          "files": 115, "components": 40, "dense_field": 40, "verification": 40}  # fmt: skip
"""Seconds that each part may take, beside what the parts before it left of theirs."""

ORDER = ("compiling", "tests", *(name for name in PARTS if name != "compiling"))
"""Of the parts."""

_FOLDERS = re.compile(r"(?<![\w.])/(?:[\w.@+~-]+/)+")

LIBRARIES = ("torch", "cupy-cuda13x", "tensorrt-cu13", "tensorrt-rtx-cu13", "cucim-cu13")


def gpu_found(answers: dict[str, Answer]) -> str:
    """The name of the first GPU that CuPy or PyTorch finds; empty if there is none."""
    for answer in answers.values():
        for gpu in answer.facts.get("gpus", []):
            return str(gpu["name"])
    return ""


def no_gpu(answers: dict[str, Answer]) -> str:
    """Why there is none, in a sentence."""
    driver = nvidia_driver()
    said = [
        f"{name}: {answer.error or ('finds none' if answer.installed else 'is not installed')}"
        for name, answer in answers.items()
    ]
    what = f"the driver {driver.version} is there" if driver.gpus else "there is no NVIDIA driver"
    if driver.error:
        what = driver.error
    return f"bench.gpu needs an NVIDIA GPU that CuPy or PyTorch can use ({what}; {'; '.join(said)})"


def run_part(name: str, limit: float, work: Path, quick: bool) -> dict[str, Any]:
    """One part in a process of its own. What it had found when it failed is kept."""
    kept = work / f"{name}.json"
    kept.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.gpu_parts", name, "--work", str(work)]
    ended = run_within(limit, [*command, *(["--quick"] if quick else [])], ROOT)
    reason = f"it ended with {ended.code}"
    if ended.code is None:
        reason = f"not done within {limit:.0f} s"
    try:
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return failed(reason, ended.output)
    if ended.code != 0:
        why = reason if ended.code is None else found.get("reason") or reason
        found |= failed(why, ended.output, figures=found.get("figures"), data=found.get("data"))
    return found


def run_all(
    names: Sequence[str],
    minutes: float,
    work: Path,
    quick: bool,
    keep: Callable[[dict[str, dict[str, Any]]], None] = lambda parts: None,
) -> dict[str, dict[str, Any]]:
    """All parts in turn, until the time is over.

    None takes from the limit of one after it: it ends when its own limit and those before it would.

    Args:
        keep: given what was found so far, after every part.
    """
    began = monotonic()
    end, due = began + 60 * minutes, began
    parts: dict[str, dict[str, Any]] = {}
    for name in names:
        due, started = due + LIMITS[name], monotonic()
        limit = min(due, end) - started
        if limit < 5:
            parts[name] = {"status": "cannot run", "reason": "no time was left"}
            keep(parts)
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        part = run_tests(limit) if name == "tests" else run_part(name, limit, work, quick)
        part = without_paths(part)
        part["seconds"] = monotonic() - started
        parts[name] = part
        keep(parts)
        print(f"{name}: {part['status']} {part['reason']}", file=sys.stderr, flush=True)
    return parts


def without_paths(found: Any) -> Any:
    """Results without the folders of this machine, which are of no use to anybody else."""
    if isinstance(found, dict):
        return {key: without_paths(value) for key, value in found.items()}
    if isinstance(found, list):
        return [without_paths(value) for value in found]
    return _FOLDERS.sub(".../", found) if isinstance(found, str) else found


def shown(parts: dict[str, dict[str, Any]]) -> str:
    """The parts as a table."""
    rows = []
    for name, part in parts.items():
        if part["status"] != "done":
            rows.append([name, part["status"], part["reason"]])
        rows += [[name, label, figure] for label, figure in part.get("figures", {}).items()]
    return table(["part", "what", "figure"], rows)


def _ended(number: int, frame: FrameType | None) -> None:
    """As Ctrl-C: what is running is ended too."""
    raise SystemExit(128 + number)


def main() -> int:
    """Run, print, write."""
    parser = arguments(__doc__, "gpu")
    every = ", ".join(ORDER)
    parser.add_argument("--parts", default=",".join(ORDER), help=f"of {every}")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all parts together")
    parser.add_argument("--quick", action="store_true", help="fewer settings and images")
    parser.add_argument("--work", type=Path, help="keep files and engines here")
    asked = parser.parse_args()
    names = [name.strip() for name in asked.parts.split(",")]
    if unknown := [name for name in names if name not in ORDER]:
        parser.error(f"unknown parts: {', '.join(unknown)}; known: {every}")
    answers = ask_all(["cupy", "torch"])
    device = gpu_found(answers)
    if not device:
        print(no_gpu(answers), file=sys.stderr)
        return 2
    libraries = {name: version for name in LIBRARIES if (version := installed(name))}
    driver = nvidia_driver().version

    def keep(parts: dict[str, dict[str, Any]]) -> None:
        write_results(asked.json, {"device": device, "driver": driver, "libraries": libraries,
                                   "quick": asked.quick, "parts": parts})  # fmt: skip

    signal.signal(signal.SIGTERM, _ended)
    with tempfile.TemporaryDirectory(prefix="forge-gpu-") as folder:
        work = asked.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        parts = run_all(names, asked.minutes, work, asked.quick, keep)
    print(f"{device}\n\n{shown(parts)}")
    return int(any(part["status"] == "failed" for part in parts.values()))


if __name__ == "__main__":
    sys.exit(main())
