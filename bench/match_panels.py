"""Would a shortlist of panels pay? `python -m bench.match --panels`

Keypoints are compared all against all in the whole figure. A shortlist by a global descriptor of
every panel would spare comparisons between most pairs of panels, and would miss a pair where a
part is shown again, for a part changes the descriptor of its panel. So here is what comparing
costs, over the number of panels: the most that a shortlist could save. Figures are composed of
images that may be fitted on, one panel of each is shown again in the place of another by the ways
of `forge synth`, and the pair is searched for as in any figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.judge_collect import overlap_with
from bench.machine import table
from bench.sources import authentic_files, photographs
from forgecli.match.bands import bands_of
from forgecli.match.keypoints import find_keypoints
from forgecli.match.panels import find_layout
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from forgecli.synth import Recipe
from forgecli.synth.canvas import Canvas, Panel
from forgecli.synth.figure import Cell, cut, drawn_figure
from forgecli.synth.library import Library, is_blot
from forgecli.synth.reuse import reuse_panel
from forgecli.synth.sources import LazySources

SEED = 503
GRIDS = {4: (2, 2), 8: (2, 4), 16: (4, 4), 32: (4, 8)}
"""Rows and columns, by the number of panels."""
SIDE, GUTTER = 200, 8
"""Of a panel, and between panels, in pixels."""
SHORTLIST = 4
"""Partners of a panel that a shortlist would leave, beside itself."""
_COPY = 0.7


@dataclass(frozen=True, slots=True)
class Cost:
    """What one figure cost.

    Attributes:
        panels: composed. keypoints: kept.
        seconds: by stage, one thread.
        found: whether a candidate is the panel that is shown again.
    """

    panels: int
    keypoints: int
    seconds: dict[str, float]
    found: bool


def composed(panels: int, number: int, library: Library) -> Canvas | None:
    """A figure of so many photographs, one of them shown again, or None if that did not succeed."""
    rng = np.random.default_rng([SEED, panels, number])
    rows, columns = GRIDS[panels]
    step = SIDE + GUTTER
    places = [Cell(x * step, y * step, SIDE, SIDE) for y in range(rows) for x in range(columns)]
    made: list[Panel] = []
    used: list[int] = []
    for cell in places:
        got = library.draw(rng, besides=used)
        if got is None:
            return None
        used.append(got[0])
        made.append(cut(rng, got[1], cell, library.kinds[got[0]]))
    canvas = drawn_figure(made, (rows * step - GUTTER, columns * step - GUTTER), 255)
    return None if reuse_panel(rng, canvas, Recipe()) is None else canvas


def costs(each: int, panels: Sequence[int] = tuple(GRIDS)) -> Iterator[Cost]:
    """`each` figures of every number of panels."""
    files = [file for file in photographs(authentic_files()[0]) if not is_blot(file.kind)]
    library = Library(LazySources(files), [file.kind for file in files])
    settings = MatchSettings()
    search(np.zeros((64, 64, 3), np.uint8), settings)  # compiles
    for count in panels:
        made = number = 0
        while made < each and number < 4 * each:
            canvas = composed(count, number, library)
            number += 1
            if canvas is None:
                continue
            made += 1
            found = search(canvas.image, settings)
            masks = np.array([np.logical_or.reduce(group.regions) for group in canvas.groups])
            hit = any(overlap_with(one, masks.astype(np.uint8)) > _COPY for one in found.candidates)
            grey = bands_of(canvas.image).grey
            usable = find_layout(grey, settings, canvas.image).usable
            keypoints = len(find_keypoints(grey, usable, settings))
            yield Cost(count, keypoints, found.seconds, hit)


def figures(found: Sequence[Cost]) -> list[dict[str, Any]]:
    """A record for every number of panels."""
    records = []
    for panels in sorted({one.panels for one in found}):
        these = [one for one in found if one.panels == panels]
        total = sum(sum(one.seconds.values()) for one in these)
        comparing = sum(one.seconds.get("match", 0.0) for one in these)
        spared = max(0.0, 1.0 - (1 + SHORTLIST) / panels)
        records.append(
            {
                "panels": panels,
                "figures": len(these),
                "keypoints": round(sum(one.keypoints for one in these) / len(these)),
                "seconds": round(total / len(these), 3),
                "seconds_comparing": round(comparing / len(these), 3),
                "share_comparing": round(comparing / total, 4),
                "most_a_shortlist_saves": round(spared * comparing / total, 4),
                "copies_among_candidates": sum(one.found for one in these),
            }
        )
    return records


def shown(records: Sequence[dict[str, Any]]) -> str:
    """The table."""
    rows = [
        [
            str(one["panels"]),
            str(one["keypoints"]),
            f"{one['seconds']:.2f}",
            f"{one['seconds_comparing']:.2f}",
            f"{100 * one['share_comparing']:.0f} %",
            f"{100 * one['most_a_shortlist_saves']:.0f} %",
            f"{one['copies_among_candidates']} of {one['figures']}",
        ]
        for one in records
    ]
    header = ["panels", "keypoints", "s", "comparing", "share",
              f"a list of {SHORTLIST} saves at most", "copy found"]  # fmt: skip
    return table(header, rows)
