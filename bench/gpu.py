"""All that needs a GPU, with one command.

    python -m bench.gpu [--parts A,B] [--minutes M] [--quick] [--work DIR] [--json FILE]

Runs every test that is marked ``gpu``, then every bench of `bench.gpu_parts`, each in a process of
its own, so that one that fails, crashes or hangs costs no other. Prints a table, says which parts
could not run and why, and writes all of it as JSON; `python docs/make_tables.py` makes the table
of the documents from that.

The parts, in this order: tests (all marked gpu), transfers, engines (PyTorch as it is, compiled and
as graphs, TensorRT; batches and streams), finishing (what follows the network), files (the whole of
predict with a network, from files and from memory), components (against cupyx and cuCIM),
dense_field and verification (of the match detector, against the CPU).

Each part has a limit, and what those before it left of theirs; with all parts the limits fill the
default of --minutes. With fewer minutes the last parts go without, and the table says so.

Ends with 0 if all parts ran, 1 if one failed, 2 without a GPU. None of this has run on a GPU yet.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from bench.gpu_parts import PARTS
from bench.machine import arguments, table, write_results
from forgecli.doctor.ask import Answer, ask_all, nvidia_driver
from forgecli.doctor.packages import installed

ROOT = Path(__file__).resolve().parents[1]

MINUTES = 9.0
"""For all parts together: with what asking for a GPU takes, a job of ten minutes does."""

LIMITS = {"tests": 110, "transfers": 20, "engines": 130, "finishing": 20, "files": 130,
          "components": 40, "dense_field": 45, "verification": 45}  # fmt: skip
"""Seconds that each part may take, beside what the parts before it left of theirs."""

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


def run_tests(limit: float) -> dict[str, Any]:
    """Every test that is marked ``gpu``: counts, and the names of those that failed."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-ra", "-p", "no:cacheprovider",
               "tests"]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=limit,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return failed(f"not done within {limit:.0f} s", _text(error.stdout))
    return judged(done.returncode, done.stdout + done.stderr)


def judged(code: int, output: str) -> dict[str, Any]:
    """What pytest's output says.

    Args:
        code: its exit code.
        output: stdout and stderr.
    """
    last = next((line for line in reversed(output.splitlines()) if " in " in line), "")
    counts = {kind: int(number) for number, kind in
              re.findall(r"(\d+) (passed|failed|skipped|error|errors)\b", last)}  # fmt: skip
    named = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    reasons = [line for line in output.splitlines() if line.startswith("SKIPPED")]
    figures = {kind: str(number) for kind, number in counts.items()}
    data = {"counts": counts, "failed": named, "skipped": reasons}
    if code not in (0, 5) or "failed" in counts:
        return failed(f"pytest ended with {code}: {last}", output, figures=figures, data=data)
    if not counts.get("passed"):
        return {"status": "cannot run", "reason": f"no test ran: {last}", "data": data}
    return {"status": "done", "reason": "", "figures": figures, "data": data}


def run_part(name: str, limit: float, work: Path, quick: bool) -> dict[str, Any]:
    """One part in a process of its own. What it had found when it failed is kept."""
    kept = work / f"{name}.json"
    kept.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.gpu_parts", name, "--work", str(work)]
    try:
        done = subprocess.run(
            [*command, *(["--quick"] if quick else [])], cwd=ROOT, capture_output=True, text=True,
            errors="replace", timeout=limit, check=False,
        )  # fmt: skip
        code, output = done.returncode, done.stdout + done.stderr
        reason = f"it ended with {code}"
    except subprocess.TimeoutExpired as error:
        code, output = 1, _text(error.stdout) + _text(error.stderr)
        reason = f"not done within {limit:.0f} s"
    try:
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return failed(reason, output)
    if code:
        found |= failed(found.get("reason") or reason, output,
                        figures=found.get("figures"), data=found.get("data"))  # fmt: skip
    return found


def failed(
    reason: str,
    output: str,
    *,
    figures: dict[str, str] | None = None,
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A part that failed, with the end of what it said."""
    tail = "\n".join(output.splitlines()[-40:])
    return {"status": "failed", "reason": reason, "output": tail, "figures": figures or {},
            "data": data or {}}  # fmt: skip


def run_all(
    names: Sequence[str], minutes: float, work: Path, quick: bool
) -> dict[str, dict[str, Any]]:
    """All parts in turn, until the time is over.

    None takes from the limit of one after it: it ends when its own limit and those before it would.
    """
    began = monotonic()
    end, due = began + 60 * minutes, began
    parts: dict[str, dict[str, Any]] = {}
    for name in names:
        due, started = due + LIMITS[name], monotonic()
        limit = min(due, end) - started
        if limit < 5:
            parts[name] = {"status": "cannot run", "reason": "no time was left"}
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        part = run_tests(limit) if name == "tests" else run_part(name, limit, work, quick)
        part = without_paths(part)
        part["seconds"] = monotonic() - started
        parts[name] = part
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


def _text(output: bytes | str | None) -> str:
    if isinstance(output, bytes):
        return output.decode(errors="replace")
    return output or ""


def main() -> int:
    """Run, print, write."""
    parser = arguments(__doc__, "gpu")
    every: list[str] = ["tests", *PARTS]
    parser.add_argument("--parts", default=",".join(every), help=f"of {', '.join(every)}")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all parts together")
    parser.add_argument("--quick", action="store_true", help="fewer settings and images")
    parser.add_argument("--work", type=Path, help="keep files and engines here")
    asked = parser.parse_args()
    names = [name.strip() for name in asked.parts.split(",")]
    if unknown := [name for name in names if name not in every]:
        parser.error(f"unknown parts: {', '.join(unknown)}; known: {', '.join(every)}")
    answers = ask_all(["cupy", "torch"])
    device = gpu_found(answers)
    if not device:
        print(no_gpu(answers), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="forge-gpu-") as folder:
        work = asked.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        parts = run_all(names, asked.minutes, work, asked.quick)
    print(f"{device}\n\n{shown(parts)}")
    libraries = {name: version for name in LIBRARIES if (version := installed(name))}
    driver = nvidia_driver().version
    write_results(asked.json, {"device": device, "driver": driver, "libraries": libraries,
                               "quick": asked.quick, "parts": parts})  # fmt: skip
    return int(any(part["status"] == "failed" for part in parts.values()))


if __name__ == "__main__":
    sys.exit(main())
