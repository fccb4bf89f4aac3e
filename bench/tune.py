"""Tuning: tables against scoring every setting, the sweep, and how the gate is chosen.

    python -m bench.tune [--rounds N] [--images N] [--draws N] [--json FILE]

Maps are simulated: copied squares lifted above smooth noise by a strength of their own, and false
blobs. The peer makes the instances of every setting and scores them. Prints nothing but an error if
a table differs from it by more than 1e-9.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bench.machine import arguments, paired, ratio, table, write_results
from forgecli.score.metric import score_image
from forgecli.segment.instances import instances_of
from forgecli.segment.thresholds import Thresholds
from forgecli.tune.grid import Grid
from forgecli.tune.stack import Stack
from forgecli.tune.sweep import best_of
from forgecli.tune.tables import ImageTable
from forgecli.tune.validate import cross_validate
from kernels.rle import Runs, encode

GRID = Grid()


def simulated(
    random: np.random.Generator, side: int, forged: bool
) -> tuple[NDArray[np.float32], list[Runs]]:
    """A map of logits and its truth."""
    masks = []
    for _ in range(int(random.choice([1, 2], p=[0.75, 0.25])) if forged else 0):
        mask = np.zeros((side, side), bool)
        size = int(random.integers(side // 25, side // 5))
        for row, column in random.integers(0, side - size, (2, 2)):
            mask[row : row + size, column : column + size] = True
        masks.append(mask)
    lift = np.logical_or.reduce([np.zeros((side, side), bool), *masks]).astype(np.float64)
    logits = ndimage.gaussian_filter(lift, side / 85) * random.gamma(1.0, 4.5)
    noise = ndimage.gaussian_filter(random.normal(size=(side, side)), side / 42)
    logits += noise / noise.std() * random.gamma(2, 0.5) - 4 + 0.7 * random.normal()
    for _ in range(random.poisson(0.6)):
        size = int(random.integers(side // 50, side // 8))
        row, column = random.integers(0, side - size, 2)
        logits[row : row + size, column : column + size] += random.gamma(1.5, 1.5)
    return logits.astype(np.float32)[None], [encode(mask) for mask in masks]


def every_setting(logits: NDArray[np.float32], truth: list[Runs]) -> NDArray[np.float64]:
    """The peer: the metric of every policy, pixel threshold and area, by what predicts."""
    return np.array(
        [
            [
                [
                    score_image(truth, [i.runs for i in instances_of(logits, wanted)])
                    for area in GRID.min_areas
                    for wanted in [Thresholds(pixel=pixel, min_area=area, instances=policy)]
                ]
                for pixel in GRID.pixels
            ]
            for policy in GRID.policies
        ]
    )


def one_image(rounds: int) -> dict[str, Any]:
    """Milliseconds for the table of a 1024 x 1024 map, and for the peer."""
    logits, truth = simulated(np.random.default_rng(3), 1024, forged=True)
    made = ImageTable.of(logits, truth, GRID).scores
    if not np.allclose(made, every_setting(logits, truth), atol=1e-9):
        sys.exit("the table differs from scoring every setting, so there is nothing to compare")
    timings = paired(
        {
            "table": lambda: ImageTable.of(logits, truth, GRID),
            "every setting": lambda: every_setting(logits, truth),
        },
        rounds=rounds,
    )
    return {
        "settings": int(made.size),
        "ms": {name: timing.milliseconds for name, timing in timings.items()},
        "times_ours": asdict(ratio(timings["every setting"], timings["table"])),
    }


def sweep(stack: Stack) -> dict[str, Any]:
    """Seconds to choose among all settings, and to cross-validate the choice in five folds."""
    started = time.perf_counter()
    best_of(stack)
    chosen = time.perf_counter()
    groups = np.arange(len(stack)) // 2
    cross_validate(stack, groups % 5, groups)
    return {
        "images": len(stack),
        "settings": int(stack.scores[0].size) * stack.levels.shape[1] * len(stack),
        "seconds": chosen - started,
        "seconds_cross_validation": time.perf_counter() - chosen,
    }


def choosing(stack: Stack, draws: int) -> list[dict[str, Any]]:
    """The metric of thresholds chosen on a part of the images, on that part and on the others."""
    rows = []
    for count in (40, 100, 200):
        random = np.random.default_rng(0)
        scores: dict[str, list[float]] = {"plateau": [], "highest": []}
        inside: dict[str, list[float]] = {"plateau": [], "highest": []}
        for _ in range(draws):
            order = random.permutation(len(stack))
            part, others = stack.take(order[:count]), stack.take(order[count:])
            for name in scores:
                found = best_of(part, plateau=name == "plateau")
                inside[name].append(found.score)
                scores[name].append(float(others.scores_at(found.thresholds).mean()))
        gains = np.subtract(scores["plateau"], scores["highest"]).tolist()
        rows.append(
            {
                "images": count,
                "on_them": {name: mean(values) for name, values in inside.items()},
                "on_others": {name: mean(values) for name, values in scores.items()},
                "gain": mean(gains),
                "standard_error": stdev(gains) / len(gains) ** 0.5,
            }
        )
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__, "tune")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--draws", type=int, default=40)
    options = parser.parse_args()
    image = one_image(options.rounds)
    random = np.random.default_rng(1)
    maps = [simulated(random, 256, forged=index % 2 == 1) for index in range(options.images)]
    stack = Stack.of([ImageTable.of(*one, GRID) for one in maps], GRID)
    swept = sweep(stack)
    chosen = choosing(stack, options.draws)
    rows = [[f"{name}, {image['settings']} settings", f"{ms:.1f}"] for name, ms in
            image["ms"].items()]  # fmt: skip
    print(table(["one image, 1024 x 1024", "ms"], rows))
    times = image["times_ours"]
    print(f"times ours (quartiles): {times['middle']:.1f} ({times['low']:.1f} - "
          f"{times['high']:.1f})\n")  # fmt: skip
    print(
        f"{swept['images']} images, {swept['settings']:,} settings: {swept['seconds']:.2f} s; "
        f"five folds: {swept['seconds_cross_validation']:.2f} s\n"
    )
    lines = [
        [
            str(row["images"]),
            *(f"{row[where][how]:.4f}" for where in ("on_them", "on_others")
              for how in ("highest", "plateau")),
            f"{row['gain']:+.4f} ({row['standard_error']:.4f})",
        ]
        for row in chosen
    ]  # fmt: skip
    print(
        table(
            [
                "chosen on",
                "highest",
                "plateau",
                "highest, others",
                "plateau, others",
                "gain (s.e.)",
            ],
            lines,
        )
    )
    write_results(options.json, {"image": image, "sweep": swept, "choosing": chosen})


if __name__ == "__main__":
    main()
