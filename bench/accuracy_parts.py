"""The parts of the match detector that can be switched off, and what stands in the place of each.

For most there is no switch in the detector. `forgecli.match.search` calls its stages by names of
its module, and `forgecli.match.candidates` those of growth; here, in the process of the bench, such
a name is bound to something plainer for as long as one image is looked at. Keypoints have a switch,
and are off by default: what they add is measured too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Affine
from forgecli.match import blots, candidates, search
from forgecli.match.agreement import Placed, Window
from forgecli.match.bands import Bands, FloatImage
from forgecli.match.candidates import Candidate
from forgecli.match.grow import CopiedRegion
from forgecli.match.panels import Layout
from forgecli.match.proposals import Matches
from forgecli.match.search import Search
from forgecli.match.settings import MatchSettings

WHOLE, KEYPOINTS, JUDGE = "nothing", "nothing, and keypoints added", "the judge"
SHARED = (
    "bands_of", "find_layout", "find_keypoints", "propose", "discs_of", "dense_matches",
    "scaled_matches",
)  # fmt: skip
"""Stages of `forgecli.match.search` that are computed once for the same input."""


def no_discs(*_: object, **__: object) -> None:
    """In place of `discs_of`, where nothing asks for them."""


def no_matches(*_: object, **__: object) -> Matches:
    """In place of `dense_matches` and `scaled_matches`."""
    return np.empty((0, 8))


def no_bands(*_: object, **__: object) -> tuple[list[Candidate], list[tuple[Window, Window]]]:
    """In place of `blot_candidates`."""
    return [], []


def no_wholes(*_: object, **__: object) -> list[Any]:
    """In place of `whole_blots`."""
    return []


def one_panel(grey: FloatImage, *_: object, **__: object) -> Layout:
    """In place of `find_layout`: a photograph from edge to edge, all of it evidence."""
    height, width = grey.shape
    usable, index = np.ones(grey.shape, bool), np.zeros(grey.shape, np.int32)
    whole = Window(0, 0, width, height)
    return Layout((whole,), usable, index, ("photograph",), np.zeros(grey.shape, bool))


def as_proposed(
    bands: Bands, matches: Matches, settings: MatchSettings, *_: object, **__: object
) -> tuple[Matches, NDArray[np.float32]]:
    """In place of `refine_proposals`: the maps that the keypoints and the field have."""
    return np.ascontiguousarray(matches), np.ones(len(matches), np.float32)


def hull(
    bands: Bands,
    affine: Affine,
    seeds: NDArray[np.float64],
    settings: MatchSettings,
    *,
    matches: Matches | None = None,
    **_: object,
) -> CopiedRegion:
    """In place of `grow`: the convex hull of the matches that the map explains, and a patch around
    each, as keypoint methods draw a region."""
    points = seeds
    if matches is not None:
        error = matches[:, :2] @ affine[:, :2].T + affine[:, 2] - matches[:, 2:4]
        held = np.hypot(error[:, 0], error[:, 1]) < settings.candidate_separation
        points = np.concatenate((seeds, matches[held, :2]))
    height, width = bands.shape
    reach = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)]) * settings.patch_radius
    corners = np.rint(points[:, None] + reach).reshape(-1, 2).astype(np.int32)
    corners = np.clip(corners, 0, (width - 1, height - 1)).astype(np.int32)
    left, top = corners.min(axis=0).tolist()
    right, bottom = (corners.max(axis=0) + 1).tolist()
    mask = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(corners - (left, top)).astype(np.int32), (1,))
    return CopiedRegion(Placed(Window(left, top, right, bottom), mask > 0), affine.copy())


def as_grown(bands: Bands, region: CopiedRegion, settings: MatchSettings) -> CopiedRegion:
    """In place of `outline`."""
    return region


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the detector, and what stands in its place while it is off.

    Attributes:
        instead: in words.
        replaced: module, name of a function in it, and the function in its place.
        changed: settings of the search.
        matters: whether it did anything in a search of the whole detector. Where it did not, the
            whole detector's result stands for that without it.
    """

    instead: str
    replaced: tuple[tuple[ModuleType, str, Callable[..., Any]], ...] = ()
    changed: tuple[tuple[str, Any], ...] = ()
    matters: Callable[[Search], bool] = lambda _: True


def _has_blots(found: Search) -> bool:
    return "blot" in found.layout.kinds


PARTS: dict[str, Part] = {
    WHOLE: Part("the detector as it is"),
    KEYPOINTS: Part("keypoints beside the dense fields", changed=(("keypoints", True),)),
    "dense fields": Part(
        "proposals of keypoints only",
        (
            (search, "discs_of", no_discs),
            (search, "dense_matches", no_matches),
            (search, "scaled_matches", no_matches),
        ),
        (("keypoints", True),),
    ),
    "scaled fields": Part(
        "the dense field of the image as it is only", ((search, "scaled_matches", no_matches),)
    ),
    "refinement": Part("proposals as they come", ((search, "refine_proposals", as_proposed),)),
    "blots: band by band": Part(
        "blots are treated as photographs are",
        ((search, "blot_candidates", no_bands),),
        matters=_has_blots,
    ),
    "blots: as wholes": Part(
        "bands only",
        ((blots, "whole_blots", no_wholes),),
        matters=lambda found: bool(found.wholes),
    ),
    "panels and kinds": Part(
        "one photograph from edge to edge, all of it evidence",
        ((search, "find_layout", one_panel),),
    ),
    "growth": Part(
        "the convex hull of agreeing matches",
        ((candidates, "grow", hull), (candidates, "outline", as_grown)),
    ),
    "outline": Part("regions as they grew", ((candidates, "outline", as_grown),)),
    JUDGE: Part("mean local correlation"),
}
"""By what is off."""


class Shared:
    """Stages of the search, computed once for the same input of one image.

    Arrays and what holds them are told apart by identity: all are kept until the next image.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[Any, float, tuple[Any, ...]]] = {}
        self.saved = 0.0

    def once(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def stage(*given: Any, **named: Any) -> Any:
            values = (*given, *named.values())
            key = (name, function, *named, *(_told_apart(each) for each in values))
            if key in self._kept:
                result, seconds, _ = self._kept[key]
                self.saved += seconds
                return result
            started = time.process_time()
            result = function(*given, **named)
            self._kept[key] = result, time.process_time() - started, values
            return result

        return stage


def _told_apart(value: Any) -> Any:
    return value if isinstance(value, (tuple, MatchSettings)) else id(value)


@contextmanager
def without(part: Part, shared: Shared | None = None) -> Iterator[None]:
    """Bind the names of a part to what is plainer.

    Raises:
        AttributeError: the detector has no function of such a name any more.
    """
    with ExitStack() as stack:
        for module, name, plainer in part.replaced:
            stack.enter_context(patch.object(module, name, plainer))
        for name in SHARED if shared else ():
            assert shared is not None
            kept = shared.once(name, getattr(search, name))
            stack.enter_context(patch.object(search, name, kept))
        if part.changed:
            stack.enter_context(patch.object(search, "search", _changed(part, search.search)))
        yield


def _changed(part: Part, run: Callable[..., Search]) -> Callable[..., Search]:
    """The search with the settings of a part."""

    def changed(pixels: Any, settings: MatchSettings, *more: Any, **named: Any) -> Search:
        return run(pixels, replace(settings, **dict(part.changed)), *more, **named)

    return changed
