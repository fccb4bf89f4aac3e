"""When a copied region stands for its whole panel, or for more of it than was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from forgecli.match.agreement import Placed, Window
from forgecli.match.bands import FloatImage
from forgecli.match.candidates import Candidate
from forgecli.match.empty_ground import over_ground
from forgecli.match.panels import Layout
from forgecli.match.settings import MatchSettings

_INSIDE = 0.9
"""Share of a region inside its panel: outlines reach a little over the edges."""


def regions_of(
    candidate: Candidate,
    layout: Layout,
    settings: MatchSettings,
    wholes: Sequence[tuple[Window, Window]] = (),
    grey: Callable[[], FloatImage] | None = None,
) -> tuple[Placed, Placed]:
    """The regions that a pair stands for, without gutters.

    Two blots that match by lanes are whole panels. Two photographs are as far as they agree,
    ground that shows nothing included. Else, where both regions fill most of their panels, the
    panels are the regions.

    Args:
        candidate: the pair.
        layout: the panels.
        settings: what is most of a panel, and how much two panels may differ.
        wholes: pairs of panels that match by lanes; a pair of regions in them stands for them.
        grey: gives the image, float32 (H, W), 0 to 255, less its finest noise. Called only where
            it is needed; without it no region grows over empty ground.
    """
    first, second = _on_panels(candidate, layout, settings, wholes, grey)
    return _off_gutters(first, layout), _off_gutters(second, layout)


def _on_panels(
    candidate: Candidate,
    layout: Layout,
    settings: MatchSettings,
    wholes: Sequence[tuple[Window, Window]],
    grey: Callable[[], FloatImage] | None,
) -> tuple[Placed, Placed]:
    first, second = candidate.first, candidate.second
    if len(layout.panels) < 2:
        return first, second
    for one, other in wholes:
        for home, away in ((one, other), (other, one)):
            if _share_in(first, home) > 0.5 and _share_in(second, away) > 0.5:
                return _filled(home), _filled(away)
    homes = _photographs(candidate, layout)
    if homes is not None and grey is not None:
        grown = over_ground(grey(), layout.marks, first, candidate.affine, homes, settings)
        if grown is not None:
            return grown
    filled = [_filled_panel(region, layout, settings) for region in (first, second)]
    if filled[0] is None or filled[1] is None or filled[0] == filled[1]:
        return first, second
    return _filled(filled[0]), _filled(filled[1])


def _photographs(candidate: Candidate, layout: Layout) -> tuple[Window, Window] | None:
    """The photographs that the two regions are in, if these are two."""
    homes = []
    for region in (candidate.first, candidate.second):
        # A picture that stands on a panel follows it.
        for panel, kind in reversed(list(zip(layout.panels, layout.kinds, strict=False))):
            if _share_in(region, panel) > _INSIDE:
                if kind == "photograph":
                    homes.append(panel)
                break
    return (homes[0], homes[1]) if len(homes) == 2 and homes[0] != homes[1] else None


def _share_in(region: Placed, panel: Window) -> float:
    return int(np.count_nonzero(region.into(panel))) / max(region.area, 1)


def _filled(panel: Window) -> Placed:
    return Placed(panel, np.ones((panel.height, panel.width), bool))


def _filled_panel(region: Placed, layout: Layout, settings: MatchSettings) -> Window | None:
    for panel in layout.panels:
        inside = int(np.count_nonzero(region.into(panel)))
        if inside > settings.whole_panel * panel.width * panel.height:
            return panel
    return None


def _off_gutters(region: Placed, layout: Layout) -> Placed:
    """A region without the gutters it grew over: white agrees with white."""
    window = region.window
    on_panel = layout.index[window.top : window.bottom, window.left : window.right] >= 0
    return Placed(window, region.mask & on_panel)
