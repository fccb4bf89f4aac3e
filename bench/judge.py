"""Fit the judge of the match detector: `python -m bench.judge [--forgeries N] [--samples FILE]`.

Forgeries are made from the images to fit on (`bench.sources`); each is searched, and so is its
authentic twin, and so are authentic images of every kind, and others on which look-alikes were
drawn (`bench.drawn`). Boosted trees are fitted to what is a copy among the candidates. The image
score is calibrated on out-of-fold sums, and so are the thresholds by false-positive rate and kind
of image; images that were drawn on count for the trees alone. Sources are put into folds first, and
each forgery is made from those of one fold; those made of images with dust on the optics are left
out.
Writes forgecli/match/judge.json and prints what it is worth. With --samples, what was searched is
kept as it grows: a run that was stopped goes on, and the next fit takes a minute. Samples of other
settings, features or source images are refused.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.judge_collect import collect
from bench.judge_fit import fit
from bench.machine import table
from bench.sources import DUSTY

TARGET = Path(__file__).resolve().parents[1] / "forgecli" / "match" / "judge.json"


def report(document: dict[str, Any]) -> str:
    """What a judge is worth, as tables."""
    points, calibration = document["operating_points"], document["reliability"]
    operating = [
        [kind, str(points["authentic_images"][kind]), f"{100 * rate:g}",
         f"{points['thresholds'][kind][number]:.4f}", _share(points["recall"][kind][number])]
        for kind in points["thresholds"]
        for number, rate in enumerate(points["rates"])
    ]  # fmt: skip
    reliable = [
        [f"{one['score']:.3f}", f"{one['forged']:.3f}", str(one["images"])]
        for one in calibration["bins"]
    ]
    known = {key: document[key] for key in ("fitted_on", "drawn", "importance")}
    return "\n\n".join(
        (
            json.dumps(known, indent=1),
            table(("kind", "authentic", "FPR %", "threshold", "recall"), operating),
            table(("mean score", "forged (one in two)", "images"), reliable),
            f"expected calibration error {calibration['expected_calibration_error']:.3f}, "
            f"at a prior of {document['prior']:g}; without any candidate "
            f"{calibration['without_candidate']['forged']} forged and "
            f"{calibration['without_candidate']['authentic']} authentic images",
        )
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    """Search or read, fit, write, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--forgeries", type=int, default=400)
    parser.add_argument("--per-kind", type=int, default=60, help="authentic images of each kind")
    parser.add_argument("--drawn", type=int, default=160, help="images with drawn look-alikes")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--samples",
        type=Path,
        metavar="FILE.npz",
        help="keep samples here, and go on from there",
    )
    parser.add_argument("--output", type=Path, default=TARGET)
    asked = parser.parse_args()
    samples = collect(
        asked.forgeries, asked.per_kind, asked.seed, asked.workers, asked.samples, asked.drawn
    )
    document = fit(samples.without_forgeries_of(DUSTY))
    text = json.dumps(document, separators=(",", ":"))
    asked.output.write_text(text + "\n", encoding="utf-8")
    print(report(document))


if __name__ == "__main__":
    main()
