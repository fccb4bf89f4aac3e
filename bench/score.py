"""The metric on runs against the metric on masks, and the scoring of a whole submission.

    python -m bench.score [--rounds N] [--rows N] [--json FILE]

Peers: the metric as notebooks compute it, from text through masks; and pycocotools' intersection
over union, of which F1 is a function, on masks that are encoded already. Prints nothing but an
error if the scores differ by more than 1e-9.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.machine import Ratio, arguments, paired, ratio, table, write_results
from bench.programs import FORGE
from forgecli.score.annotation import AUTHENTIC, read_annotation
from forgecli.score.evaluate import evaluate
from forgecli.score.metric import score_image
from forgecli.score.summary import summarise
from kernels.rle import annotation_to_text
from tests.score import mask_metric

SIZES = (((512, 512), 1), ((1500, 2000), 5), ((3000, 4000), 5))
"""Height and width; instances, true as well as predicted."""

Runs = NDArray[np.int64]


def blob(random: np.random.Generator, height: int, width: int) -> Runs:
    """Runs of an ellipse with a rough outline, its axes 4 to 16 % of the image's sides."""
    columns = int(width * random.uniform(0.04, 0.16))
    half = height * random.uniform(0.02, 0.08)
    left = int(random.integers(0, width - columns))
    middle = int(random.integers(int(half) + 4, height - int(half) - 4))
    x = 2 * (np.arange(columns) + 0.5) / columns - 1
    reach = (half * np.sqrt(1 - x * x)).astype(np.int64)
    top = middle - reach + random.integers(-3, 1, columns)
    bottom = middle + reach + random.integers(1, 4, columns)
    return np.stack([(left + np.arange(columns)) * height + top, bottom - top], axis=1)


def moved(runs: Runs, height: int) -> Runs:
    """The same blob some pixels lower and narrower: a prediction that is nearly right."""
    rows = runs[:, 0] % height
    fits = rows + runs[:, 1] + 3 <= height
    shifted = runs[fits].copy()
    shifted[:, 0] += 3
    return shifted[len(shifted) // 10 :]


def one_image(shape: tuple[int, int], count: int) -> tuple[list[Runs], list[Runs]]:
    """True and predicted instances, the predicted ones in another order."""
    random = np.random.default_rng(7)
    true = [blob(random, *shape) for _ in range(count)]
    return true, [moved(runs, shape[0]) for runs in reversed(true)]


def compare(shape: tuple[int, int], count: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of every way to score one image, and how many times ours the peers take."""
    true, predicted = one_image(shape, count)
    text = annotation_to_text(true), annotation_to_text(predicted)
    coco = _coco(true, shape), _coco(predicted, shape)
    ways: dict[str, Callable[[], float]] = {
        "masks, from text": lambda: mask_metric.score(*text, shape),
        "ours, from text": lambda: score_image(
            read_annotation(text[0], shape), read_annotation(text[1], shape)
        ),
        "pycocotools, encoded": lambda: _coco_score(*coco),
        "ours, encoded": lambda: score_image(true, predicted),
    }
    scores = {name: way() for name, way in ways.items()}
    if max(scores.values()) - min(scores.values()) > 1e-9:
        sys.exit(f"the scores differ, so there is nothing to compare: {scores}")
    timings = paired(ways, rounds=rounds, least=0.01)
    against = {
        "masks, from text": "ours, from text",
        "pycocotools, encoded": "ours, encoded",
    }
    return {
        "height": shape[0],
        "width": shape[1],
        "instances": count,
        "score": scores["ours, encoded"],
        "ms": {name: timing.milliseconds for name, timing in timings.items()},
        "times_ours": {
            peer: asdict(ratio(timings[peer], timings[ours])) for peer, ours in against.items()
        },
    }


def whole_submission(rows: int, rounds: int) -> dict[str, Any]:
    """Seconds to score a submission of half authentic images, from files to summary."""
    random = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as folder:
        submission, truth = Path(folder, "sub.csv"), Path(folder, "gt.csv")
        _write_submission(submission, truth, rows, random)
        command = [*FORGE, "score", str(submission), str(truth)]
        timings = paired(
            {
                "in process": lambda: summarise(evaluate(submission, truth)),
                "program": lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL),
            },
            rounds=rounds,
        )
        size = submission.stat().st_size + truth.stat().st_size
    return {
        "rows": rows,
        "megabytes": size / 1e6,
        "seconds": timings["in process"].milliseconds / 1e3,
        "seconds_with_start": timings["program"].milliseconds / 1e3,
    }


def _write_submission(
    submission: Path, truth: Path, rows: int, random: np.random.Generator
) -> None:
    with submission.open("w", newline="") as sub, truth.open("w", newline="") as true:
        predictions, truths = csv.writer(sub), csv.writer(true)
        predictions.writerow(["case_id", "annotation"])
        truths.writerow(["case_id", "annotation", "shape"])
        for case_id in range(rows):
            height, width = (int(side) for side in random.integers(500, 1600, 2))
            count = 0 if case_id % 2 else int(random.choice([1, 2, 3], p=[0.68, 0.26, 0.06]))
            runs = [blob(random, height, width) for _ in range(count)]
            label = annotation_to_text(runs) or AUTHENTIC
            found = annotation_to_text(moved(part, height) for part in runs) or AUTHENTIC
            truths.writerow([case_id, label, f"[{height}, {width}]"])
            predictions.writerow([case_id, found])


def _coco(instances: Sequence[Runs], shape: tuple[int, int]) -> list[Any]:
    """The instances as pycocotools encodes them; it is column-major as well."""
    from pycocotools import mask as coco

    text = [annotation_to_text([runs]) for runs in instances]
    planes = [np.asfortranarray(mask_metric.decode(part, shape)) for part in text]
    return [coco.encode(plane) for plane in planes]


def _coco_score(true: list[Any], predicted: list[Any]) -> float:
    """The metric on intersection over union, of which F1 is a function."""
    from pycocotools import mask as coco

    iou = coco.iou(predicted, true, [0] * len(true))
    f1 = 2 * iou / (1 + iou)
    return float(f1[linear_sum_assignment(-f1)].sum() / max(f1.shape))


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__, "score")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=5000)
    options = parser.parse_args()
    images = [compare(shape, count, options.rounds) for shape, count in SIZES]
    submission = whole_submission(options.rows, options.rounds)
    rows = []
    for image in images:
        count = image["instances"]
        size = f"{image['width']} x {image['height']}, {count} x {count} instances"
        for name, milliseconds in image["ms"].items():
            times = image["times_ours"].get(name)
            peer = str(Ratio(**times)) if times else ""
            rows.append([f"{size}: {name}", f"{milliseconds:.3f}", peer])
    print(table(["one image", "ms", "times ours (quartiles)"], rows))
    print(
        f"\n{submission['rows']} rows, {submission['megabytes']:.1f} MB: "
        f"{submission['seconds']:.2f} s, {submission['seconds_with_start']:.2f} s with the start "
        "of the program"
    )
    write_results(options.json, {"images": images, "submission": submission})


if __name__ == "__main__":
    main()
