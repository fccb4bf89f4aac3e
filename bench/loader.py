"""How fast training data comes: samples per second by worker processes, and what each stage costs.

    python -m bench.loader [--data DIR] [--cases N] [--samples N] [--rounds N] [--workers 0,1,2]
                           [--view resize|tile] [--size PX] [--json FILE]

Without --data, a synthetic set is made from the real authentic images first. The first epoch starts
the worker processes and is not counted. The batches must be the same whatever the workers, or
nothing is printed.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import torch

from bench.machine import Timing, arguments, ratio, table, write_results
from bench.sources import authentic_files, photographs
from forgecli.cases.decode import read_picture
from forgecli.cases.masks import read_mask
from forgecli.segment.preprocess import channels_of
from forgecli.synth.dataset import Job, write_dataset
from forgecli.synth.recipe import Recipe
from forgecli.train.augment import augment
from forgecli.train.crops import Chooser, cut, groups_of, pad
from forgecli.train.data import AugmentSettings, DataSettings
from forgecli.train.index import Item, read_index
from forgecli.train.loader import Loader, make_loader

BATCH = 8


def drain(loader: Loader, epoch: int) -> str:
    """Take all batches of an epoch; a hash of what they show."""
    shown = hashlib.sha256()
    for batch in loader.epoch(epoch):
        shown.update(batch.masks.numpy().tobytes())
        shown.update("\n".join(batch.case_ids).encode())
    return shown.hexdigest()


def stages(items: tuple[Item, ...], data: DataSettings, samples: int) -> dict[str, float]:
    """Milliseconds of each stage for a sample, the mean over some, on one thread."""
    seconds: dict[str, list[float]] = {}
    changes = AugmentSettings()
    extents = tuple(item.facts.extent for item in items if item.forged)
    chooser = Chooser(data.size, data.view, data, extents)

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = perf_counter()
        made = work()
        seconds.setdefault(name, []).append(perf_counter() - started)
        return made

    for number in range(samples):
        item = items[number * len(items) // samples]
        rng = np.random.default_rng((7, number))
        pixels = timed("read the picture", lambda: read_picture(item.case)[0].pixels)  # noqa: B023
        shape = pixels.shape[:2]
        masks = np.zeros((0, *shape), np.uint8)
        if item.case.mask is not None:
            mask = item.case.mask
            masks = timed("read the masks *", lambda: read_mask(mask, shape)[0])  # noqa: B023
            groups = timed("find the regions *", partial(groups_of, masks))
        else:
            groups = []
        window = timed("choose a window", partial(chooser.choose, shape, groups, rng))
        crop = timed("cut and resize", partial(cut, pixels, masks, groups, window))
        crop = timed("augment", partial(augment, crop, changes, rng))
        crop = timed("pad", partial(pad, crop, data.size))
        timed("to channels", partial(channels_of, crop.pixels, data.ela))
    return {name: mean(values) * 1e3 for name, values in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, "loader")
    parser.add_argument("--data", type=Path, help="a data set to load")
    parser.add_argument("--cases", type=int, default=40, help="of the synthetic set")
    parser.add_argument("--samples", type=int, default=192, help="of an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default="0,1,2", help="numbers of workers, joined by commas")
    parser.add_argument("--view", default="resize", choices=["resize", "tile"])
    parser.add_argument("--size", type=int, default=512)
    asked = parser.parse_args()
    counts = [int(text) for text in asked.workers.split(",")]
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data = DataSettings(view=asked.view, size=asked.size, epoch_samples=asked.samples)

    with ExitStack() as stack:
        folder = asked.data
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "set"
            files = photographs(authentic_files()[0])
            for _ in write_dataset(Job(files, Recipe(), 11, folder), asked.cases, workers=2):
                pass
        items = read_index(folder, workers=2).items
        megapixels = mean(item.facts.height * item.facts.width for item in items) / 1e6
        loaders = {
            count: stack.enter_context(
                make_loader(
                    items,
                    data,
                    AugmentSettings(),
                    data.preprocess,
                    batch=BATCH,
                    seed=3,
                    workers=count,
                )
            )
            for count in counts
        }
        starts, walls = {}, {count: [] for count in counts}  # type: ignore[var-annotated]
        for count, loader in loaders.items():
            started = perf_counter()
            next(loader.epoch(0))
            starts[count] = perf_counter() - started
        for turn in range(asked.rounds):
            shown = {}
            shift = turn % len(counts)
            for count in counts[shift:] + counts[:shift]:
                started = perf_counter()
                shown[count] = drain(loaders[count], turn + 1)
                walls[count].append(perf_counter() - started)
            if len(set(shown.values())) != 1:
                sys.exit(f"not the same batches: {shown}")
        costs = stages(items, data, min(96, len(items)))

    samples = len(loaders[counts[0]]) * BATCH
    timings = {count: Timing(tuple(wall), ()) for count, wall in walls.items()}
    lines, results = [], {}
    for count, timing in timings.items():
        rate = samples / (timing.milliseconds / 1e3)
        against = ratio(timings[counts[0]], timing)
        lines.append([str(count), f"{rate:.1f}", str(against), f"{starts[count]:.2f}"])
        results[str(count)] = {
            "samples_per_second": rate,
            "speed_against_first": against.middle,
            "seconds_to_first_batch": starts[count],
            "seconds": timing.wall,
        }
    print(table(["workers", "samples/s", f"speed / {counts[0]}", "first batch, s"], lines))
    print()
    print(table(["stage", "ms"], [[name, f"{cost:.2f}"] for name, cost in costs.items()]))
    print("* of forged images only")
    print(f"{len(items)} images of {megapixels:.2f} Mpx, {asked.view} at {asked.size} px, the same "
          "batches by all")  # fmt: skip
    write_results(
        asked.json,
        {
            "images": len(items),
            "megapixels": megapixels,
            "view": asked.view,
            "size": asked.size,
            "batch": BATCH,
            "workers": results,
            "stages_milliseconds": costs,
        },
    )


if __name__ == "__main__":
    main()
