"""All candidates of one picture with their statistics: everything before judgement."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Window
from forgecli.match.bands import Bands, bands_of
from forgecli.match.blots import blot_candidates
from forgecli.match.candidates import Candidate, candidates
from forgecli.match.compute import CPU, Compute
from forgecli.match.dense import dense_matches, discs_of
from forgecli.match.evidence import in_panels, on_evidence
from forgecli.match.features import FEATURES, flat_pixels, measure_all
from forgecli.match.inverted import search_inverted
from forgecli.match.keypoints import find_keypoints
from forgecli.match.panels import Layout, find_layout
from forgecli.match.proposals import propose, refine_proposals
from forgecli.match.scaled import scaled_matches
from forgecli.match.settings import MatchSettings


@dataclass(frozen=True, slots=True)
class Search:
    """What was found in one picture.

    Attributes:
        candidates: the regions that may be copies.
        features: float64 (len(candidates), len(FEATURES)).
        layout: the panels, and where evidence may lie.
        wholes: pairs of panels of blots, over half of whose lanes match.
        seconds: wall time by stage.
    """

    candidates: list[Candidate]
    features: NDArray[np.float64]
    layout: Layout
    wholes: tuple[tuple[Window, Window], ...]
    seconds: dict[str, float]

    def correlation(self, index: int) -> float:
        """Mean local correlation of a candidate."""
        return float(np.tanh(self.features[index, FEATURES.index("local_mean")]))


def search(pixels: NDArray[np.uint8], settings: MatchSettings, compute: Compute = CPU) -> Search:
    """Look for regions of a picture that stand in it twice.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        settings: of every stage.
        compute: where the heavy steps are done.

    Raises:
        MemoryError: there, or here, memory ran out.
    """
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[stage] = now - clock
        clock = now

    bands = bands_of(pixels)
    layout = find_layout(bands.grey, settings, pixels)
    lap("prepare")
    with compute.holding(bands.low, bands.smooth, bands.middle):
        keypoints = None
        if settings.keypoints or settings.inverted:
            keypoints = find_keypoints(bands.grey, layout.usable, settings)
        lap("keypoints")
        proposals = np.empty((0, 8))
        if keypoints is not None and settings.keypoints:
            proposals = propose(keypoints, settings, compute)
        lap("match")
        inside = in_panels(layout, settings)
        discs = discs_of(bands, layout.usable, settings, compute, inside=inside)
        dense = dense_matches(bands, layout.usable, settings, compute, discs=discs)
        lap("dense")
        scaled = scaled_matches(bands, layout.usable, discs, settings, compute)
        del discs  # large, and growth needs the room
        lap("scaled")
        both = np.concatenate((proposals, dense))
        both = both[on_evidence(both, layout.usable, settings, inside)]
        matches, _ = refine_proposals(bands, both, settings, compute)
        matches = np.concatenate((matches, scaled))
        lap("refine")
        found = list(candidates(bands, matches, layout.usable, settings, compute, inside=inside))
        lap("grow")
        in_blots, wholes = _in_blots(bands, layout, settings)
        found += in_blots
        lap("blots")
        features = measure_all(bands, found, flat_pixels(bands), compute)
        lap("measure")
    if keypoints is not None and settings.inverted:
        negatives, theirs = search_inverted(
            bands, layout.usable, keypoints, settings, compute, inside=inside
        )
        found, features = [*found, *negatives], np.concatenate((features, theirs))
        lap("inverted")
    return Search(found, features, layout, tuple(wholes), seconds)


def _in_blots(
    bands: Bands, layout: Layout, settings: MatchSettings
) -> tuple[list[Candidate], list[tuple[Window, Window]]]:
    """Bands that stand twice in the blots of a figure, and blots that match as wholes."""
    kinds = zip(layout.panels, layout.kinds, strict=True)
    blots = tuple(panel for panel, kind in kinds if kind == "blot")
    return blot_candidates(bands, blots, layout.usable, settings)
