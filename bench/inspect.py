"""`forge inspect` on a data set: images a second and memory, by number of worker processes.

    python -m bench.inspect [--images N] [--rounds N] [--workers 1,2] [--json FILE]

The data set is drawn: about 1 megapixel an image, PNG, JPEG and TIFF, grey and RGB and RGBA, half
of them forged with masks. The program runs as a whole, with its start, so small sets look slow.
Memory is that of the largest process: the first one, or a worker. The index must be the same
however many workers there are, or nothing is printed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from bench.machine import Timing, arguments, ratio, table, write_results
from bench.programs import FORGE

SHAPE = (900, 1150)


def draw(folder: Path, count: int) -> float:
    """Write the data set. Returns its megapixels."""
    places = {name: folder / name for name in ("authentic", "forged")}
    images, masks = folder / "train_images", folder / "train_masks"
    for name in places:
        (images / name).mkdir(parents=True)
    masks.mkdir()
    for number in range(count):
        random = np.random.default_rng(number)
        coarse = random.normal(128, 60, (SHAPE[0] // 16, SHAPE[1] // 16, 3)).astype(np.float32)
        smooth = cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
        pixels = np.clip(smooth + random.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
        if number % 5 == 1:
            pixels = pixels[:, :, 0]
        elif number % 5 == 2:
            pixels = np.dstack([pixels, np.full(SHAPE, 255, np.uint8)])
        suffix = {3: ".jpg", 4: ".tif"}.get(number % 10, ".png")
        kind = "forged" if number % 2 else "authentic"
        cv2.imwrite(str(images / kind / f"{number}{suffix}"), pixels)
        if kind == "forged":
            truth = np.zeros((1 + number % 3, *SHAPE), np.uint8)
            for index, plane in enumerate(truth):
                top, left = 100 + 250 * index, 100 + (13 * number) % 600
                plane[top : top + 80, left : left + 120] = 1
                plane[top : top + 80, left + 300 : left + 420] = 1
            np.save(masks / f"{number}.npy", truth, allow_pickle=False)
    return count * SHAPE[0] * SHAPE[1] / 1e6


def run(folder: Path, workers: int, extra: Sequence[str] = ()) -> tuple[float, float, float, str]:
    """Wall seconds, CPU seconds, MB of the largest process, and a hash of the index."""
    index = folder.parent / f"index-{workers}.csv"
    command = [
        *FORGE, "inspect", str(folder), "--workers", str(workers),
        "--index", str(index), "--overwrite", *extra,
    ]  # fmt: skip
    started = perf_counter()
    quiet = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawn(
        sys.executable,
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)],
    )
    os.close(quiet)
    _, status, used = os.wait4(pid, 0)  # counts the workers as well
    wall = perf_counter() - started
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"forge inspect ended with code {os.waitstatus_to_exitcode(status)}")
    kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    cpu = used.ru_utime + used.ru_stime
    return wall, cpu, kilobytes / 1000, sha256(index.read_bytes()).hexdigest()


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, "inspect")
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, joined by commas")
    asked = parser.parse_args()
    counts = [int(text) for text in asked.workers.split(",")]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "set")
        megapixels = draw(folder, asked.images)
        run(folder, counts[-1])  # warms the disk's cache and compiles kernels
        walls: dict[int, list[float]] = {count: [] for count in counts}
        cpus: dict[int, list[float]] = {count: [] for count in counts}
        memory: dict[int, float] = dict.fromkeys(counts, 0.0)
        seen: set[str] = set()
        for turn in range(asked.rounds):
            shift = turn % len(counts)
            for count in counts[shift:] + counts[:shift]:
                wall, cpu, megabytes, index = run(folder, count)
                walls[count].append(wall)
                cpus[count].append(cpu)
                memory[count] = max(memory[count], megabytes)
                seen.add(index)
        with_page = run(folder, counts[-1], ["--html", str(Path(place, "page.html"))])
        page = Path(place, "page.html").stat().st_size
    if len(seen) != 1:
        raise SystemExit("the indexes differ, so there is nothing to compare")
    timings = {count: Timing(tuple(walls[count]), tuple(cpus[count])) for count in counts}
    lines, results = [], {}
    for count, timing in timings.items():
        seconds = timing.milliseconds / 1000
        against = ratio(timings[counts[0]], timing)
        rate, cpu = asked.images / seconds, min(timing.cpu)
        lines.append(
            [
                str(count),
                f"{seconds:.2f}",
                f"{rate:.1f}",
                f"{cpu:.2f}",
                f"{memory[count]:.0f}",
                str(against),
            ]
        )
        results[str(count)] = {
            "seconds": timing.wall,
            "cpu_seconds": timing.cpu,
            "images_per_second": rate,
            "largest_process_mb": memory[count],
            "speed_against_first": against.middle,
        }
    print(
        table(
            ["workers", "seconds", "images/s", "CPU s", "largest MB", f"speed / {counts[0]}"], lines
        )
    )
    print(
        f"{asked.images} images, {megapixels:.0f} megapixels, the same index by all; "
        f"with a page of {page / 1e6:.1f} MB {with_page[0]:.2f} s"
    )
    write_results(
        asked.json,
        {
            "images": asked.images,
            "megapixels": megapixels,
            "workers": results,
            "with_page": {"seconds": with_page[0], "megabytes": page / 1e6},
        },
    )


if __name__ == "__main__":
    main()
