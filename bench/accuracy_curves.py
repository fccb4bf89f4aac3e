"""How recall and outline hold against one change at a time of a pasted copy.

Copies of a known size are pasted by the machinery of `forge synth` into crops of held-out images.
At the base point a copy is moved and nothing else; every other point differs from it in one thing.
Point by point the crops are the same, and so is what is copied where its size is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from bench.accuracy_measure import Job, Mark, Pixels, Scene, worth
from bench.sources import authentic_files, photographs, spread
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.synth import Recipe
from forgecli.synth.canvas import single
from forgecli.synth.clone import place_with_texture, widened
from forgecli.synth.copying import Edge, copy_region
from forgecli.synth.library import jpeg
from forgecli.synth.outline import freehand
from forgecli.synth.recipe import Tone
from forgecli.synth.transform import Turn, noise_like

CROP = 512
"""Side of the crops: large enough for a copy of any size here beside its source."""
SEED = 2029
FILES_PER_KIND = 4
_SMALLEST = 256
TRIES = 12
"""Crops that are tried for a place."""
_PLAIN = Recipe(tone=Tone(contrast=0, brightness=0, gamma=0, invert=0, blur=0, noise=0))
_EDGE = Edge("feather", 1.5)


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a copy and to the picture after it.

    Attributes:
        angle: degrees. scale: of lengths.
        size: side in pixels of a square of the copied region's area, before it is scaled.
        jpeg: quality, None: not compressed.
        noise: standard deviation in grey levels.
        drawn: angle, mirror, scale and size are drawn by chance within what the project aims at:
            any angle, mirrored or not, 0.8 to 1.25, 32 to 96 pixels.
        inverted: the copy is the negative of its source.
    """

    angle: float = 0.0
    mirrored: bool = False
    scale: float = 1.0
    size: float = 64.0
    jpeg: int | None = None
    noise: float = 0.0
    drawn: bool = False
    inverted: bool = False


BASE = Change()
AIM = Change(drawn=True, jpeg=80)
"""All together, as the project's aim has it: recall of 0.9 at 1 % false positives."""

CURVES: dict[str, dict[float, Change]] = {
    "rotation": {a: replace(BASE, angle=float(a)) for a in (0, 5, 15, 30, 45, 90, 135, 180)},
    "scale": {s: replace(BASE, scale=s) for s in (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)},
    "jpeg": {q: replace(BASE, jpeg=q if q < 100 else None) for q in (50, 60, 70, 80, 90, 95, 100)},
    "noise": {n: replace(BASE, noise=float(n)) for n in (0, 1, 2, 4, 8)},
    "size": {s: replace(BASE, size=float(s)) for s in (16, 24, 32, 48, 64, 96)},
    "mirror": {m: replace(BASE, mirrored=bool(m)) for m in (0, 1)},
}
"""By name: the value on the axis, and what it means. JPEG 100 stands for none."""


def points() -> dict[str, Change]:
    """All changes by name, those that stand in several curves once."""
    distinct = {change for curve in CURVES.values() for change in curve.values()}
    return {repr(change): change for change in (*sorted(distinct, key=repr), AIM)}


@cache
def crops() -> list[tuple[Pixels, str]]:
    """Crops of held-out images in a fixed order that mixes their kinds, and their kinds."""
    found = []
    files = spread(photographs(authentic_files()[1]), FILES_PER_KIND)
    for number in np.random.default_rng(SEED).permutation(len(files)):
        file = files[number]
        try:
            pixels = read_picture(Case(file.name, file.path))[0].pixels
        except ForgeError:
            continue
        if min(pixels.shape[:2]) < _SMALLEST:
            continue
        top, left = ((side - min(side, CROP)) // 2 for side in pixels.shape[:2])
        crop = np.ascontiguousarray(pixels[top : top + CROP, left : left + CROP])
        found.append((crop, file.kind))
    return found


def pasted(
    rng: np.random.Generator, pixels: Pixels, kind: str, change: Change
) -> tuple[Pixels, Any] | None:
    """A picture with one copied region and its mask, uint8 (1, H, W); None if there is no place."""
    canvas = single(pixels, kind)
    panel = canvas.panels[0]
    if change.drawn:
        change = replace(
            change,
            angle=float(rng.uniform(0, 360)),
            mirrored=bool(rng.random() < 0.5),
            scale=float(np.exp(rng.uniform(np.log(0.8), np.log(1.25)))),
            size=float(np.exp(rng.uniform(np.log(32), np.log(96)))),
        )
    # A hand-drawn outline fills about three quarters of its box.
    side = change.size / np.sqrt(0.76)
    aspect = float(np.exp(rng.uniform(-0.2, 0.2)))
    outline = place_with_texture(
        rng, canvas, panel, freehand(rng, round(side * aspect), round(side / aspect))
    )
    if outline is None:
        return None
    source = outline.full(canvas.shape)
    made = copy_region(
        rng,
        canvas,
        outline,
        panel,
        _PLAIN,
        turn=Turn(change.angle, change.mirrored, change.scale),
        edge=_EDGE,
        forbidden=canvas.taken | widened(source),
    )
    if made is None:
        return None
    if change.inverted:
        canvas.image[made[0]] = 255 - canvas.image[made[0]]
    return canvas.image, (source | made[0]).astype(np.uint8)[None]


def finished(rng: np.random.Generator, pixels: Pixels, change: Change) -> Pixels:
    """What happens to the whole picture."""
    if change.noise:
        noisy = pixels + noise_like(rng, pixels.astype(np.float32), change.noise)
        pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return pixels if change.jpeg is None else jpeg(pixels, change.jpeg)


def scenes(name: str, number: int, change: Change | None = None) -> list[Scene]:
    """One copy, and for the base and the aim the same crop untouched.

    Nothing where no place was found for a copy.

    Args:
        name: what it is counted under.
        number: of the crop to begin with.
        change: what is done to the copy; None: that of the point of this name.
    """
    change = change or points()[name]
    those = crops()
    for attempt in range(TRIES):
        rng = np.random.default_rng([SEED, number, attempt])
        pixels, kind = those[(number + attempt * 7) % len(those)]
        made = pasted(rng, pixels, kind, change)
        if made is None:
            continue
        image, masks = made
        noise = rng.integers(2**32)  # the twin has the same
        found = [Scene(name, finished(np.random.default_rng(noise), image, change), masks)]
        if change in (BASE, AIM):
            twin = finished(np.random.default_rng(noise), pixels, change)
            found.append(Scene(name, twin, masks[:0]))
        return found
    return []


def jobs(count: int) -> list[Job]:
    """`count` copies at every point."""
    return [Job(scenes, (name, number)) for number in range(count) for name in points()]


def figures(found: Sequence[Mark]) -> dict[str, Any]:
    """The curves: for each its points in order, with what `worth` says; and the aim."""
    at: dict[str, list[Mark]] = {}
    for one in found:
        at.setdefault(one.point, []).append(one)
    return {
        "base": "a copy of the area of 64 x 64 pixels, moved, soft edge of 3 px",
        "curves": {
            name: [
                {"at": value, **worth(at.get(repr(change), []))} for value, change in curve.items()
            ]
            for name, curve in CURVES.items()
        },
        "aim": worth(at.get(repr(AIM), [])),
    }
