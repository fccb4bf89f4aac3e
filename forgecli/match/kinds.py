"""What kind of picture a panel is: photograph, blot or drawing, by plain statistics and a fit.

The fit was made by ``python -m bench.panels --fit`` on the images that may be fitted on; the file
beside this module says on how many. The same bench reports on sources it was not fitted on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Mask, Window

Kind = Literal["photograph", "blot", "drawing"]
KINDS: tuple[Kind, ...] = ("photograph", "blot", "drawing")
"""Microscopy and photographs; blots and gels; graphs, tables, diagrams, text, flow cytometry."""

_DOUBT = 0.7
"""Log-odds by which a drawing must lead: what is held to be one is never looked at again, so that
a photograph is twice as dear to lose as a drawing is to keep."""

STATISTICS = (
    "flat",  # share of pixels that equal their neighbours
    "quiet",  # share of pixels that nearly do
    "sharp",  # share of steep changes among all changes
    "steep",  # the same among strong changes
    "white",  # share of white
    "black",  # share of black
    "mode",  # share of the commonest five grey levels
    "levels",  # effective number of grey levels
    "chroma",  # mean colourfulness
    "coloured",  # share of strong colours
    "filled",  # share of flat strong colours
    "drawn",  # share of pixels of drawings
    "anisotropy",  # gradients up and down against gradients across
    "rows",  # share of variance between rows
    "columns",  # share of variance between columns
    "skewness",  # of grey levels
    "fineness",  # change between neighbours against the spread of grey levels
    "spread",  # of grey levels
    "lightness",  # mean grey level
    "softness",  # change between neighbours against change over eight pixels
)
"""Names of a panel's statistics, in order."""


@dataclass(frozen=True, slots=True)
class Views:
    """What the statistics are taken from; all of one (H, W).

    Attributes:
        grey: uint8.
        step: uint8, range of grey levels in 3 x 3 pixels.
        chroma: uint8, largest less smallest channel; None for an image without colour.
        marks: bool, pixels of drawings.
    """

    grey: NDArray[np.uint8]
    step: NDArray[np.uint8]
    chroma: NDArray[np.uint8] | None
    marks: Mask


