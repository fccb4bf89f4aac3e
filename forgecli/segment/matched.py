"""Which of the components that a network outlined show the same content.

The network has said what is copied; here the match detector's own means say what is a copy of
what: RootSIFT keypoints in the components, maps grown from them, and the judge that tells copies
from look-alikes, at a lower threshold than it has where it alone must flag an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from forgecli.detection import Runs
from forgecli.match.agreement import Placed, Window
from forgecli.match.bands import Bands, bands_of
from forgecli.match.candidates import candidates
from forgecli.match.features import flat_pixels, measure
from forgecli.match.judge import default_judge
from forgecli.match.keypoints import find_keypoints
from forgecli.match.proposals import propose, refine_proposals
from forgecli.match.settings import MatchSettings
from forgecli.segment.preprocess import Pixels
from kernels.rle import decode

MOST_REGIONS = 24
"""Regions that are looked at, the largest; the others are linked to nothing."""

LINK = 0.4
"""Probability, by the judge, from which a map links two regions. With the true outlines of 70
synthetic forgeries, grown by 3 px, a decoy in each, and judges that knew none of their sources, it
linked 73 of 119 pairs that are copies for which there was a map, and 0 of 25 that are not; at 0.2:
91 and 6; at 0.7: 54 and 0."""

_MARGIN = 24
"""Pixels around the regions that are looked at too: a network's outlines are not exact."""
_COVERED = 0.3
"""Share of each of two regions that a common map has to hold on."""

SETTINGS = MatchSettings()
"""Of the match detector, here."""


def same_content(
    pixels: Pixels, regions: Sequence[Runs], settings: MatchSettings = SETTINGS
) -> list[list[int]]:
    """Group regions that show the same content.

    Two regions are linked by a map that takes much of one onto much of the other. Linked regions
    are a group, directly or through others. Regions that are linked to nothing are one group
    together: their copies were not outlined, or cannot be told from look-alikes, and one instance
    too few costs less than many too many.

    Args:
        pixels: uint8 (H, W, 3), the image.
        regions: runs of the regions, one or more, none empty, not overlapping, the largest first.
        settings: of the match detector.

    Returns:
        Indices, ascending within a group; every region is in exactly one. The group of those that
        are linked to nothing is the last.
    """
    placed, held = _placed(regions[:MOST_REGIONS], (pixels.shape[0], pixels.shape[1]))
    part = pixels[held.top : held.bottom, held.left : held.right]
    root = list(range(len(placed)))

    def find(node: int) -> int:
        while root[node] != node:
            node = root[node]
        return node

    for first, second in _links(bands_of(np.ascontiguousarray(part)), placed, settings):
        root[find(first)] = find(second)
    members: dict[int, list[int]] = {}
    for node in range(len(placed)):
        members.setdefault(find(node), []).append(node)
    groups = [group for group in members.values() if len(group) > 1]
    grouped = {node for group in groups for node in group}
    rest = [node for node in range(len(regions)) if node not in grouped]
    return [*groups, rest] if rest else groups


def _links(
    bands: Bands, placed: Sequence[Placed], settings: MatchSettings
) -> Iterator[tuple[int, int]]:
    """Pairs of regions that a map takes onto each other, the most promising maps first."""
    union = np.zeros(bands.shape, np.uint8)
    for region in placed:
        window = region.window
        union[window.top : window.bottom, window.left : window.right] |= region.mask.view(np.uint8)
    near = cv2.dilate(union, np.ones((9, 9), np.uint8)) > 0
    keypoints = find_keypoints(bands.grey, near, settings)
    matches, _ = refine_proposals(bands, propose(keypoints, settings), settings)
    anywhere = np.ones(bands.shape, bool)  # a copy may reach beyond what the network outlined
    flat = flat_pixels(bands)
    judge = default_judge()
    for candidate in candidates(bands, matches, anywhere, settings):
        here = [_share(region, candidate.first) for region in placed]
        there = [_share(region, candidate.second) for region in placed]
        first, second = int(np.argmax(here)), int(np.argmax(there))
        if first == second or min(here[first], there[second]) < _COVERED:
            continue
        features = measure(bands, candidate, flat)[None]
        if judge.probability(judge.evidence(features))[0] >= LINK:
            yield first, second


def _share(region: Placed, other: Placed) -> float:
    """Share of a region that another one covers."""
    return float(np.count_nonzero(region.mask & other.into(region.window))) / max(region.area, 1)


def _placed(regions: Sequence[Runs], shape: tuple[int, int]) -> tuple[list[Placed], Window]:
    """The regions as masks within a window of the image that holds all of them, and the window."""
    boxes = [_box(runs, shape[0]) for runs in regions]
    held = Window(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    ).grown(_MARGIN, shape)
    placed = []
    for runs, box in zip(regions, boxes, strict=True):
        # The columns of the box only: the mask of a small region would be as large as the image.
        strip = decode(runs - (box.left * shape[0], 0), (shape[0], box.width))
        here = Window(
            box.left - held.left, box.top - held.top, box.right - held.left, box.bottom - held.top
        )
        placed.append(Placed(here, np.ascontiguousarray(strip[box.top : box.bottom])))
    return placed, held


def _box(runs: Runs, height: int) -> Window:
    """The smallest window around runs of an image of that height."""
    starts, ends = runs[:, 0], runs[:, 0] + runs[:, 1] - 1
    left, right = int(starts[0] // height), int(ends[-1] // height) + 1
    if (starts // height != ends // height).any():  # a run that goes on in the next column
        return Window(left, 0, right, height)
    return Window(left, int((starts % height).min()), right, int((ends % height).max()) + 1)
