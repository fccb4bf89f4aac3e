"""How fast `forge synth` makes forgeries, by worker processes.

    python -m bench.synth [--cases N] [--rounds N] [--workers 1,2] [--json FILE]

The same cases are made from the real authentic images by each number of workers, the start of the
processes included. The files must be the same, or nothing is printed.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from statistics import mean
from time import perf_counter

from bench.machine import Timing, arguments, ratio, table, write_results
from bench.sources import authentic_files, photographs
from forgecli.synth.dataset import Job, write_dataset
from forgecli.synth.recipe import Recipe


def made_by(job: Job, cases: int, workers: int) -> tuple[float, int, float, str]:
    """Seconds, images written, their mean size in Mpx, and a hash of all files."""
    started = perf_counter()
    done = list(write_dataset(job, cases, workers=workers))
    seconds = perf_counter() - started
    if failed := [case for case in done if case.problem]:
        sys.exit(f"{failed[0].case_id}: {failed[0].problem}")
    files = sorted(path for path in job.folder.rglob("*") if path.is_file())
    content = hashlib.sha256()
    for path in files:
        content.update(path.relative_to(job.folder).as_posix().encode() + path.read_bytes())
    images = sum(path.suffix == ".png" for path in files)
    size = mean(case.shape[0] * case.shape[1] for case in done) / 1e6
    return seconds, images, size, content.hexdigest()


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, "synth")
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, joined by commas")
    asked = parser.parse_args()
    counts = [int(text) for text in asked.workers.split(",")]
    sources = photographs(authentic_files()[0])

    walls: dict[int, list[float]] = {count: [] for count in counts}
    contents, images, size = set(), 0, 0.0
    for turn in range(asked.rounds):
        shift = turn % len(counts)
        for count in counts[shift:] + counts[:shift]:
            with tempfile.TemporaryDirectory() as folder:
                job = Job(sources, Recipe(), 5, Path(folder) / "set")
                seconds, images, size, content = made_by(job, asked.cases, count)
            walls[count].append(seconds)
            contents.add(content)
    if len(contents) != 1:
        sys.exit("not the same files")

    timings = {count: Timing(tuple(wall), ()) for count, wall in walls.items()}
    lines, results = [], {}
    for count, timing in timings.items():
        rate = images / (timing.milliseconds / 1e3)
        against = ratio(timings[counts[0]], timing)
        lines.append([str(count), f"{timing.milliseconds / 1e3:.1f}", f"{rate:.2f}", str(against)])
        results[str(count)] = {
            "images_per_second": rate,
            "speed_against_first": against.middle,
            "seconds": timing.wall,
        }
    print(table(["workers", "seconds", "images/s", f"speed / {counts[0]}"], lines))
    print(f"{asked.cases} cases, {images} images of {size:.2f} Mpx, the same files by all")
    write_results(
        asked.json,
        {"cases": asked.cases, "images": images, "megapixels": size, "workers": results},
    )


if __name__ == "__main__":
    main()
