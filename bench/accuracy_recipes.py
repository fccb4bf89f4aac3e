"""Forgeries of held-out sources: by the way they are made, and a common set for the peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy_measure import OURS, Job, Mark, Scene, worth
from bench.accuracy_peers import PEERS
from bench.sources import authentic_files, photographs, spread
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.synth import Recipe, generate
from forgecli.synth.recipe import Mix
from forgecli.synth.sources import LazySources

SEED = 2031
LARGEST = 1_500_000
"""Pixels: larger forgeries are drawn again, and larger authentic images left out, for time."""
WAYS = tuple(field.name for field in fields(Mix))
ANY = "default recipe"
AUTHENTIC = "authentic"
_TRIES = 6


@cache
def _library() -> tuple[LazySources, list[str]]:
    files = photographs(authentic_files()[1])
    return LazySources(files), [file.kind for file in files]


def forgery(way: str, number: int) -> list[Scene]:
    """A forgery made in one way, or with the default recipe, and its authentic twin."""
    recipe = Recipe()
    if way != ANY:
        recipe = Recipe(mix=Mix(**{name: float(name == way) for name in WAYS}))
    sources, kinds = _library()
    for attempt in range(_TRIES):
        rng = np.random.default_rng([SEED, (*WAYS, ANY).index(way), number, attempt])
        try:
            made = generate(rng, sources, recipe, kinds)
        except ForgeError:
            continue
        if made.image.shape[0] * made.image.shape[1] <= LARGEST:
            return [Scene(way, made.image, made.masks), Scene(way, made.twin, made.masks[:0])]
    return []


def authentic(name: str, path: Path, kind: str) -> list[Scene]:
    """An authentic image as it is."""
    try:
        pixels = read_picture(Case(name, path))[0].pixels
    except ForgeError:
        return []
    if pixels.shape[0] * pixels.shape[1] > LARGEST:
        return []
    none = np.zeros((0, *pixels.shape[:2]), np.uint8)
    return [Scene(f"{AUTHENTIC}: {kind}", pixels, none)]


def recipe_jobs(count: int) -> list[Job]:
    """`count` forgeries of every way."""
    return [Job(forgery, (way, number)) for number in range(count) for way in WAYS]


def peer_jobs(count: int, per_kind: int) -> list[Job]:
    """`count` forgeries of the default recipe, and authentic images of every kind."""
    files = spread(authentic_files()[1], per_kind)
    return [
        *(Job(forgery, (ANY, number)) for number in range(count)),
        *(Job(authentic, (file.name, file.path, file.kind)) for file in files),
    ]


def recipe_figures(found: Sequence[Mark]) -> dict[str, Any]:
    """What `worth` says of every way, and of all together."""
    ways = {way: [one for one in found if one.point == way] for way in WAYS}
    return {
        "seed": SEED,
        "ways": {way: worth(part) for way, part in ways.items()} | {"all": worth(found)},
    }


def peer_figures(found: Sequence[Mark]) -> dict[str, Any]:
    """What `worth` says of every method: on forgeries and twins, and on authentic images."""
    methods = {}
    for name in (OURS, *PEERS):
        mine = [one for one in found if one.method == name]
        if mine:
            pairs = [one for one in mine if one.point == ANY]
            plain = [one for one in mine if one.point != ANY]
            methods[name] = {"forgeries and twins": worth(pairs), "authentic": worth(plain)}
    return {"seed": SEED, "methods": methods}
