"""The authentic images that forgeries are made of, read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.synth.canvas import Pixels
from forgecli.synth.recipe import Finish
from forgecli.synth.texture import is_drawn

_SMALLEST = 96
"""Images with a shorter side are left out: nothing can be hidden in them."""
_TRIES = 20
_ALIKE = 0.93
"""Correlation of thumbnails above which two pictures are not put into one figure."""
_BLOT_WORDS = ("blot", "gel")
_CHART_NAMES = {"chart", "charts", "diagram", "diagrams", "graph", "graphs", "plot", "plots"}


def is_blot(kind: str) -> bool:
    """Whether the name of a kind says that it shows blots or gels."""
    return any(word in kind.lower() for word in _BLOT_WORDS)


class Library:
    """Draws source images by chance, micrographs apart from charts.

    Args:
        sources: uint8 (H, W, 3) each, RGB; read again at every access, so it may be lazy.
        kinds: what each shows (the name of its folder, say); empty if that is not known. Names
            that contain "blot" or "gel" are where bands are looked for first.

    Raises:
        ValueError: there are no sources, or as many kinds as there are sources are not given.
    """

    def __init__(self, sources: Sequence[NDArray[np.uint8]], kinds: Sequence[str] = ()) -> None:
        if len(sources) == 0:
            raise ValueError("no source images. Got: an empty sequence")
        if kinds and len(kinds) != len(sources):
            raise ValueError(f"one kind per source is needed. Got: {len(kinds)}, {len(sources)}")
        self._sources = sources
        self.kinds = list(kinds) if kinds else [""] * len(sources)
        self._by_kind: dict[str, list[int]] = {}
        for index, kind in enumerate(self.kinds):
            self._by_kind.setdefault(kind, []).append(index)

    def blot_kinds(self) -> list[str]:
        """The kinds that show blots or gels, by their names."""
        return [kind for kind in self._by_kind if is_blot(kind)]

    def size(self, kind: str) -> int:
        """How many images there are of a kind."""
        return len(self._by_kind.get(kind, ()))

    def draw(
        self,
        rng: np.random.Generator,
        *,
        kind: str | None = None,
        drawn: bool = False,
        besides: Sequence[int] = (),
        unlike: Sequence[Pixels] = (),
    ) -> tuple[int, Pixels] | None:
        """Draw an image.

        Args:
            kind: of this kind only; None draws a kind first, with the square root of its size as
                the weight, so that a large folder does not outweigh all others.
            drawn: a chart or drawing, instead of a micrograph.
            besides: indices not to draw.
            unlike: pictures that the one drawn must not look like (see `alike`).

        Returns:
            its index and uint8 (H, W, 3); None if nothing suitable came up in some tries.
        """
        for _ in range(_TRIES):
            name = kind if kind is not None else self._draw_kind(rng)
            index = int(rng.choice(self._by_kind[name]))
            if index in besides:
                continue
            named = self.kinds[index].lower() in _CHART_NAMES
            if named and not drawn:
                continue
            pixels = self._sources[index]
            if min(pixels.shape[:2]) < _SMALLEST or (named or is_drawn(pixels)) != drawn:
                continue
            if not drawn and int(pixels.max()) - int(pixels.min()) < 12:
                continue
            if any(alike(pixels, other) for other in unlike):
                continue
            return index, pixels
        return None

    def _draw_kind(self, rng: np.random.Generator) -> str:
        names = list(self._by_kind)
        weights = np.sqrt([len(self._by_kind[name]) for name in names])
        return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def alike(first: Pixels, second: Pixels) -> bool:
    """Whether two pictures seem to show one field: frames of a film, slices of a stack.

    Side by side they would be a reuse that no mask records. Compares thumbnails of 64 x 64.
    """
    both = []
    for pixels in (first, second):
        step = max(1, min(pixels.shape[:2]) // 256)
        thumbnail = cv2.resize(pixels[::step, ::step], (64, 64), interpolation=cv2.INTER_AREA)
        small = thumbnail.mean(axis=2).ravel()
        small = small - small.mean()
        both.append(small / max(1e-6, float(np.linalg.norm(small))))
    return float(both[0] @ both[1]) > _ALIKE


def prepare(
    rng: np.random.Generator, pixels: Pixels, finish: Finish, longest: int
) -> tuple[Pixels, dict[str, int]]:
    """What a picture went through before it got into the forger's hands: size and JPEG.

    Returns:
        the picture, its long side `longest` at most, and what was done, for the card.
    """
    done: dict[str, int] = {}
    factor = longest / max(pixels.shape[:2])
    if factor < 1:
        less = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(less, np.uint8)
    if rng.random() < finish.jpeg_before:
        quality = int(rng.integers(finish.jpeg_before_range[0], finish.jpeg_before_range[1] + 1))
        pixels = jpeg(pixels, quality)
        done["jpeg_before"] = quality
    return np.ascontiguousarray(pixels), done


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """An image after compression, uint8 (H, W, 3)."""
    ok, packed = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok, "a JPEG of an image in memory"
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert unpacked is not None
    return np.ascontiguousarray(unpacked[:, :, ::-1])
