"""What `--inverted` finds, what it flags of authentic images, and what it costs.

    python -m bench.inverted [--copies N] [--most N] [--workers N]

Copies are made from crops of held-out images as in `bench.accuracy_curves`: turned by any angle,
mirrored or not, scaled by 0.8 to 1.25, of 32 to 96 px; then inverted, and every second picture is
saved as JPEG 80. Each is looked at with the option and without, one after the other in one process,
and so are authentic images of the held-out sources.

Prints the figures and writes them to bench/results/inverted.json. Needs the images that
`bench.sources` names.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.accuracy_curves import AIM, SEED, scenes
from bench.accuracy_measure import Job, Mark, Method, Scene, marks, ours, worth
from bench.machine import RESULTS, write_results
from bench.sources import authentic_files, spread
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError

WITHOUT, WITH = "without", "with"
LARGEST = 1_500_000
"""Pixels: larger images are left out, for time."""


def copied(number: int) -> list[Scene]:
    """A picture with one inverted copy; none where no place was found for it."""
    change = replace(AIM, inverted=True, jpeg=80 if number % 2 else None)
    return scenes("copies", number, change)


def authentic(name: str, path: Path) -> list[Scene]:
    """An authentic image; none if it cannot be read or is too large."""
    try:
        pixels = read_picture(Case(name, path))[0].pixels
    except ForgeError:
        return []
    height, width = pixels.shape[:2]
    if height * width > LARGEST:
        return []
    return [Scene("authentic", pixels, np.zeros((0, height, width), np.uint8))]


METHODS: dict[str, Callable[[], Method]] = {
    name: partial(ours, inverted=name == WITH) for name in (WITHOUT, WITH)
}


def jobs(copies: int, most: int) -> list[Job]:
    """So many copies, and authentic images of each kind."""
    files = spread(authentic_files()[1], most)
    return [
        *(Job(copied, (number,)) for number in range(copies)),
        *(Job(authentic, (file.name, file.path)) for file in files),
    ]


def figures(found: Sequence[Mark]) -> dict[str, Any]:
    """With the option and without; how many times as much CPU time an image takes with it."""
    by_method = {name: [one for one in found if one.method == name] for name in (WITHOUT, WITH)}
    pairs = zip(by_method[WITHOUT], by_method[WITH], strict=True)
    ratios = [on.seconds / off.seconds for off, on in pairs if off.seconds > 0]
    return {
        **{name: worth(those) for name, those in by_method.items()},
        "times_the_cpu_time": round(median(ratios), 2) if ratios else None,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--copies", type=int, default=60)
    parser.add_argument("--most", type=int, default=12, help="authentic images of each kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    asked = parser.parse_args()
    work = jobs(asked.copies, asked.most)
    tell = partial(print, file=sys.stderr, flush=True)
    found = list(marks(work, methods=METHODS, workers=asked.workers, tell=tell))
    known = {"copies": asked.copies, "most_of_each_kind": asked.most, "seed": SEED}
    measured = figures(found)
    print(json.dumps(measured, indent=1))
    write_results(asked.results / "inverted.json", {**known, **measured})


if __name__ == "__main__":
    main()
