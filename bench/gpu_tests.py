"""The tests that need a GPU, as a part of `bench.gpu`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from bench.gpu_process import Ended, failed, run_within

ROOT = Path(__file__).resolve().parents[1]

_OUTCOME = re.compile(r"^(\S+::.*?) (PASSED|FAILED|SKIPPED|ERROR)\b")


def marked(tests: Path) -> list[Path]:
    """The files below a folder that have tests for a GPU; of a conftest its folder, for all of it.

    Only these are given to pytest. It imports whatever it is given, and one file that cannot be
    imported, for want of a package that no GPU test needs, would end it before the first test.
    Kernels come first, whole programs last.
    """
    there = [file for file in sorted(tests.rglob("*.py")) if "mark.gpu" in file.read_text("utf-8")]
    folders = [file.parent for file in there if file.name == "conftest.py"]
    single = [
        file for file in there
        if file.name.startswith("test_") and not any(folder in file.parents for folder in folders)
    ]  # fmt: skip
    return [*folders, *sorted(single, key=lambda file: tests / "gpu" in file.parents)]


def run_tests(limit: float) -> dict[str, Any]:
    """Every test that is marked ``gpu``: counts, and the names of those that failed."""
    paths = [str(path.relative_to(ROOT)) for path in marked(ROOT / "tests")]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "--tb=short", "-ra",
               "--continue-on-collection-errors", "-p", "no:cacheprovider", *paths]  # fmt: skip
    return judged(run_within(limit, command, ROOT), limit)


def judged(ended: Ended, limit: float) -> dict[str, Any]:
    """What pytest's output says, also where it did not come to its end.

    Args:
        ended: what became of it.
        limit: seconds it had.
    """
    lines = ended.output.splitlines()
    outcomes = [match for line in lines if (match := _OUTCOME.match(line))]
    if ended.code is None:
        named = [match[1] for match in outcomes if match[2] in ("FAILED", "ERROR")]
        counts = {
            kind.lower(): sum(match[2] == kind for match in outcomes)
            for kind in ("PASSED", "FAILED", "SKIPPED", "ERROR")
        }
        counts = {kind: count for kind, count in counts.items() if count}
        at = next((line.split()[0] for line in reversed(lines) if "::" in line), "the first")
        reason = f"not done within {limit:.0f} s, at {at}"
        return failed(reason, ended.output, figures=_figures(counts),
                      data={"counts": counts, "failed": named, "skipped": []})  # fmt: skip
    last = next((line for line in reversed(lines) if " in " in line), "")
    counts = {kind: int(number) for number, kind in
              re.findall(r"(\d+) (passed|failed|skipped|error|errors)\b", last)}  # fmt: skip
    named = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    reasons = [line for line in lines if line.startswith("SKIPPED")]
    data = {"counts": counts, "failed": named, "skipped": reasons}
    if ended.code not in (0, 5) or "failed" in counts:
        reason = f"pytest ended with {ended.code}: {last.strip('= ')}"
        return failed(reason, ended.output, figures=_figures(counts), data=data)
    if not counts.get("passed"):
        return {"status": "cannot run", "reason": f"no test ran: {last.strip('= ')}", "data": data}
    return {"status": "done", "reason": "", "figures": _figures(counts), "data": data}


def _figures(counts: dict[str, int]) -> dict[str, str]:
    return {kind: str(number) for kind, number in counts.items()}
