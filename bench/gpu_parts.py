"""The parts of `bench.gpu`, each run as a program: `python -m bench.gpu_parts NAME --work DIR`.

A part writes its figures to NAME.json of the work folder after each of them, so that what it found
is there if it does not come to its end. None of this has run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class CannotRun(Exception):
    """What a part needs is not here; the message says what."""


class Part:
    """What a part has found so far, kept on disk.

    Args:
        name: of the part.
        work: folder for its results, and for files that parts share.
        quick: whether to try few settings only.
    """

    def __init__(self, name: str, work: Path, quick: bool = False) -> None:
        self.name, self.work, self.quick = name, work, quick
        self.figures: dict[str, str] = {}
        self.data: dict[str, Any] = {}
        self.save("failed", "it did not come to its end")

    def add(self, label: str, figure: str, **data: Any) -> None:
        """A figure for people, and what it was made from."""
        self.figures[label] = figure
        self.data[label] = data
        self.save("failed", "it did not come to its end")
        print(f"{self.name}: {label}: {figure}", file=sys.stderr, flush=True)

    def lacks(self, label: str, reason: object) -> None:
        """Something that could not be measured, and why."""
        first = next(iter(str(reason).splitlines()), type(reason).__name__)
        self.add(label, f"could not run: {first}", reason=first)

    def save(self, status: str, reason: str = "") -> None:
        """Put it on disk."""
        document = {"status": status, "reason": reason, "figures": self.figures, "data": self.data}
        file = self.work / f"{self.name}.json"
        begun = file.with_suffix(".begun")
        begun.write_text(json.dumps(document), encoding="utf-8")
        begun.replace(file)

    def known(self, part: str, key: str) -> float | None:
        """The highest figure of another part under a key, if it has run."""
        try:
            found = json.loads((self.work / f"{part}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        every = (each for each in found["data"].values() if isinstance(each, dict))
        values = [each[key] for each in every if each.get(key)]
        return max(values) if values else None


def compiling(part: Part) -> None:
    """What is compiled once: the CPU's kernels, and the CUDA sources for this GPU."""
    from bench.gpu_compiling import measure

    measure(part)


def transfers(part: Part) -> None:
    """Copies between host and GPU."""
    from bench.gpu_transfers import measure

    measure(part)


def engines(part: Part) -> None:
    """The network in each engine."""
    from bench.gpu_engines import measure

    measure(part)


def finishing(part: Part) -> None:
    """What follows the network."""
    from bench.gpu_engines import finishing as measure

    measure(part)


def files(part: Part) -> None:
    """The whole of predict with a network."""
    from bench.gpu_files import measure

    measure(part)


def components(part: Part) -> None:
    """Connected components against what people use."""
    from bench.components_cuda import OURS, measured
    from kernels.cuda.cupy_device import CupyDevice

    part.data["records"] = []
    rounds = 5 if part.quick else 9
    for record in measured(CupyDevice(), rounds, part.lacks):
        part.data["records"].append(record)
        if record["contender"] != OURS:
            label = f"{record['side']} {record['mask']} {record['connectivity']}: " \
                    f"{record['contender']}"  # fmt: skip
            part.add(label, f"{record['shown']} times ours", times_ours=record["times_ours"])


def dense_field(part: Part) -> None:
    """The dense field of the match detector against the CPU's kernels."""
    from bench.gpu_match import measure

    measure(part)


def verification(part: Part) -> None:
    """The comparing and verifying kernels of the match detector against those of the CPU."""
    from bench.gpu_verify import measure

    measure(part)


PARTS: dict[str, Callable[[Part], None]] = {
    each.__name__: each
    for each in (
        compiling,
        transfers,
        engines,
        finishing,
        files,
        components,
        dense_field,
        verification,
    )
}
"""In the order they run in: what tells most first, for the time may not do for all."""


def main() -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PARTS)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    return run(Part(asked.name, asked.work, asked.quick), PARTS[asked.name])


def run(part: Part, measure: Callable[[Part], None]) -> int:
    """Measure, and keep how it ended; 1 if it failed."""
    try:
        measure(part)
    except (CannotRun, ImportError) as error:
        part.save("cannot run", str(error))
        return 0
    except (Exception, SystemExit) as error:
        part.save("failed", f"{type(error).__name__}: {error}")
        if isinstance(error, SystemExit):
            return 1
        raise
    part.save("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
