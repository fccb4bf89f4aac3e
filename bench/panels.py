"""How well figures are laid out: `python -m bench.panels [--figures N] [--most N] [--fit]`.

- Compound figures of known layout, made by `forge synth` from sources that nothing was fitted on:
  how well each panel is met, and how many are cut up or not parted.
- Single images of the same sources: how many stay whole.
- The kind of picture, against the kind of the source, as a table of confusion.
- CPU seconds per megapixel.

`--fit` fits the kinds first, on the images that may be fitted on, and writes
forgecli/match/kinds.json. `--part fitted` measures on those images instead.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.kinds import fit, kind_of_source, read_all
from bench.layouts import Figure, figures
from bench.machine import arguments, table, write_results
from bench.sources import authentic_files, photographs
from forgecli.match.agreement import Window
from forgecli.match.kinds import KINDS
from forgecli.match.panels import Layout, find_layout
from forgecli.match.settings import MatchSettings
from forgecli.synth.sources import SourceFile


def overlap_of(first: Window, second: Window) -> float:
    """Intersection over union of two windows."""
    shared = _shared(first, second)
    return shared / max(_area(first) + _area(second) - shared, 1)


def _area(window: Window) -> int:
    return window.width * window.height


def _shared(first: Window, second: Window) -> int:
    wide = min(first.right, second.right) - max(first.left, second.left)
    tall = min(first.bottom, second.bottom) - max(first.top, second.top)
    return max(0, wide) * max(0, tall)


@dataclass(frozen=True, slots=True)
class Met:
    """How one figure's panels were met.

    Attributes:
        overlaps: for each true panel, the IoU of the found panel that was assigned to it.
        cut_up: true panels that hold two found panels or more.
        not_parted: found panels that hold two true panels or more.
        found: number of panels found.
        right_kind: of the panels met with IoU > 0.5, how many have the right kind.
        met: how many those are.
    """

    overlaps: tuple[float, ...]
    cut_up: int
    not_parted: int
    found: int
    right_kind: int
    met: int


def compared(figure: Figure, layout: Layout) -> Met:
    """Compare a layout with the true one, panels assigned so that the sum of IoU is largest."""
    ious = np.array([[overlap_of(a, b) for b in layout.panels] for a in figure.panels])
    rows, columns = linear_sum_assignment(-ious)
    overlaps = np.zeros(len(figure.panels))
    overlaps[rows] = ious[rows, columns]
    pairs = [(a, b) for a, b in zip(rows, columns, strict=True) if ious[a, b] > 0.5]
    kinds = getattr(layout, "kinds", ()) or ("photograph",) * len(layout.panels)
    return Met(
        tuple(overlaps.tolist()),
        sum(_held(panel, layout.panels) > 1 for panel in figure.panels),
        sum(_held(panel, figure.panels) > 1 for panel in layout.panels),
        len(layout.panels),
        sum(figure.kinds[a] == kinds[b] for a, b in pairs),
        len(pairs),
    )


def _held(panel: Window, others: Sequence[Window]) -> int:
    """How many others lie in a panel with more than half of themselves; insets do not count."""
    return sum(
        2 * _shared(panel, other) > _area(other) and _area(panel) < 20 * _area(other)
        for other in others
        if not any(other is not host and _shared(host, other) == _area(other) for host in others)
    )


def laid_out(pixels: NDArray[np.uint8], settings: MatchSettings) -> Layout:
    """The layout of an RGB image, uint8 (H, W, 3)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return find_layout(grey, settings, pixels)


def measure_figures(
    made: Sequence[Figure], lay_out: Callable[[NDArray[np.uint8]], Layout]
) -> dict[str, dict[str, float]]:
    """By layout and over all: how the panels were met."""
    met: dict[str, list[Met]] = defaultdict(list)
    for figure in made:
        one = compared(figure, lay_out(figure.pixels))
        met[figure.layout].append(one)
        met["all"].append(one)
    return {name: _summary(members) for name, members in met.items()}


def _summary(members: Sequence[Met]) -> dict[str, float]:
    overlaps = [value for one in members for value in one.overlaps]
    return {
        "figures": len(members),
        "panels": len(overlaps),
        "mean_iou": round(mean(overlaps), 4),
        "over_0.8": round(mean(value > 0.8 for value in overlaps), 4),
        "found": sum(one.found for one in members),
        "cut_up": sum(one.cut_up for one in members),
        "not_parted": sum(one.not_parted for one in members),
        "right_kind": round(
            sum(one.right_kind for one in members) / max(sum(one.met for one in members), 1), 4
        ),
    }


