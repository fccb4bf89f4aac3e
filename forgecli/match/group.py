"""From judged pairs to instances: all regions that share content, source and copies together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forgecli.detection import Affine, Instance, Pair
from forgecli.match.agreement import Placed, Window, cover
from forgecli.match.bands import FloatImage
from forgecli.match.candidates import Candidate
from forgecli.match.panels import Layout
from forgecli.match.settings import MatchSettings
from forgecli.match.whole_panels import regions_of
from kernels.rle import encode


@dataclass(frozen=True, slots=True)
class _Link:
    first: int
    second: int
    affine: Affine
    support: int
    correlation: float
    inverted: bool


def group(
    accepted: Sequence[tuple[Candidate, float]],
    layout: Layout,
    shape: tuple[int, int],
    settings: MatchSettings,
    *,
    wholes: Sequence[tuple[Window, Window]] = (),
    grey: Callable[[], FloatImage] | None = None,
) -> tuple[tuple[Instance, ...], tuple[Pair, ...]]:
    """Join pairs that share a region into instances.

    Regions that cover each other are one region: their union. Regions linked by pairs, directly or
    through others, are one instance. Where a region stands for a panel, or for more of it than was
    found, is said in `whole_panels`.

    Args:
        accepted: candidates held to be copies, best first, each with its correlation.
        layout: the panels.
        shape: (H, W).
        wholes: pairs of panels that match as wholes; a pair of regions in them stands for them.
        grey: gives the image, float32 (H, W), less its finest noise; without it no region grows
            over empty ground.

    Returns:
        Instances, the largest first, and the pairs behind them.
    """
    masks: list[Placed] = []
    for candidate, _ in accepted:
        masks.extend(regions_of(candidate, layout, settings, wholes, grey))
    regions, home = _distinct(masks, settings)
    links: list[_Link] = []
    linked: set[frozenset[int]] = set()  # one pair for two regions: the best
    for number, (candidate, correlation) in enumerate(accepted):
        a, b = home[2 * number], home[2 * number + 1]
        if a != b and frozenset((a, b)) not in linked:
            linked.add(frozenset((a, b)))
            links.append(_Link(a, b, candidate.affine, candidate.support, correlation,
                               candidate.inverted))  # fmt: skip
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
                        inverted=link.inverted,
                    )
                )
    return instances, tuple(pairs)


def _distinct(masks: Sequence[Placed], settings: MatchSettings) -> tuple[list[Placed], list[int]]:
    """The regions left when masks that cover each other are united, and which one each mask is in.

    A mask may cover two regions that do not touch: then all three are one.
    """
    groups: list[tuple[Placed, list[int]]] = []
    for number, mask in enumerate(masks):
        held = [number]
        while (other := _covering(groups, mask, settings)) is not None:
            region, earlier = groups.pop(other)
            mask, held = _union(region, mask), earlier + held
        groups.append((mask, held))
    groups.sort(key=lambda found: min(found[1]))
    home = {mask: number for number, (_, held) in enumerate(groups) for mask in held}
    return [region for region, _ in groups], [home[number] for number in range(len(masks))]


def _covering(
    groups: Sequence[tuple[Placed, list[int]]], new: Placed, settings: MatchSettings
) -> int | None:
    for number, (old, _) in enumerate(groups):
        if cover(old, new, settings):
            return number
    return None


def _union(a: Placed, b: Placed) -> Placed:
    window = Window(
        min(a.window.left, b.window.left),
        min(a.window.top, b.window.top),
        max(a.window.right, b.window.right),
        max(a.window.bottom, b.window.bottom),
    )
    return Placed(window, a.into(window) | b.into(window))


def _instance(regions: Sequence[Placed], shape: tuple[int, int]) -> Instance:
    union = np.zeros(shape, bool)
    for region in regions:
        window = region.window
        union[window.top : window.bottom, window.left : window.right] |= region.mask
    return Instance(
        runs=encode(union),
        regions=tuple(encode(region.on(shape)) for region in regions),
    )
