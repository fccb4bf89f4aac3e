"""The edge of a copied region to the pixel, once a pair is held to be a copy.

Growth and `outline` find where two places agree, with windows that blur the edge and thresholds
that are the same for every image. Here every pixel around that first outline is asked again, by
boosted trees over what `edge_statistics` measures. They were fitted to the truth of synthetic
forgeries (`python -m bench.edges`); the file beside this module says on how many. Nothing that a
pair is judged by changes: the judge sees the first outline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask, Placed, cover, warp_mask
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.candidates import Candidate
from forgecli.match.edge_statistics import EDGE_STATISTICS, EdgeStatistics, edge_statistics
from forgecli.match.outline import connected_to, fill_holes
from forgecli.match.settings import MatchSettings
from kernels.forest import sum_of_trees

_SURE = np.float32(5.0)
"""Log-odds beyond which a pixel does not outweigh its neighbours any more."""


class EdgeTrees:
    """How likely a pixel belongs to a region, from what it shows.

    Args:
        document: `statistics`, `base` and `trees`, as bench.edges writes them.

    Raises:
        ValueError: it was fitted to other statistics than this version measures.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        if document["statistics"] != list(EDGE_STATISTICS):
            raise ValueError(
                "the trees of the edge were fitted to other statistics than this version measures:"
                f" fit them again with python -m bench.edges. Got: {document['statistics']}"
            )
        trees = document["trees"]
        sizes = [len(tree["left"]) for tree in trees]
        self._base = np.float32(document["base"])
        self._roots = np.cumsum([0, *sizes])[:-1].astype(np.int32)
        shift = np.repeat(self._roots, sizes)
        self._feature, left, right = (
            np.array([node for tree in trees for node in tree[name]], np.int32)
            for name in ("feature", "left", "right")
        )
        self._left = np.where(left < 0, -1, left + shift).astype(np.int32)
        self._right = np.where(left < 0, -1, right + shift).astype(np.int32)
        self._threshold, self._value = (
            np.array([node for tree in trees for node in tree[name]], np.float32)
            for name in ("threshold", "value")
        )

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-odds, float32 (n,), of float32 (n, len(EDGE_STATISTICS))."""
        return self._base + sum_of_trees(
            values, self._roots, self._feature, self._threshold, self._left, self._right,
            self._value,
        )  # fmt: skip


@cache
def default_edge() -> EdgeTrees:
    """The trees that come with forge."""
    text = files("forgecli.match").joinpath("edge.json").read_text("utf-8")
    return EdgeTrees(json.loads(text))


def with_edge(
    candidate: Candidate,
    planes: Sequence[FloatImage],
    bands: Bands,
    settings: MatchSettings,
    trees: EdgeTrees | None = None,
) -> Candidate:
    """A pair with both outlines moved to where the copy most likely ends.

    Args:
        candidate: the pair. A copy that is shown as a negative is left as it is: the trees have
            seen none.
        planes: of the image, as `planes_of` gives them.
        bands: of the same image.
        settings: of the decision.
        trees: those that forge brings, if None.

    Returns:
        The same pair where too little would be left of its regions or too much added, or where
        they would meet.
    """
    if candidate.inverted or candidate.first.area == 0:
        return candidate
    measured = edge_statistics(planes, bands, candidate.first, candidate.affine)
    if measured is None:
        return candidate
    before = candidate.first.into(measured.window)
    after = _decided(measured, before, trees or default_edge(), settings)
    first = Placed(measured.window, after)
    second = warp_mask(first, candidate.affine, bands.shape)
    least = max(settings.min_area, settings.edge_least * candidate.first.area)
    if first.area < least or second.area < settings.edge_least * candidate.second.area:
        return candidate
    if first.area > settings.edge_most * candidate.first.area:
        return candidate
    if cover(first, second, settings):  # grouped, they would be one region, and no copy
        return candidate
    return replace(candidate, first=first, second=second)


def _decided(
    measured: EdgeStatistics, before: Mask, trees: EdgeTrees, settings: MatchSettings
) -> Mask:
    """The pixels that are held, neighbours taken together, without holes and islands."""
    odds = np.where(before, _SURE, -_SURE)
    odds[measured.near] = np.clip(trees(measured.values), -_SURE, _SURE)
    odds = cv2.GaussianBlur(odds, (0, 0), settings.edge_blur, borderType=cv2.BORDER_REPLICATE)
    held = fill_holes(connected_to(np.asarray(odds > settings.edge_odds), before))
    return _without_crumbs(held, settings.edge_crumbs)


def _without_crumbs(mask: Mask, share: float) -> Mask:
    """A mask without the pieces that are smaller than a share of its largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.asarray((areas >= share * areas.max())[labels] & mask)
