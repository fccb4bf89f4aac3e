"""The program itself on whole data sets: `forge truth`, `forge predict`, `forge score`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.accuracy_measure import interval
from bench.programs import forge
from bench.sources import photographs, spread
from forgecli.synth import Recipe
from forgecli.synth.dataset import Job, write_dataset
from forgecli.synth.sources import SourceFile

SEED = 2027


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


def measured(name: str, dataset: Path, work: Path) -> Outcome:
    """Truth, prediction and score of one data set, through the command line."""
    truth, ours = work / f"{name}-truth.csv", work / f"{name}.csv"
    images = dataset / "train_images"
    forge("truth", images, "-o", truth, "--id-from", "path")
    said = json.loads(forge("predict", images, "-o", ours, "--id-from", "path", "--json"))
    scored = json.loads(forge("score", ours, truth, "--json"))
    return Outcome(name, scored, said["seconds"] / max(said["images"], 1))


def synthetic(files: list[SourceFile], count: int, work: Path) -> Path:
    """A data set of forgeries and their twins made from the given images."""
    folder = work / "synthetic"
    job = Job(photographs(files), Recipe(), seed=SEED, folder=folder)
    for _ in write_dataset(job, count, workers=2):
        pass
    return folder


def set_figures(outcomes: Sequence[Outcome], cases: int) -> dict[str, Any]:
    """The document of the sets."""
    return {
        "seed": SEED,
        "synthetic_cases": cases,
        "sets": [
            {"name": o.name, "score": o.said, "seconds_per_image": round(o.seconds, 3)}
            for o in outcomes
        ],
    }


def flagged_by_kind(
    files: list[SourceFile], most: int, work: Path, name: str
) -> dict[str, dict[str, Any]]:
    """For each kind of authentic image: flagged, looked at, the rate's interval, seconds."""
    kinds: dict[str, list[SourceFile]] = defaultdict(list)
    for file in spread(files, most):
        kinds[file.kind].append(file)
    result = {}
    for kind, members in sorted(kinds.items()):
        listing = work / f"{name}-{kind}.txt"
        listing.write_text("".join(f"{file.path}\n" for file in members), encoding="utf-8")
        out = work / f"{name}-{kind}.csv"
        said = json.loads(forge("predict", f"@{listing}", "-o", out, "--json"))
        result[kind] = _alarms(said["flagged"], said["images"], said["seconds"])
    return result


def _alarms(flagged: int, images: int, seconds: float) -> dict[str, Any]:
    return {
        "flagged": flagged,
        "images": images,
        "interval": interval(flagged, images),
        "seconds_per_image": round(seconds / max(images, 1), 3),
    }


def all_kinds(kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The kinds together."""
    flagged, images = (sum(one[key] for one in kinds.values()) for key in ("flagged", "images"))
    seconds = sum(one["seconds_per_image"] * one["images"] for one in kinds.values())
    return _alarms(flagged, images, seconds)
