"""Recipes that do one thing, for the tests of synth."""

from __future__ import annotations

import dataclasses

from forgecli.synth.recipe import (
    Annotate,
    Finish,
    Geometry,
    Mix,
    Paste,
    Recipe,
    Tone,
)

WAYS = ("object", "region", "blot", "panel", "overlap", "removal")
UNCHANGED = Tone(contrast=0, brightness=0, gamma=0, invert=0, blur=0, noise=0)
AS_IT_IS = Finish(jpeg_before=0, resample=0, blur=0, noise=0, jpeg=0)
BARE = Annotate(letters=0, titles=0, lane_labels=0, scale_bar=0, arrow=0, box=0)
HARD = Paste(feather=0, hard=1, poisson=0, level=0)


def exact(**changes: object) -> Recipe:
    """Copies are pixels moved as they are: no interpolation, no new grey levels, a hard edge."""
    plain = Recipe(
        geometry=Geometry(rotate=0, quarter_turn=0.5, mirror=0.5, scale=0),
        tone=UNCHANGED,
        paste=HARD,
        finish=AS_IT_IS,
        annotate=BARE,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def only(way: str, recipe: Recipe | None = None) -> Recipe:
    """A recipe that knows one way to forge."""
    mix = Mix(**{name: float(name == way) for name in WAYS})
    return dataclasses.replace(recipe or Recipe(), mix=mix)
