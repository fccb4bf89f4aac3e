"""Draw the pictures of docs/accuracy.md: `python -m bench.accuracy_pictures [-o docs/images]`.

`reliability.svg` from the judge's document, `accuracy_curves.svg` from the results of
`python -m bench.accuracy --only curves`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.accuracy_tables import AXES, JUDGE
from bench.machine import RESULTS

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
_INK, _SECOND, _PALE = "#1f4e79", "#c55a11", "#999999"


def reliability(judge: Mapping[str, Any], path: Path) -> None:
    """Share of forged images over the score, where one image in two is forged."""
    from matplotlib.figure import Figure

    found = judge["reliability"]
    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_PALE, linewidth=1, linestyle="--")
    scores, shares, counts = (
        [one[key] for one in found["bins"]] for key in ("score", "forged", "images")
    )
    axes.plot(scores, shares, "o-", color=_INK)
    for x, y, count in zip(scores, shares, counts, strict=True):
        axes.annotate(str(count), (x, y), (6, -10), textcoords="offset points", fontsize=7)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="score", ylabel="share of forged images")
    axes.set_title(
        f"out of fold; error {found['expected_calibration_error']:.3f}",
        fontsize=9,
    )
    _save(figure, path)


def curves(found: Mapping[str, Any], path: Path) -> None:
    """Recall, with its 95 % interval, and pixel F1 over one change at a time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.6), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True).ravel()
    for axes, (name, points) in zip(panels, found["curves"].items(), strict=True):
        points = [point for point in points if point["forged"]]
        at = [point["at"] for point in points]
        bounds = [point["recall_interval"] for point in points]
        low, high = [b[0] for b in bounds], [b[1] for b in bounds]
        axes.fill_between(at, low, high, color=_INK, alpha=0.15, linewidth=0)
        axes.plot(at, [point["recall"] for point in points], "o-", color=_INK, label="recall")
        axes.plot(at, [point["f1"] for point in points], "s--", color=_SECOND, label="pixel F1")
        axes.set(ylim=(-0.02, 1.02), xlabel=f"{name}: {AXES[name]}")
        if name == "mirror":
            axes.set_xticks([0, 1])
    panels[0].legend(loc="lower left", fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """As SVG without a date, so that the same figures give the same file."""
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "forge", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Draw what there are results of."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=IMAGES, metavar="DIR")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--judge", type=Path, default=JUDGE, metavar="FILE")
    asked = parser.parse_args()
    sources = (
        (asked.judge, "reliability", reliability, "reliability.svg"),
        (asked.results / "accuracy-curves.json", "curves", curves, "accuracy_curves.svg"),
    )
    for file, key, draw, name in sources:
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if key in found:
            draw(found, asked.output / name)
            print(asked.output / name)
        else:
            print(f"{name}: {file.name} holds no {key}")


if __name__ == "__main__":
    main()
