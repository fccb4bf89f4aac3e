"""What every bench shares: the machine it ran on, fair timing, and where results go.

Machines are shared and their clocks change, so only ratios of one run are quoted: contenders are
timed in turn, round by round, and compared within each round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

RESULTS = Path(__file__).parent / "results"

PACKAGES = (
    "forgecli",
    "numpy",
    "scipy",
    "numba",
    "opencv-python-headless",
    "pycocotools",
    "connected-components-3d",
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per call of one contender, a value for each round.

    Attributes:
        wall: time that passed.
        cpu: time that the process used, all threads together.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def milliseconds(self) -> float:
        """Median wall time of a call."""
        return median(self.wall) * 1e3


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long one contender took as another.

    Attributes:
        middle: the median of the rounds' ratios.
        low, high: their quartiles.
    """

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = 1 if self.middle >= 3 else 2
        return f"{self.middle:.{digits}f} ({self.low:.{digits}f} - {self.high:.{digits}f})"


def paired(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 9,
    least: float = 0.02,
) -> dict[str, Timing]:
    """Time the contenders in turn.

    Args:
        contenders: what to call, by name. Each is called once before anything is timed.
        rounds: how often each has its turn; the order is another one each round.
        least: seconds that a turn takes at least, by repetition.
    """
    names = list(contenders)
    calls = {}
    for name in names:
        contenders[name]()
        once = _turn(contenders[name], 1)[0]
        calls[name] = max(1, round(least / once))
    walls: dict[str, list[float]] = {name: [] for name in names}
    cpus: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            wall, cpu = _turn(contenders[name], calls[name])
            walls[name].append(wall)
            cpus[name].append(cpu)
    return {name: Timing(tuple(walls[name]), tuple(cpus[name])) for name in names}


def _turn(work: Callable[[], object], calls: int) -> tuple[float, float]:
    """Wall and CPU seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        work()
    passed, used = time.perf_counter() - wall, time.process_time() - cpu
    return passed / calls, used / calls


def ratio(of: Timing, to: Timing) -> Ratio:
    """How many times as long `of` took as `to`, compared round by round."""
    ratios = [a / b for a, b in zip(of.wall, to.wall, strict=True)]
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return Ratio(middle, low, high)


def machine() -> dict[str, Any]:
    """The processor, the number of cores this process may use, versions, and the date."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_model(),
        "cores": usable,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _cpu_model() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def arguments(description: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with ``--json FILE``, by default a file of the bench's name under bench/results."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=RESULTS / f"{name}.json", metavar="FILE")
    return parser


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write results, and the machine they were measured on, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), **results}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be, the first one to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in text)
