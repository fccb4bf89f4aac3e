"""Single images with a cloned object or region: the set that the aim of the detector speaks of.

No compound figures, no blots and no drawings: micrographs and photographs of held-out sources, one
for each scene, each forged by `forge synth` with its default recipe but for the way (an object or a
region, in the proportion of the recipe) and the layout, beside its authentic twin. Copies are
turned, mirrored, scaled, blended and toned, and images resampled, blurred, noised and compressed as
often as the recipe has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from bench.accuracy_measure import Job, Mark, Scene, worth
from bench.sources import authentic_files, photographs
from forgecli.errors import ForgeError
from forgecli.synth import Recipe, generate
from forgecli.synth.library import is_blot
from forgecli.synth.recipe import Figure, Mix
from forgecli.synth.sources import LazySources

SEED = 2039
LARGEST = 1_500_000
"""Pixels: larger forgeries are drawn again, for time."""
SMALL = 800
"""Pixels of a group's regions, on average, under which it is counted as small too."""
HEAVY = 90
"""JPEG quality of the finished image under which it is counted as compressed too."""
ALL = "all"
_TRIES = 6


def recipe() -> Recipe:
    """The default recipe, of single images and of objects and regions alone."""
    plain = Recipe()
    ways = Mix(object=plain.mix.object, region=plain.mix.region, blot=0, panel=0, overlap=0,
               removal=0)  # fmt: skip
    return replace(plain, mix=ways, figure=Figure(compound=0.0))


@cache
def _library() -> tuple[LazySources, list[str]]:
    files = [file for file in photographs(authentic_files()[1]) if not is_blot(file.kind)]
    return LazySources(files), [file.kind for file in files]


def pair(number: int) -> list[Scene]:
    """A forgery and its authentic twin, each counted under its tags."""
    sources, kinds = _library()
    for attempt in range(_TRIES):
        rng = np.random.default_rng([SEED, number, attempt])
        try:
            made = generate(rng, sources, recipe(), kinds)
        except ForgeError:
            continue
        if made.image.shape[0] * made.image.shape[1] <= LARGEST:
            kind = kinds[made.card["sources"][0]]
            point = ",".join((kind, *tags(made.card, made.masks)))
            return [Scene(point, made.image, made.masks), Scene(kind, made.twin, made.masks[:0])]
    return []


def tags(card: Mapping[str, Any], masks: Any) -> list[str]:
    """What was done to the copies of a forgery, and how small they are.

    Args:
        card: as `generate` makes it.
        masks: uint8 (N, H, W), a channel for each group: source and copies.
    """
    copies = [copy for group in card["groups"] for copy in group["copies"]]
    turned = any(abs((copy["angle"] + 180.0) % 360.0 - 180.0) > 1.0 for copy in copies)
    mirrored = any(copy["mirrored"] for copy in copies)
    scaled = any(abs(copy["scale"] - 1.0) > 0.01 for copy in copies)
    areas = [
        np.count_nonzero(mask) / (1 + len(group["copies"]))
        for mask, group in zip(masks, card["groups"], strict=True)
    ]
    said = {
        "moved only": not (turned or mirrored or scaled),
        "turned": turned,
        "mirrored": mirrored,
        "scaled": scaled,
        f"JPEG under {HEAVY}": card["finish"].get("jpeg", 100) < HEAVY,
        f"under {SMALL} px": min(areas) < SMALL,
    }
    return [name for name, is_so in said.items() if is_so]


def jobs(count: int) -> list[Job]:
    """So many forgeries and their twins."""
    return [Job(pair, (number,)) for number in range(count)]


def figures(found: Sequence[Mark]) -> dict[str, Any]:
    """What `worth` says of all together and of every tag, by which a forgery counts several times.

    What is said of changes is said of forgeries; kinds have authentic images too.
    """
    of = [(one, one.point.split(",")) for one in found]
    kinds = sorted({names[0] for _, names in of})
    changes = sorted({name for _, names in of for name in names[1:]})
    parts = {ALL: list(found)} | {
        name: [one for one, names in of if name in names] for name in (*kinds, *changes)
    }
    return {
        "seed": SEED,
        "largest_pixels": LARGEST,
        "recipe": recipe().tables(),
        "parts": {name: worth(part) for name, part in parts.items()},
    }
