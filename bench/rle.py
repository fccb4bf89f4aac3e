"""Run-length coding against what people use, one thread.

    python -m bench.rle [--rounds N] [--json FILE]

Every time is a median; every ratio is the median, over interleaved rounds, of a contender's time
over ours in the same round, with its quartiles. Prints nothing but an error if results differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from bench.machine import arguments, paired, ratio, table, write_results
from bench.masks import MASKS, SIDES, mask
from kernels import rle

Mask = NDArray[np.uint8]


def numpy_differences(pixels: Mask) -> NDArray[np.int64]:
    """The NumPy recipe: where neighbours in the flattening differ."""
    flat = np.concatenate([[0], pixels.flatten(order="F"), [0]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1)


def _loop(flat: Mask) -> list[int]:
    numbers: list[int] = []
    last = -2
    for index in np.where(flat == 1)[0]:
        if index > last + 1:
            numbers.append(index + 1)
            numbers.append(0)
        numbers[-1] += 1
        last = index
    return numbers


_notebook_loop: Any = numba.njit(_loop)


def notebook_encode(pixels: Mask) -> list[int]:
    """The notebook recipe: flatten the transpose, walk over all set pixels, compiled by numba."""
    numbers: list[int] = _notebook_loop(pixels.T.flatten())
    return numbers


def notebook_text(pixels: Mask) -> str:
    """The notebook recipe from mask to text."""
    return json.dumps([int(number) for number in notebook_encode(pixels)])


def json_text(runs: NDArray[np.int64]) -> str:
    """Text by way of a Python list."""
    numbers = runs.copy()
    numbers[:, 0] += 1
    return json.dumps(numbers.ravel().tolist())


def json_runs(text: str) -> NDArray[np.int64]:
    """Runs by way of a Python list."""
    numbers = np.array(json.loads(text), np.int64).reshape(-1, 2)
    numbers[:, 0] -= 1
    return numbers


def contenders(pixels: Mask) -> dict[str, dict[str, Callable[[], object]]]:
    """What to time, by task; the first of each task is ours."""
    by_column = np.asfortranarray(pixels)
    runs = rle.encode(pixels)
    text = rle.to_text(runs)
    coded = coco.encode(by_column)
    same = (
        np.array_equal(rle.encode(by_column), runs)
        and np.array_equal(numpy_differences(pixels), runs)
        and np.array_equal(rle.decode(runs, pixels.shape), pixels)
        and np.array_equal(coco.decode(coded), pixels)
        and json_text(runs) == text == notebook_text(pixels)
        and np.array_equal(json_runs(text), rle.from_text(text))
        and np.array_equal(rle.from_text(text), runs)
    )
    if not same:
        raise SystemExit("the contenders disagree")
    return {
        "encode, rows in memory": {
            "forge": lambda: rle.encode(pixels),
            "pycocotools, after asfortranarray": lambda: coco.encode(np.asfortranarray(pixels)),
            "numpy differences": lambda: numpy_differences(pixels),
            "notebook loop (numba)": lambda: notebook_encode(pixels),
            "copy of the mask (limit)": lambda: pixels.copy(),
        },
        "encode, columns in memory": {
            "forge": lambda: rle.encode(by_column),
            "pycocotools": lambda: coco.encode(by_column),
            "copy of the mask (limit)": lambda: by_column.copy(order="F"),
        },
        "decode": {
            "forge": lambda: rle.decode(runs, (pixels.shape[0], pixels.shape[1])),
            "pycocotools": lambda: coco.decode(coded),
            "copy of the mask (limit)": lambda: pixels.copy(),
        },
        "mask to text": {
            "forge": lambda: rle.to_text(rle.encode(pixels)),
            "notebook loop and json": lambda: notebook_text(pixels),
        },
        "runs to text": {
            "forge": lambda: rle.to_text(runs),
            "json": lambda: json_text(runs),
        },
        "text to runs": {
            "forge": lambda: rle.from_text(text),
            "json": lambda: json_runs(text),
        },
    }


def measure(rounds: int) -> list[dict[str, Any]]:
    """One record per mask, task and contender."""
    records = []
    for side in SIDES:
        for name in MASKS:
            pixels = mask(name, side)
            for task, work in contenders(pixels).items():
                timings = paired(work, rounds=rounds)
                for contender, timing in timings.items():
                    over = ratio(timing, timings["forge"])
                    records.append(
                        {
                            "side": side,
                            "mask": name,
                            "task": task,
                            "contender": contender,
                            "milliseconds": timing.milliseconds,
                            "gigabytes_per_second": pixels.size / timing.milliseconds / 1e6,
                            "times_ours": [over.low, over.middle, over.high],
                            "shown": str(over),
                        }
                    )
    return records


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__, "rle")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    records = measure(options.rounds)
    for side in SIDES:
        for name in MASKS:
            rows = [
                [
                    f"{record['task']}: {record['contender']}",
                    f"{record['milliseconds']:.3f}",
                    f"{record['gigabytes_per_second']:.2f}",
                    record["shown"],
                ]
                for record in records
                if (record["side"], record["mask"]) == (side, name)
            ]
            print(f"{side} x {side}, {name}\n")
            print(table(["", "ms", "GB/s of mask", "times ours"], rows), end="\n\n")
    write_results(options.json, {"threads": 1, "rounds": options.rounds, "records": records})


if __name__ == "__main__":
    main()
