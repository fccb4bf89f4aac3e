"""Where the match detector's time goes, and its kernels against NumPy and OpenCV; one thread.

    python -m bench.match [--images N] [--drawn] [--rounds N] [--json FILE]
    python -m bench.match --panels | --detectors [--images N] [--json FILE]

First the seconds per megapixel of every stage of `forgecli.match.search`, over authentic images
that may be fitted on, or over drawn ones with `--drawn`. Then each kernel beside what it replaces,
written with NumPy and OpenCV as one would write it: the median, over interleaved rounds, of the
reference's time over ours, with its quartiles. Prints nothing but an error where results differ.

With --panels, what comparing keypoints costs in figures of many panels (`bench.match_panels`); with
--detectors, what other keypoint detectors would add (`bench.match_detectors`). Each has a file of
its own under bench/results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from bench import match_detectors, match_panels
from bench.machine import Timing, arguments, paired, ratio, table, write_results
from bench.match_references import REFERENCES, Material
from bench.sources import authentic_files, photographs, spread
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.match.bands import bands_of
from forgecli.match.keypoints import find_keypoints
from forgecli.match.panels import find_layout
from forgecli.match.proposals import propose
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings

Pixels = NDArray[np.uint8]
LARGEST = 1_500_000
"""Pixels: larger images are left out, for time."""


def drawn(number: int, side: int = 800) -> Pixels:
    """Texture of several sizes with a turned copy of a part of it, uint8 (side, side, 3)."""
    random = np.random.default_rng(number)
    grey = np.full((side, side), 128, np.float32)
    for sigma in (1.0, 2.5, 6.0):
        layer = cv2.GaussianBlur(random.normal(size=grey.shape).astype(np.float32), (0, 0), sigma)
        grey += layer * np.float32(18.0 / layer.std())
    here, there = side // 4, 2 * side // 3
    turn = cv2.getRotationMatrix2D((here, here), float(random.uniform(0, 360)), 1.0)
    turn[:, 2] += there - here
    copy = cv2.warpAffine(grey, turn, (side, side))
    disc = cv2.circle(np.zeros(grey.shape, np.uint8), (there, there), side // 10, (1,), cv2.FILLED)
    grey = np.where(disc > 0, copy, grey) + random.normal(0, 1.5, grey.shape).astype(np.float32)
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def real(count: int) -> list[Pixels]:
    """So many authentic photographs of every kind alike."""
    files = photographs(authentic_files()[0])
    kinds = len({file.kind for file in files})
    chosen = []
    for file in spread(files, -(-2 * count // kinds)):
        pixels = read_picture(Case(file.name, file.path))[0].pixels
        if pixels.shape[0] * pixels.shape[1] <= LARGEST:
            chosen.append(pixels)
    return [chosen[n * len(chosen) // count] for n in range(min(count, len(chosen)))]


def stages(images: list[Pixels], rounds: int) -> list[dict[str, Any]]:
    """Seconds per megapixel of each stage, the median of the rounds; `all` is their sum."""
    settings = MatchSettings()
    search(images[0], settings)
    turns: list[dict[str, float]] = []
    for _ in range(rounds):
        total: dict[str, float] = {}
        for image in images:
            for stage, seconds in search(image, settings).seconds.items():
                total[stage] = total.get(stage, 0.0) + seconds
        total["all"] = sum(total.values())
        turns.append(total)
    size = sum(image.shape[0] * image.shape[1] for image in images) / 1e6
    return [
        {"stage": stage, "seconds_per_megapixel": median(turn[stage] for turn in turns) / size}
        for stage in turns[0]
    ]


def material(image: Pixels, settings: MatchSettings | None = None) -> Material:
    """What the kernels work on: one image, its keypoints and their proposals."""
    settings = settings or MatchSettings()
    bands = bands_of(image)
    usable = find_layout(bands.grey, settings).usable
    keypoints = find_keypoints(bands.grey, usable, settings)
    return Material(bands, keypoints, propose(keypoints, settings), settings)


def compare(given: Material, rounds: int) -> list[dict[str, Any]]:
    """One record per kernel and contender; ends the program where results differ."""
    records = []
    for name, reference in REFERENCES.items():
        pair = reference(given)
        if not pair.agree():
            sys.exit(f"{name}: results differ")
        calls: dict[str, Callable[[], object]] = {"forge": pair.ours, pair.by: pair.theirs}
        timings: dict[str, Timing] = paired(calls, rounds=rounds)
        over = ratio(timings[pair.by], timings["forge"])
        records.append(
            {
                "kernel": name,
                "work": pair.work,
                "reference": pair.by,
                "milliseconds": timings["forge"].milliseconds,
                "reference_milliseconds": timings[pair.by].milliseconds,
                "times_ours": [over.low, over.middle, over.high],
                "shown": str(over),
            }
        )
    return records


def panels(each: int | None, path: Path) -> None:
    """See `bench.match_panels`."""
    records = match_panels.figures(list(match_panels.costs(4 if each is None else each)))
    print(match_panels.shown(records))
    write_results(path, {"threads": 1, "side": match_panels.SIDE, "figures": records})


def detectors(images: int | None, path: Path) -> None:
    """See `bench.match_detectors`."""
    found = match_detectors.compare(40 if images is None else images)
    print(match_detectors.shown(found))
    write_results(path, {"threads": 1, **found})


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__, "match")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--panels", action="store_true", help="figures of many panels")
    what.add_argument("--detectors", action="store_true", help="other keypoint detectors")
    parser.add_argument("--images", type=int, help="12, of --detectors 40, of --panels 4 a row")
    parser.add_argument("--drawn", action="store_true", help="drawn images instead of real ones")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    if asked.panels or asked.detectors:
        name = "panels" if asked.panels else "detectors"
        usual: Path = parser.get_default("json")
        apart = panels if asked.panels else detectors
        apart(
            asked.images,
            usual.with_name(f"match-{name}.json") if asked.json == usual else asked.json,
        )
        return
    asked.images = 12 if asked.images is None else asked.images
    images = [drawn(n) for n in range(asked.images)] if asked.drawn else real(asked.images)
    by_stage = stages(images, min(asked.rounds, 3))
    kernels = compare(material(drawn(0)), asked.rounds)
    size = sum(image.shape[0] * image.shape[1] for image in images) / 1e6
    print(f"{len(images)} images of {size:.1f} Mpx together, one thread\n")
    rows = [[line["stage"], f"{line['seconds_per_megapixel']:.3f}"] for line in by_stage]
    print(table(["stage", "s/Mpx"], rows), end="\n\n")
    rows = [
        [line["kernel"], line["work"], f"{line['milliseconds']:.2f}", line["reference"],
         f"{line['reference_milliseconds']:.2f}", line["shown"]]
        for line in kernels
    ]  # fmt: skip
    print(table(["kernel", "work", "ms", "reference", "ms", "times ours"], rows))
    write_results(
        asked.json,
        {
            "threads": 1,
            "images": len(images),
            "drawn": asked.drawn,
            "megapixels": size,
            "stages": by_stage,
            "kernels": kernels,
        },
    )


if __name__ == "__main__":
    main()
