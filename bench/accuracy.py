"""How right `forge predict` is: `python -m bench.accuracy [--most N] [--forgeries N]`.

Runs the program itself (`forge truth`, `forge predict`, `forge score`) on

- the real forged images and their authentic twins,
- forgeries made from sources that nothing was fitted on, with their authentic twins,
- authentic images of every kind, those the judge was fitted on and those it was not apart,

and prints the score beside two trivial submissions, all authentic and the whole image, with the
false-positive rate and the seconds per image.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import arguments, table, write_results
from bench.sources import authentic_files, data_folder, photographs, spread
from forgecli.synth import Recipe
from forgecli.synth.dataset import Job, write_dataset
from forgecli.synth.sources import SourceFile

FORGE = [sys.executable, "-c", "from forgecli.app import main; main()"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One data set with a truth, scored.

    Attributes:
        said: what `forge score --json` says.
        seconds: per image, wall time with the workers of the run.
    """

    name: str
    said: dict[str, Any]
    seconds: float


def forge(*arguments: str | Path) -> str:
    """Run the program; what it printed. Inputs that failed are no error here: they have a row."""
    done = subprocess.run(
        [*FORGE, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode not in (0, 3):
        sys.exit(f"forge {' '.join(map(str, arguments))} ended with {done.returncode}")
    return done.stdout


def measured(name: str, dataset: Path, work: Path, *truth_options: str) -> Outcome:
    """Truth, prediction and score of one data set, through the command line."""
    truth, ours = work / f"{name}-truth.csv", work / f"{name}.csv"
    images = dataset / "train_images"
    forge("truth", images, "-o", truth, "--id-from", "path", *truth_options)
    said = json.loads(forge("predict", images, "-o", ours, "--id-from", "path", "--json"))
    scored = json.loads(forge("score", ours, truth, "--json"))
    return Outcome(name, scored, said["seconds"] / max(said["images"], 1))


def synthetic(files: list[SourceFile], count: int, work: Path) -> Path:
    """A data set of forgeries and their twins made from the given images."""
    folder = work / "synthetic"
    job = Job(photographs(files), Recipe(), seed=2027, folder=folder)
    for _ in write_dataset(job, count, workers=2):
        pass
    return folder


def flagged_by_kind(
    files: list[SourceFile], most: int, work: Path, name: str
) -> dict[str, tuple[int, int, float]]:
    """For each kind of authentic image: flagged, looked at, seconds per image."""
    kinds: dict[str, list[SourceFile]] = defaultdict(list)
    for file in spread(files, most):
        kinds[file.kind].append(file)
    result = {}
    for kind, members in sorted(kinds.items()):
        listing = work / f"{name}-{kind}.txt"
        listing.write_text("".join(f"{file.path}\n" for file in members), encoding="utf-8")
        out = work / f"{name}-{kind}.csv"
        said = json.loads(forge("predict", f"@{listing}", "-o", out, "--json"))
        result[kind] = (said["flagged"], said["images"], said["seconds"] / max(said["images"], 1))
    return result


def main() -> None:
    parser = arguments(__doc__, "accuracy")
    parser.add_argument("--most", type=int, default=15, help="authentic images of each kind")
    parser.add_argument("--forgeries", type=int, default=60, help="synthetic cases")
    options = parser.parse_args()
    data = data_folder()
    fitted, held_out = authentic_files()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        outcomes = [
            measured("competition", data / "competition", work),
            measured("competition_semi", data / "competition_semi", work),
            measured("synthetic", synthetic(held_out, options.forgeries, work), work),
        ]
        kinds = {
            "held out": flagged_by_kind(held_out, options.most, work, "held-out"),
            "fitted on": flagged_by_kind(fitted, options.most, work, "fitted"),
        }
    print(table(HEADER, [row for outcome in outcomes for row in rows_of(outcome)]))
    print()
    print(table(("authentic images", "kind", "flagged", "of", "%", "s/image"), kind_rows(kinds)))
    write_results(
        options.json,
        {
            "authentic_images_of_each_kind": options.most,
            "synthetic_cases": options.forgeries,
            "sets": [
                {"name": o.name, "score": o.said, "seconds_per_image": round(o.seconds, 3)}
                for o in outcomes
            ],
            "authentic": kinds,
        },
    )


HEADER = ("set", "submission", "score", "forged only", "precision", "recall", "FPR", "s/image")


def rows_of(outcome: Outcome) -> list[tuple[str, ...]]:
    """The lines of one data set in the table: ours and the two that look at no image."""
    overall, forged = outcome.said["overall"], outcome.said["forged"]
    level = outcome.said["image_level"]
    flags = [level[key] for key in ("precision", "recall", "false_positive_rate")]
    ours = [_text(value) for value in (overall["score"], forged["score"], *flags)]
    return [
        (outcome.name, "forge", *ours, f"{outcome.seconds:.2f}"),
        *(
            (outcome.name, name, _text(overall[key]), _text(forged[key]), "", "", "", "")
            for name, key in (("all authentic", "all_authentic"), ("whole image", "whole_image"))
        ),
    ]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def kind_rows(kinds: dict[str, dict[str, tuple[int, int, float]]]) -> list[tuple[str, ...]]:
    """The lines of the table of authentic images."""
    lines = []
    for part, members in kinds.items():
        for kind, (flagged, images, seconds) in members.items():
            share = 100.0 * flagged / max(images, 1)
            lines.append((part, kind, str(flagged), str(images), f"{share:.1f}", f"{seconds:.2f}"))
        flagged = sum(entry[0] for entry in members.values())
        images = sum(entry[1] for entry in members.values())
        share = 100.0 * flagged / max(images, 1)
        lines.append((part, "all", str(flagged), str(images), f"{share:.1f}", ""))
    return lines


if __name__ == "__main__":
    main()
