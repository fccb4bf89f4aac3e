"""The named systems side by side: `python -m bench.models [--minutes M] [--systems A,B]`.

Trains every system with its own preset for the same wall time on one synthetic set, and those named
by ``--longer`` once more for longer. Then predicts and scores, all through the program itself
(`forge train`, `forge predict`, `forge score`), on

- synthetic forgeries and their authentic twins from sources that the training set does not hold,
- the real forged images and their twins.

Training, validation (where the thresholds come from, by `forge tune`) and test sets share no image.
With `--work DIR` the data and the runs are kept, and a run that was cut short goes on where it
stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import arguments, table, write_results
from bench.programs import forge
from bench.sources import authentic_files, data_folder, photographs
from forgecli.score.annotation import read_annotation
from forgecli.score.rows import read_rows
from forgecli.score.truth import read_truth
from forgecli.synth import Recipe
from forgecli.synth.dataset import Job, write_dataset
from forgecli.synth.sources import SourceFile
from kernels.overlap import f1, union
from kernels.rle import Runs

ENCODER = "tu-tf_efficientnet_lite0"
"""The only encoder whose ImageNet weights come as a package, so that anyone gets the same."""

PRETRAINED = ("--encoder", ENCODER, "--encoder-weights", "imagenet")

SYSTEMS: dict[str, tuple[str, ...]] = {
    "simple-cnn": (),
    "dual-stream": (),
    "unet": PRETRAINED,
    "unet++": PRETRAINED,
    "deeplabv3+": PRETRAINED,
    "segformer": PRETRAINED,
    "dual-stream on an encoder": PRETRAINED,
    "mask-rcnn": PRETRAINED,
    "faster-rcnn": PRETRAINED,
    "copy-attend": PRETRAINED,
}
"""Options of `forge train` beside the model's name, which is the first word."""

FUSED = "copy-attend"
"""The network that `fused` asks where the matches are silent."""

UNTRAINED = ("match", "fused")
"""Systems that need no training of their own; `fused` comes after its network."""

SIZES = {"simple-cnn": "256", "dual-stream": "256"}
"""Where the published system fixes the size, it is kept."""


LONGER = " for longer"
"""What the name of a second, longer run of a system ends in."""


@dataclass(frozen=True, slots=True)
class TestSet:
    """A data set with its truth file."""

    name: str
    images: Path
    truth: Path


def synthetic(files: list[SourceFile], count: int, seed: int, folder: Path) -> Path:
    """A data set of forgeries and twins; goes on with one that was begun."""
    job = Job(photographs(files), Recipe(), seed=seed, folder=folder)
    for _ in write_dataset(job, count, workers=len(os.sched_getaffinity(0))):
        pass
    return folder


def is_for_validation(file: SourceFile) -> bool:
    """Whether an image that may be fitted on is kept for validation: a fifth of them."""
    return int(hashlib.sha256(file.name.encode()).hexdigest(), 16) % 5 == 0


def test_sets(held_out: list[SourceFile], cases: int, work: Path) -> list[TestSet]:
    """The synthetic test set and the two real ones."""
    data = data_folder()
    folders = {
        "synthetic": synthetic(held_out, cases, 2027, work / "test"),
        "competition": data / "competition",
        "competition_semi": data / "competition_semi",
    }
    sets = []
    for name, folder in folders.items():
        images, truth = folder / "train_images", work / f"{name}-truth.csv"
        forge("truth", images, "-o", truth, "--id-from", "path", "--overwrite")
        sets.append(TestSet(name, images, truth))
    return sets


def union_dice(submission: Path, truth: Path) -> float:
    """Mean Dice of all predicted pixels with all true ones over forged images; silence is 0."""
    texts = {row.case_id: row.values[0] for row in read_rows(submission, ["annotation"])}
    images, _ = read_truth(truth)
    forged = [image for image in images.values() if image.instances]
    values = []
    for image in forged:
        predicted = read_annotation(texts[image.case_id], image.shape)
        values.append(f1(joined(predicted), joined(image.instances)))
    return sum(values) / max(len(values), 1)


def joined(instances: Sequence[Runs]) -> Runs:
    """The pixels of any instance."""
    return reduce(union, instances, np.empty((0, 2), np.int64))


