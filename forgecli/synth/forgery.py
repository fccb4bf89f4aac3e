"""One forgery, or one authentic image that looks like one, from a seed and some source images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.errors import ForgeError
from forgecli.synth.blots import copy_band
from forgecli.synth.canvas import Canvas, Group, single
from forgecli.synth.clone import clone_object, clone_region, cover
from forgecli.synth.copying import pick
from forgecli.synth.figure import compose
from forgecli.synth.finish import finish, scale_card
from forgecli.synth.library import Library, prepare
from forgecli.synth.negatives import draw_negative
from forgecli.synth.recipe import Recipe, weights_of
from forgecli.synth.reuse import overlap_crops, reuse_panel
from forgecli.synth.strips import compose_strips

Masks = NDArray[np.uint8]

_WAYS: dict[str, Callable[[np.random.Generator, Canvas, Recipe], Group | None]] = {
    "object": clone_object,
    "region": clone_region,
    "blot": copy_band,
    "panel": reuse_panel,
    "overlap": overlap_crops,
    "removal": cover,
}
_NEED_FIGURE = {"panel", "overlap"}
_SINGLE_SIDE = 2000
_PLANS, _SOURCES, _TRIES = 12, 6, 3
"""Plans drawn, sources tried for each plan, tries of each step on one source."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """What was made.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        twin: uint8 (H, W, 3), the same without the copies: the same size, noise, annotations and
            compression. Equal to `image` where nothing was copied.
        masks: uint8 (N, H, W), 0 or 1, one channel per group: the source and all its copies. The
            channels do not overlap. N is 0 for an authentic image.
        card: what was done, fit for JSON.
    """

    image: NDArray[np.uint8]
    twin: NDArray[np.uint8]
    masks: Masks
    card: dict[str, Any]


def generate(
    rng: np.random.Generator,
    sources: Sequence[NDArray[np.uint8]],
    recipe: Recipe | None = None,
    kinds: Sequence[str] = (),
) -> Forgery:
    """Make one forgery.

    Args:
        rng: decides everything: the same state and sources give the same forgery.
        sources: authentic images, uint8 (H, W, 3), RGB. May read lazily.
        recipe: what is made and how often; None for the defaults.
        kinds: what each source shows, so that the panels of a figure match and bands are looked
            for in blots; empty if not known.

    Raises:
        ForgeError: nothing could be copied in any of the images that were tried.
    """
    recipe = recipe or Recipe()
    library = Library(sources, kinds)
    for _ in range(_PLANS):
        wanted = _draw_plan(rng, recipe)
        for source in range(_SOURCES):
            started = _start(rng, library, recipe, wanted)
            if started is None:
                continue
            canvas, used, before = started
            for name in wanted:
                for _ in range(_TRIES):
                    if _WAYS[name](rng, canvas, recipe) is not None:
                        break
            # At last, fewer groups than planned will do.
            if len(canvas.groups) == len(wanted) or (canvas.groups and source >= 3):
                made = _finished(rng, canvas, recipe, used, before)
                if made is not None:
                    return made
    raise ForgeError(
        "nothing could be copied in any of the images that were tried.",
        mend="give more images with texture or objects, or widen the recipe",
    )


def generate_authentic(
    rng: np.random.Generator,
    sources: Sequence[NDArray[np.uint8]],
    recipe: Recipe | None = None,
    kinds: Sequence[str] = (),
) -> Forgery:
    """Make one authentic image that is hard to tell from a forgery: no masks, twin is image.

    Raises:
        ForgeError: the sources hold nothing to make one of.
    """
    recipe = recipe or Recipe()
    library = Library(sources, kinds)
    for _ in range(_PLANS * _SOURCES):
        name = pick(rng, weights_of(recipe.negatives))
        made = draw_negative(rng, library, recipe, name)
        if made is None:
            continue
        canvas, used = made
        image, _, _, done = finish(rng, canvas, recipe)
        card = {"label": "authentic", "kind": name, "sources": used, "finish": done}
        empty = np.zeros((0, *image.shape[:2]), np.uint8)
        return Forgery(image, image.copy(), empty, card)
    raise ForgeError("no authentic figure could be made of the images that were tried.")


def _draw_plan(rng: np.random.Generator, recipe: Recipe) -> list[str]:
    """The ways to forge one image, one per group."""
    weights = np.array(recipe.count.instances)
    number = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
    mix = weights_of(recipe.mix)
    first = pick(rng, mix)
    if number == 1:
        return [first]
    # Several forgeries of one image are mostly of one sort: small things, cloned in passing.
    if first != "blot" and mix["object"] > 0 and rng.random() < 0.65:
        first = "object"
    rest = [first if rng.random() < 0.7 else pick(rng, mix) for _ in range(number - 1)]
    if first not in _NEED_FIGURE and "blot" not in (first, *rest):
        rest = [first if name in _NEED_FIGURE else name for name in rest]
    return sorted([first, *rest], key=lambda name: name not in _NEED_FIGURE)


def _start(
    rng: np.random.Generator, library: Library, recipe: Recipe, wanted: list[str]
) -> tuple[Canvas, list[int], dict[str, Any]] | None:
    """A canvas on which the plan may succeed."""
    figure = bool(_NEED_FIGURE & set(wanted)) or rng.random() < recipe.figure.compound
    kind = None
    if "blot" in wanted:
        kinds = library.blot_kinds()
        if kinds:
            kind = str(rng.choice(kinds))
        if figure:
            strips = compose_strips(rng, library, recipe, kind)
            return None if strips is None else (*strips, {})
    if figure:
        composed = compose(rng, library, recipe, kind=kind)
        return None if composed is None else (*composed, {})
    got = library.draw(rng, kind=kind)
    if got is None:
        return None
    pixels, before = prepare(rng, got[1], recipe.finish, _SINGLE_SIDE)
    return single(pixels, library.kinds[got[0]]), [got[0]], dict(before)


def _finished(
    rng: np.random.Generator,
    canvas: Canvas,
    recipe: Recipe,
    used: list[int],
    before: dict[str, Any],
) -> Forgery | None:
    """The forgery, or None if a region came out too small to be seen."""
    image, twin, regions, done = finish(rng, canvas, recipe)
    least = recipe.count.min_pixels
    if any(np.count_nonzero(mask) < least for group in regions for mask in group):
        return None
    masks = np.stack([np.logical_or.reduce(group) for group in regions]).astype(np.uint8)
    across, down = done.get("resample", (1.0, 1.0))
    card = {
        "label": "forged",
        "layout": canvas.layout,
        "panels": len(canvas.panels),
        "sources": used,
        "before": before,
        "groups": [scale_card(group.card, across, down) for group in canvas.groups],
        "finish": done,
    }
    return Forgery(image, twin, masks, card)
