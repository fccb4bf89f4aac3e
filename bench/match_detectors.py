"""Would a second keypoint detector earn its place? `python -m bench.match --detectors`

On forgeries made from the sources that may be fitted on, each detector proposes matches, they are
refined as those of the match detector are, and what is counted is the groups of the truth in which
at least one refined match is right: alone, and beside SIFT and the dense field as they are now.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.machine import table
from bench.match_keypoints import DETECTORS, SIFT
from bench.sources import authentic_files, photographs
from forgecli.errors import ForgeError
from forgecli.match.agreement import Mask
from forgecli.match.bands import Bands, bands_of
from forgecli.match.candidates import affine_of
from forgecli.match.dense import dense_matches
from forgecli.match.panels import find_layout
from forgecli.match.proposals import Matches, propose, refine_proposals
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from forgecli.synth import Recipe, generate
from forgecli.synth.sources import LazySources

SEED = 501
LARGEST = 1_500_000
"""Pixels: larger forgeries are left out, for time."""
DENSE = "dense field"
_EVERYWHERE = 0.3
"""Share of a group whose source and copy touch that a right map takes onto the group."""
_ONTO = 0.6
"""The same of a region that does not touch the others."""

Pixels = NDArray[np.uint8]


def forgeries(count: int) -> Iterator[tuple[Pixels, NDArray[np.uint8]]]:
    """Forgeries of the default recipe with their masks, uint8 (N, H, W)."""
    files = photographs(authentic_files()[0])
    sources, kinds = LazySources(files), [file.kind for file in files]
    made = number = 0
    while made < count:
        number += 1
        try:
            forgery = generate(np.random.default_rng([SEED, number]), sources, Recipe(), kinds)
        except ForgeError:
            continue
        if forgery.image.shape[0] * forgery.image.shape[1] <= LARGEST:
            made += 1
            yield forgery.image, forgery.masks


def right_groups(matches: Matches, masks: NDArray[np.uint8]) -> set[int]:
    """The groups in which a match is right: its map takes the region it starts in onto another.

    Args:
        matches: float64 (n, 8).
        masks: uint8 (N, H, W).
    """
    height, width = masks.shape[1:]
    limit = np.array([width - 1, height - 1])
    ends = np.clip(np.rint(matches[:, :4].reshape(-1, 2, 2)), 0, limit).astype(np.int64)
    found = set()
    for number, mask in enumerate(masks):
        count, labels = cv2.connectedComponents(mask, connectivity=4)
        start, end = (labels[ends[:, side, 1], ends[:, side, 0]] for side in (0, 1))
        touching = count == 2
        inside = (start > 0) & (end > 0) & (touching | (start != end))
        for index in np.flatnonzero(inside):
            rows, columns = np.nonzero(labels == start[index])
            step = max(1, len(rows) // 200)
            points = np.column_stack((columns[::step], rows[::step], np.ones(len(rows[::step]))))
            landed = np.rint(points @ affine_of(matches[index]).T).astype(np.int64)
            on = ((landed >= 0) & (landed <= limit)).all(axis=1)
            there = labels[
                np.clip(landed[:, 1], 0, height - 1), np.clip(landed[:, 0], 0, width - 1)
            ]
            hit = on & (there > 0) & (touching | (there != start[index]))
            if hit.mean() > (_EVERYWHERE if touching else _ONTO):
                found.add(number)
                break
    return found


@dataclass
class Tally:
    """What a source of proposals found, over all images."""

    keypoints: int = 0
    matches: int = 0
    groups: set[tuple[int, int]] = field(default_factory=set)
    seconds: float = 0.0


def compare(count: int, names: Sequence[str] = tuple(DETECTORS)) -> dict[str, Any]:
    """Every detector on the same forgeries; see the module."""
    settings = MatchSettings()
    tallies = {name: Tally() for name in dict.fromkeys((SIFT, *names, DENSE))}
    groups, whole = 0, 0.0
    for number, (pixels, masks) in enumerate(forgeries(count)):
        if number == 0:
            search(pixels[:200, :200], settings)  # compiles
        started = time.process_time()
        search(pixels, settings)
        whole += time.process_time() - started
        bands = bands_of(pixels)
        usable = find_layout(bands.grey, settings, pixels).usable
        groups += len(masks)
        for name, tally in tallies.items():
            _tally(tally, name, number, bands, usable, masks, settings)
        print(f"{number + 1} of {count}", flush=True)
    return figures(tallies, count, groups, whole)


def _tally(
    tally: Tally,
    name: str,
    number: int,
    bands: Bands,
    usable: Mask,
    masks: NDArray[np.uint8],
    settings: MatchSettings,
) -> None:
    started = time.process_time()
    if name == DENSE:
        proposals = dense_matches(bands, usable, settings)
    else:
        keypoints = DETECTORS[name](bands.grey, usable, settings)
        proposals = propose(keypoints, settings)
        tally.keypoints += len(keypoints)
    refined, _ = refine_proposals(bands, proposals, settings)
    tally.seconds += time.process_time() - started
    tally.matches += len(refined)
    tally.groups |= {(number, group) for group in right_groups(refined, masks)}


def figures(tallies: dict[str, Tally], images: int, groups: int, whole: float) -> dict[str, Any]:
    """What `shown` prints.

    Args:
        whole: CPU seconds of the match detector on all images.
    """
    now = tallies[SIFT].groups | tallies[DENSE].groups
    lines = [
        {
            "detector": name,
            "keypoints_per_image": round(tally.keypoints / images),
            "matches_per_image": round(tally.matches / images),
            "groups": len(tally.groups),
            "with_sift": len(tallies[SIFT].groups | tally.groups),
            "with_sift_and_dense": len(now | tally.groups),
            "seconds_per_image": round(tally.seconds / images, 3),
            "share_of_search": round(tally.seconds / whole, 3),
        }
        for name, tally in tallies.items()
    ]
    return {
        "images": images,
        "groups": groups,
        "search_seconds_per_image": round(whole / images, 3),
        "detectors": lines,
    }


def shown(found: dict[str, Any]) -> str:
    """The table."""
    rows = [
        [
            line["detector"],
            str(line["keypoints_per_image"]),
            str(line["matches_per_image"]),
            *(str(line[key]) for key in ("groups", "with_sift", "with_sift_and_dense")),
            f"{line['seconds_per_image']:.2f}",
            f"{100 * line['share_of_search']:.0f} %",
        ]
        for line in found["detectors"]
    ]
    header = ["detector", "keypoints", "matches", "groups", "with SIFT", "and dense", "CPU s",
              "of the search"]  # fmt: skip
    return (
        f"{found['images']} forgeries, {found['groups']} groups; the whole search takes "
        f"{found['search_seconds_per_image']:.2f} CPU s an image\n\n{table(header, rows)}"
    )