def chroma_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Largest less smallest channel, uint8 (H, W, 3) to uint8 (H, W)."""
    red, green, blue = cv2.split(pixels)
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(most, least), np.uint8)


def statistics_of(views: Views, panel: Window) -> NDArray[np.float64]:
    """The statistics of a panel, float64 (len(STATISTICS),)."""
    place = np.s_[panel.top : panel.bottom, panel.left : panel.right]
    grey, step = views.grey[place], views.step[place]
    levels, changes = _histogram(grey), _histogram(step)
    shares = levels[levels > 0]
    at = np.arange(256.0)
    mean = float(levels @ at)
    spread = float(np.sqrt(levels @ (at - mean) ** 2))
    change = float(changes @ at)
    chroma, coloured, filled = _colour(views, place)
    rows, columns, anisotropy, coarse = _bands(grey, panel)
    return np.array(
        [
            changes[0],
            changes[:5].sum(),
            changes[91:].sum() / max(changes[7:].sum(), 1e-6),
            changes[61:].sum() / max(changes[21:].sum(), 1e-3),
            levels[250:].sum(),
            levels[:6].sum(),
            np.convolve(levels, np.ones(5)).max(),
            np.exp(-(shares * np.log(shares)).sum()) / 256,
            chroma / 64,
            coloured,
            filled,
            float(views.marks[place].mean()),
            anisotropy,
            rows,
            columns,
            float(levels @ (at - mean) ** 3) / max(spread, 1.0) ** 3 / 4,
            change / max(spread, 1.0),
            spread / 64,
            mean / 255,
            change / max(coarse, 0.1),
        ]
    )


def _histogram(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    counts = cv2.calcHist([image], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    return np.asarray(counts / max(counts.sum(), 1.0))


def _colour(views: Views, place: tuple[slice, slice]) -> tuple[float, float, float]:
    """Mean chroma, share of strong colours, share of strong colours that are flat."""
    if views.chroma is None:
        return 0.0, 0.0, 0.0
    chroma = views.chroma[place]
    strong = cv2.inRange(chroma, 40, 255)
    flat = cv2.bitwise_and(strong, cv2.inRange(views.step[place], 0, 2))
    return (
        float(cv2.mean(chroma)[0]),
        cv2.countNonZero(strong) / chroma.size,
        cv2.countNonZero(flat) / chroma.size,
    )


def _bands(grey: NDArray[np.uint8], panel: Window) -> tuple[float, float, float, float]:
    """Shares of variance between rows and between columns, anisotropy, and coarse change.

    Of the panel reduced to some 200 pixels, in which bands and lanes remain and noise does not.
    """
    scale = min(1.0, 200 / max(panel.width, panel.height))
    size = max(4, round(panel.width * scale)), max(4, round(panel.height * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    variance = float(small.var()) + 1.0
    rows = float(small.mean(1).var()) / variance
    columns = float(small.mean(0).var()) / variance
    across = float(np.abs(np.diff(small, axis=1)).mean()) + 0.25
    down = float(np.abs(np.diff(small, axis=0)).mean()) + 0.25
    apart = min(8, min(grey.shape) - 1)
    coarse = (
        float(cv2.mean(cv2.absdiff(grey[apart:], grey[:-apart]))[0])
        + float(cv2.mean(cv2.absdiff(grey[:, apart:], grey[:, :-apart]))[0])
        if apart > 0
        else 0.0
    )
    return rows, columns, float(np.log(down / across)), coarse


@dataclass(frozen=True, slots=True)
class Trees:
    """Boosted regression trees, one row of them for each kind.

    Attributes:
        base: float64 (len(KINDS),), log-odds before any tree.
        trees: for each kind, its trees; a tree is a list of nodes (statistic, threshold, left,
            right, value), and a statistic below 0 marks a leaf. A panel goes left where its
            statistic is at most the threshold.
    """

    base: tuple[float, ...]
    trees: tuple[tuple[tuple[tuple[int, float, int, int, float], ...], ...], ...]

    def odds(self, statistics: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of each kind, float64 (len(KINDS),)."""
        said = [float(value) for value in statistics]
        total = list(self.base)
        for kind, members in enumerate(self.trees):
            for tree in members:
                node = tree[0]
                while node[0] >= 0:
                    node = tree[node[2] if said[node[0]] <= node[1] else node[3]]
                total[kind] += node[4]
        return np.array(total)


def trees_from(document: dict[str, Any]) -> Trees:
    """Trees from their JSON document.

    Raises:
        ValueError: they were fitted on other statistics or kinds than this version knows.
    """
    if document["statistics"] != list(STATISTICS) or document["kinds"] != list(KINDS):
        raise ValueError(
            "the kinds of panels were fitted on other statistics than this version measures: fit"
            f" them again with python -m bench.panels --fit. Got: {document['statistics']},"
            f" {document['kinds']}"
        )
    return Trees(
        tuple(float(value) for value in document["base"]),
        tuple(
            tuple(
                tuple((int(s), float(t), int(a), int(b), float(v)) for s, t, a, b, v in tree)
                for tree in members
            )
            for members in document["trees"]
        ),
    )


@cache
def default_trees() -> Trees:
    """The trees that come with forge."""
    text = files("forgecli.match").joinpath("kinds.json").read_text("utf-8")
    return trees_from(cast(dict[str, Any], json.loads(text)))


def kind_of_panel(views: Views, panel: Window) -> Kind:
    """The kind of a panel."""
    odds = default_trees().odds(statistics_of(views, panel))
    odds[KINDS.index("drawing")] -= _DOUBT
    return KINDS[int(np.argmax(odds))]
