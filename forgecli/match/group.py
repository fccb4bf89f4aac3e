"""From judged pairs to instances: all regions that share content, source and copies together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forgecli.detection import Affine, Instance, Pair
from forgecli.match.agreement import Placed, Window
from forgecli.match.candidates import Candidate
from forgecli.match.panels import Layout
from forgecli.match.settings import MatchSettings
from kernels.rle import encode


@dataclass(frozen=True, slots=True)
class _Link:
    first: int
    second: int
    affine: Affine
    support: int
    correlation: float


def group(
    accepted: Sequence[tuple[Candidate, float]],
    layout: Layout,
    shape: tuple[int, int],
    settings: MatchSettings,
) -> tuple[tuple[Instance, ...], tuple[Pair, ...]]:
    """Join pairs that share a region into instances.

    Regions that cover each other are one region: their union. Regions linked by pairs, directly or
    through others, are one instance. Where a region and its copy fill most of two panels, the
    panels are the regions.

    Args:
        accepted: candidates held to be copies, best first, each with its correlation.
        layout: the panels.
        shape: (H, W).

    Returns:
        Instances, the largest first, and the pairs behind them.
    """
    regions: list[Placed] = []
    links: list[_Link] = []
    linked: set[frozenset[int]] = set()  # one pair for two regions: the best
    for candidate, correlation in accepted:
        first, second = _whole_panels(candidate, layout, settings)
        a = _join(regions, first, settings)
        b = _join(regions, second, settings)
        if a != b and frozenset((a, b)) not in linked:
            linked.add(frozenset((a, b)))
            links.append(_Link(a, b, candidate.affine, candidate.support, correlation))
    root = list(range(len(regions)))

    def find(node: int) -> int:
        while root[node] != node:
            node = root[node]
        return node

    for link in links:
        root[find(link.first)] = find(link.second)
    members: dict[int, list[int]] = {}
    for link in links:
        for node in (link.first, link.second):
            held = members.setdefault(find(node), [])
            if node not in held:
                held.append(node)
    groups = sorted(members.values(), key=lambda held: -sum(regions[n].area for n in held))
    instances = tuple(_instance([regions[n] for n in held], shape) for held in groups)
    pairs = []
    for number, held in enumerate(groups):
        for link in links:
            if link.first in held:
                pairs.append(
                    Pair(
                        instance=number,
                        first=held.index(link.first),
                        second=held.index(link.second),
                        affine=link.affine,
                        mirrored=bool(np.linalg.det(link.affine[:, :2]) < 0),
                        inliers=link.support,
                        correlation=link.correlation,
                    )
                )
    return instances, tuple(pairs)


def _join(regions: list[Placed], new: Placed, settings: MatchSettings) -> int:
    """The number of the region that a mask belongs to; it is added or merged."""
    for number, old in enumerate(regions):
        shared = int(np.count_nonzero(old.mask & new.into(old.window)))
        if shared > settings.same_region * min(old.area, new.area):
            regions[number] = _union(old, new)
            return number
    regions.append(new)
    return len(regions) - 1


def _union(a: Placed, b: Placed) -> Placed:
    window = Window(
        min(a.window.left, b.window.left),
        min(a.window.top, b.window.top),
        max(a.window.right, b.window.right),
        max(a.window.bottom, b.window.bottom),
    )
    return Placed(window, a.into(window) | b.into(window))


def _whole_panels(
    candidate: Candidate, layout: Layout, settings: MatchSettings
) -> tuple[Placed, Placed]:
    """The two panels, if the two regions fill most of them; else the regions."""
    first, second = candidate.first, candidate.second
    if len(layout.panels) < 2:
        return first, second
    homes = [_filled_panel(region, layout, settings) for region in (first, second)]
    if homes[0] is None or homes[1] is None or homes[0] == homes[1]:
        return first, second
    a, b = (Placed(home, np.ones((home.height, home.width), bool)) for home in homes if home)
    return a, b


def _filled_panel(region: Placed, layout: Layout, settings: MatchSettings) -> Window | None:
    for panel in layout.panels:
        inside = int(np.count_nonzero(region.into(panel)))
        if inside > settings.whole_panel * panel.width * panel.height:
            return panel
    return None


def _instance(regions: Sequence[Placed], shape: tuple[int, int]) -> Instance:
    union = np.zeros(shape, bool)
    for region in regions:
        window = region.window
        union[window.top : window.bottom, window.left : window.right] |= region.mask
    return Instance(
        runs=encode(union),
        regions=tuple(encode(region.on(shape)) for region in regions),
    )