def scored(test: TestSet, name: str, work: Path, *options: str | Path) -> dict[str, Any]:
    """Predict one set and score it."""
    out = work / f"{name.replace(' ', '-')}-{test.name}.csv"
    common = (test.images, "-o", out, "--id-from", "path", "--json", "--overwrite")
    said = json.loads(forge("predict", *common, *options))
    score = json.loads(forge("score", out, test.truth, "--json"))
    return {
        "score": score["overall"]["score"],
        "all_authentic": score["overall"]["all_authentic"],
        "forged_only": score["forged"]["score"],
        "false_positive_rate": score["image_level"]["false_positive_rate"],
        "recall": score["image_level"]["recall"],
        "dice": union_dice(out, test.truth),
        "images_per_second": said["images"] / max(said["seconds"], 1e-9),
    }


def minutes_of(name: str, options: Any) -> float:
    """How long a row's system is trained."""
    longer: float = options.longer.get(name.removesuffix(LONGER), options.minutes)
    return longer if name.endswith(LONGER) else float(options.minutes)


def trained(name: str, options: Any, work: Path) -> tuple[dict[str, Any], Path]:
    """Train one system and find its thresholds; what the two commands say, and the checkpoint."""
    run, system = work / "runs" / name.replace(" ", "-"), name.removesuffix(LONGER)
    minutes = minutes_of(name, options)
    said = json.loads(
        forge(
            *("train", "--data", work / "train", "--model", name.split()[0], *SYSTEMS[system]),
            *("--size", SIZES.get(system, str(options.size)), "--minutes", str(minutes)),
            *("--epochs", "10000", "--seed", "1", "--device", options.device, "-o", run),
            *("--precision", options.precision, "--threads", str(options.threads)),
            *("--config", settings_of(system, work), "--json", "--overwrite"),
        )
    )
    said.pop("files", None)  # where they lie is of no use to anybody else
    tune = ["tune", work / "validation", "--model", run / "best.safetensors", "--json"]
    if system == FUSED:
        tune += ["--fused", match_on_validation(work)]
    tuned = json.loads(forge(*tune, "--device", options.device))
    return {"train": said, "tune": tuned}, run / "best.safetensors"


def settings_of(name: str, work: Path) -> Path:
    """What the presets do not know: the validation set, and that the run is short."""
    file = work / f"{name.replace(' ', '-')}.toml"
    lines = ["[data]", f'validation_folder = "{work / "validation"}"', "epoch_samples = 100000"]
    if name not in SIZES:  # published schedules stay as they are
        lines += ["[schedule]", "warmup = 20"]
    if name.endswith("rcnn"):  # a thousand boxes of each picture would take most of the time
        lines += ["[model.arguments]", "proposals = 200"]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def match_on_validation(work: Path) -> Path:
    """What the match detector says of the validation set; looked at once."""
    out = work / "match-on-validation.csv"
    if not out.is_file():
        forge("predict", work / "validation", "-o", out, "--id-from", "path")
    return out


def measured(name: str, tests: Sequence[TestSet], options: Any, work: Path) -> Any:
    """All that is known of one system. Kept in a file, so that it is done once."""
    kept = work / f"{name.replace(' ', '-')}.json"
    passed_by = ("json", "systems", "work", "longer")
    asked = {key: value for key, value in vars(options).items() if key not in passed_by}
    asked["minutes"] = minutes_of(FUSED + LONGER if name == "fused" else name, options)
    if kept.is_file():
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["asked"] == asked:
            return known
    started = time.perf_counter()
    said: dict[str, Any] = {}
    how: tuple[str | Path, ...] = ("--detector", "match")
    if name == "fused":
        asked_of = FUSED + LONGER if FUSED in options.longer else FUSED
        weights = work / "runs" / asked_of.replace(" ", "-") / "best.safetensors"
        how = ("--detector", "fused", "--model", weights, "--device", options.device)
    elif name != "match":
        said, weights = trained(name, options, work)
        how = ("--model", weights, "--device", options.device)
    result = {
        "asked": asked,
        **said,
        "sets": {test.name: scored(test, name, work, *how) for test in tests},
        "minutes": (time.perf_counter() - started) / 60,
    }
    kept.write_text(json.dumps(result), encoding="utf-8")
    print(f"{name}: {result['minutes']:.1f} minutes", file=sys.stderr, flush=True)
    return result