def measure_singles(files: Sequence[SourceFile], most: int, settings: MatchSettings) -> Any:
    """Confusion of kinds by kind of source, single images that were split, and CPU seconds."""
    confusion: dict[str, Counter[str]] = defaultdict(Counter)
    split: list[str] = []
    wrong: list[str] = []
    seconds, pixels_seen, single, right = 0.0, 0, 0, 0
    for file, pixels in read_all(files, most):
        started = time.process_time()
        layout = laid_out(pixels, settings)
        seconds += time.process_time() - started
        pixels_seen += pixels.shape[0] * pixels.shape[1]
        said = largest_kind(layout)
        confusion[file.kind][said] += 1
        if said == kind_of_source(file):
            right += 1
        else:
            wrong.append(f"{file.name} {said}")
        if kind_of_source(file) != "drawing":
            single += 1
            if len(layout.panels) > 1:
                split.append(f"{file.name} {len(layout.panels)}")
    total = sum(sum(row.values()) for row in confusion.values())
    return {
        "images": total,
        "right_kind": round(right / max(total, 1), 4),
        "confusion": {kind: {said: row[said] for said in KINDS} for kind, row in confusion.items()},
        "wrong": wrong,
        "single_images": single,
        "split": split,
        "cpu_seconds_per_megapixel": round(seconds / max(pixels_seen, 1) * 1e6, 4),
        "megapixels": round(pixels_seen / 1e6, 1),
    }


def largest_kind(layout: Layout) -> str:
    """The kind of most of a figure's area."""
    areas: Counter[str] = Counter()
    for panel, kind in zip(layout.panels, layout.kinds, strict=True):
        areas[kind] += panel.width * panel.height
    return areas.most_common(1)[0][0]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, "panels")
    parser.add_argument("--figures", type=int, default=105, help="compound figures")
    parser.add_argument("--most", type=int, default=30, help="authentic images of each source")
    parser.add_argument("--part", choices=("held-out", "fitted"), default="held-out")
    parser.add_argument("--fit", action="store_true", help="fit the kinds first")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    settings = MatchSettings()
    fitted, held_out = authentic_files()
    if options.fit:
        target = Path(__file__).resolve().parents[1] / "forgecli" / "match" / "kinds.json"
        target.write_text(json.dumps(fit(fitted), separators=(",", ":")) + "\n", encoding="utf-8")
    files = held_out if options.part == "held-out" else fitted
    made = list(figures([*photographs(files), *_graphs(files)], options.figures, 91))
    met = measure_figures(made, lambda pixels: laid_out(pixels, settings))
    print(table(HEADER, [_line(name, row) for name, row in met.items()]))
    parts = {
        name: measure_singles(part, options.most, settings)
        for name, part in (("held out", held_out), ("fitted on", fitted))
    }
    for name, said in parts.items():
        print()
        rows = [
            [kind, *(str(row[each]) for each in KINDS)] for kind, row in said["confusion"].items()
        ]
        print(table([f"{name}: source", *KINDS], rows))
        print(
            f"{said['right_kind']:.1%} of {said['images']} of the right kind;"
            f" {len(said['split'])} of {said['single_images']} single images split;"
            f" {said['cpu_seconds_per_megapixel']:.3f} CPU-s/Mpx"
        )
    write_results(options.json, {"part": options.part, "figures": met, "images": parts})


HEADER = ("layout", "figures", "panels", "IoU", "> 0.8", "found", "cut up", "not parted", "kind")


def _line(name: str, row: dict[str, float]) -> list[str]:
    return [
        name,
        *(f"{row[key]:.0f}" for key in ("figures", "panels")),
        *(f"{row[key]:.3f}" for key in ("mean_iou", "over_0.8")),
        *(f"{row[key]:.0f}" for key in ("found", "cut_up", "not_parted")),
        f"{row['right_kind']:.3f}",
    ]


def _graphs(files: Sequence[SourceFile]) -> list[SourceFile]:
    return [file for file in files if file.kind == "graph"]


if __name__ == "__main__":
    main()
