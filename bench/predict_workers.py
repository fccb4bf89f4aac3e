"""The batch job with processes and with threads, and what a process costs to start.

    python -m bench.predict_workers [--images N] [--rounds N] [--workers 1,2] [--json FILE]

The same images go through the job as it is (`forgecli.predict.pool`, one image per process) and
through threads that call the same code. Libraries get the same number of threads in both. The
rows must be the same, or nothing is printed. Images are drawn: blots and cells of 0.1 to 1 Mpx,
half of them with a copied region.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter

import cv2
import numba
import numpy as np

from bench.machine import Timing, arguments, ratio, table, write_results
from forgecli.cases.discover import discover
from forgecli.cores import available_cores
from forgecli.detection import Case
from forgecli.match.operating import thresholds_of
from forgecli.match.settings import MatchSettings
from forgecli.predict.examine import Examiner
from forgecli.predict.factories import match_factory
from forgecli.predict.pool import Pool
from forgecli.predict.tasks import Outcome, Task, Work

SIDES = ((320, 400), (512, 512), (700, 900), (1000, 1000))


def draw(folder: Path, count: int) -> None:
    """Fluorescent cells on a noisy ground; in every second image one cell is copied."""
    rng = np.random.default_rng(7)
    for number in range(count):
        height, width = SIDES[number % len(SIDES)]
        image = np.zeros((height, width), np.float32)
        for _ in range(height * width // 6000):
            center = int(rng.integers(width)), int(rng.integers(height))
            axes = int(rng.integers(8, 24)), int(rng.integers(6, 18))
            cv2.ellipse(
                image, center, axes, float(rng.integers(180)), 0, 360, rng.uniform(60, 200), -1
            )
        texture = cv2.GaussianBlur(rng.normal(0, 60, image.shape).astype(np.float32), (0, 0), 1.5)
        image = cv2.GaussianBlur(image * (1 + texture / 60), (0, 0), 1.2)
        image += rng.normal(20, 4, image.shape)
        if number % 2:
            side = 56
            (y, x), (v, u) = rng.integers(0, (height // 2 - side, width - side), (2, 2))
            image[v + height // 2 : v + height // 2 + side, u : u + side] = image[
                y : y + side, x : x + side
            ]
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:03}.png"), pixels)


def with_processes(work: Work, cases: list[Case], workers: int) -> list[str]:
    """Annotations, by the job's own pool."""
    pool = Pool(work, workers, note=lambda text: None, stop=lambda: False)
    return annotations(pool.examine(Task(row, case) for row, case in enumerate(cases)))


def with_threads(work: Work, cases: list[Case], workers: int) -> list[str]:
    """Annotations, by threads with a detector each."""
    own = threading.local()

    def examine(task: Task) -> Outcome:
        if not hasattr(own, "examiner"):
            numba.set_num_threads(min(each, numba.config.NUMBA_NUM_THREADS))
            own.examiner = Examiner(work)
            own.examiner.prepare()
        found: Outcome = own.examiner.examine(task)
        return found

    each = max(1, available_cores() // workers)
    cv2.setNumThreads(each)
    with ThreadPoolExecutor(workers) as executor:
        tasks = [Task(row, case) for row, case in enumerate(cases)]
        return annotations(executor.map(examine, tasks))


def process_start(work: Work, case: Case) -> float:
    """Seconds until a worker process takes its first image: start, imports, `prepare`."""
    asked: list[float] = []

    def tasks() -> Iterator[Task]:
        yield Task(0, case)  # waits for the worker
        asked.append(perf_counter())  # taken when the first one has been handed out

    started = perf_counter()
    pool = Pool(work, 1, note=lambda text: None, stop=lambda: bool(asked))
    list(pool.examine(tasks()))
    return asked[0] - started


def annotations(outcomes: object) -> list[str]:
    """In the order of the rows."""
    rows = sorted(outcomes, key=lambda outcome: outcome.row)  # type: ignore[call-overload]
    for outcome in rows:
        if outcome.failed:
            raise SystemExit(f"{outcome.case_id}: {outcome.reason}")
    return [outcome.annotation for outcome in rows]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, "predict_workers")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, joined by commas")
    asked = parser.parse_args()
    counts = [int(text) for text in asked.workers.split(",")]
    settings = MatchSettings()
    threshold = min(thresholds_of(settings).values())
    work = Work(match_factory(settings), threshold, 0, 200_000_000, "npy", evidence=False)

    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), asked.images)
        cases = discover([folder])
        contenders = {}
        for count in counts:
            contenders[f"processes, {count}"] = partial(with_processes, work, cases, count)
            contenders[f"threads, {count}"] = partial(with_threads, work, cases, count)
        reference = with_threads(work, cases, counts[-1])  # warms the disk's cache and numba's
        walls: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(asked.rounds):
            shift = turn % len(contenders)
            for name in [*list(contenders)[shift:], *list(contenders)[:shift]]:
                started = perf_counter()
                found = contenders[name]()
                walls[name].append(perf_counter() - started)
                if found != reference:
                    raise SystemExit(f"not the same rows: {name}")
        timings = {name: Timing(tuple(wall), ()) for name, wall in walls.items()}
        start = process_start(work, cases[0])

    base = f"threads, {counts[0]}"
    lines, results = [], {}
    for name, timing in timings.items():
        seconds = timing.milliseconds / 1000
        against = ratio(timings[base], timing)
        lines.append([name, f"{seconds:.2f}", f"{asked.images / seconds:.2f}", str(against)])
        results[name] = {
            "seconds": timing.wall,
            "images_per_second": asked.images / seconds,
            "speed_against_threads": against.middle,
        }
    print(table(["workers", "seconds", "images/s", f"speed / {base}"], lines))
    flagged = sum(text != "authentic" for text in reference)
    print(f"{asked.images} images, {flagged} flagged, the same rows by all")
    print(f"the first process is ready after {start:.2f} s")
    write_results(
        asked.json,
        {
            "images": asked.images,
            "flagged": flagged,
            "seconds_to_start_a_process": start,
            "contenders": results,
        },
    )


if __name__ == "__main__":
    main()