HEADER = ("system", "parameters", "images seen", "waiting", "Dice", "score", "forged only",
          "Dice sent", "FPR", "images/s", "competition", "semi")  # fmt: skip
"""`Dice` is that of forged validation images at the best pixel threshold, flagged or not; `Dice
sent` that of forged test images with what was submitted: nothing where none was flagged."""


def row(name: str, result: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    said, sets = result.get("train"), result["sets"]
    main = sets["synthetic"]
    label = name
    if said and LONGER in name:
        label = f"{name.removesuffix(LONGER)}, {said['seconds'] / 60:.0f} minutes"
    return (
        label,
        f"{said['parameters'] / 1e6:.2f} M" if said else "",
        f"{said['images']}" if said else "",
        f"{100 * said['waiting']:.0f} %" if said else "",
        f"{said['best']['dice_best']:.3f}" if said else "",
        *(f"{main[key]:.3f}" for key in ("score", "forged_only", "dice", "false_positive_rate")),
        f"{main['images_per_second']:.1f}",
        f"{sets['competition']['score']:.3f}",
        f"{sets['competition_semi']['score']:.3f}",
    )


def baseline(results: dict[str, Any]) -> tuple[str, ...]:
    """The line of a submission that says authentic of every image."""
    sets = next(iter(results.values()))["sets"]
    scores = [f"{sets[key]['all_authentic']:.3f}" for key in sets]
    return ("all authentic", "", "", "", "", scores[0], *["0.000"] * 3, "", *scores[1:])


def longer_of(text: str) -> dict[str, float]:
    """Minutes by system, of ``NAME=MINUTES,NAME=MINUTES``."""
    pairs = (one.partition("=") for one in text.split(","))
    return {name.strip(): float(minutes) for name, _, minutes in pairs}


def main() -> None:
    parser = arguments(__doc__, "models")
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each system")
    parser.add_argument("--longer", type=longer_of, default={}, metavar="NAME=MINUTES,...",
                        help="systems to train a second time, for longer")  # fmt: skip
    parser.add_argument("--systems", default=",".join([*SYSTEMS, *UNTRAINED]), help="which of them")
    parser.add_argument("--size", type=int, default=256, help="pixels of the input")
    parser.add_argument("--train-cases", type=int, default=1200, help="synthetic cases")
    parser.add_argument("--validation-cases", type=int, default=80, help="synthetic cases")
    parser.add_argument("--test-cases", type=int, default=100, help="synthetic cases")
    parser.add_argument("--precision", default="bf16", help="of training, by autocast")
    parser.add_argument("--threads", type=int, default=1, help="of the arithmetic, in training")
    parser.add_argument("--device", default="cpu", help="where to train and predict")
    parser.add_argument("--work", type=Path, help="keep data, runs and results here")
    options = parser.parse_args()
    systems = [name.strip() for name in options.systems.split(",")]
    if unknown := [name for name in systems if name not in (*SYSTEMS, *UNTRAINED)]:
        sys.exit(
            f"unknown systems: {', '.join(unknown)}; known: {', '.join([*SYSTEMS, *UNTRAINED])}"
        )
    if unknown := [name for name in options.longer if name not in SYSTEMS]:
        sys.exit(f"cannot be trained for longer: {', '.join(unknown)}")
    rows = [row for name in systems for row in (name, name + LONGER)
            if row == name or name in options.longer]  # fmt: skip
    fitted, held_out = authentic_files()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        learn = [file for file in fitted if not is_for_validation(file)]
        check = [file for file in fitted if is_for_validation(file)]
        synthetic(learn, options.train_cases, 11, work / "train")
        synthetic(check, options.validation_cases, 12, work / "validation")
        tests = test_sets(held_out, options.test_cases, work)
        results = {name: measured(name, tests, options, work) for name in rows}
    print(table(HEADER, [baseline(results), *(row(name, results[name]) for name in rows)]))
    write_results(
        options.json,
        {
            "minutes": options.minutes,
            "longer": options.longer,
            "size": options.size,
            "train_cases": options.train_cases,
            "test_cases": options.test_cases,
            "device": options.device,
            "precision": options.precision,
            "systems": results,
        },
    )


if __name__ == "__main__":
    main()
