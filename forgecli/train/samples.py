"""One sample: a picture and its masks read, cropped, changed, and made a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.masks import read_mask
from forgecli.segment.preprocess import Preprocess, channels_of
from forgecli.train.augment import augment
from forgecli.train.crops import Chooser, Pixels, cut, groups_of, pad
from forgecli.train.data import AugmentSettings, DataSettings
from forgecli.train.index import Item

_CROP, _REPLACE = 1, 2  # keep draws of one sample for different ends apart
_MOST_REPLACED = 8

Key = tuple[int, int, int]
"""Epoch, position in it, index of the image. See `sampling.EpochSampler`."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a network sees of an image.

    Attributes:
        image: float32 (C, size, size), 0 to 1.
        instances: uint8 (n, size, size) of 0 and 1, none of them empty.
        problems: files that could not be read, with reasons; another image took their place.
    """

    case_id: str
    image: NDArray[np.float32]
    instances: Pixels
    problems: tuple[tuple[str, str], ...] = ()


class NoSample(Exception):
    """Neither an image nor those that could take its place can be read.

    Attributes:
        problems: files with reasons.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"{len(problems)} files cannot be read")
        self.problems = tuple(problems)


class Samples:
    """Makes samples from keys. A sample depends on the seed and its key alone.

    Args:
        items: what indices in keys count.
        preprocess: its size is the side of the crops.
        cache_bytes: decoded pictures that may be kept. The first ones that fit are, and stay: an
            epoch comes by all of them, so anything that is thrown out for another is missed later.
    """

    def __init__(
        self,
        items: Sequence[Item],
        data: DataSettings,
        changes: AugmentSettings,
        preprocess: Preprocess,
        *,
        seed: int,
        cache_bytes: int = 0,
    ) -> None:
        self._items = tuple(items)
        self._data, self._changes, self._preprocess = data, changes, preprocess
        self._seed = seed
        extents = tuple(item.facts.extent for item in items if item.forged)
        self._chooser = Chooser(preprocess.size, preprocess.view, data, extents)
        self._free = cache_bytes
        self._cache: dict[int, tuple[Pixels, Pixels, int]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Key) -> Sample:
        """The sample of a key, or of an image of the same class where that one cannot be read.

        Raises:
            NoSample: eight others could not be read either.
        """
        epoch, position, index = key
        problems: list[tuple[str, str]] = []
        for turn, candidate in enumerate(self._candidates(epoch, position, index)):
            try:
                pixels, masks = self._read(candidate)
            except (Unreadable, TooLarge) as failure:
                problems.append((str(failure.file or self._items[candidate].case.image),
                                 failure.what))  # fmt: skip
                continue
            rng = np.random.default_rng((self._seed, epoch, position, _CROP, turn))
            image, instances = self._make(pixels, masks, rng)
            case_id = self._items[candidate].case.case_id
            return Sample(case_id, image, instances, tuple(problems))
        raise NoSample(problems)

    def _candidates(self, epoch: int, position: int, index: int) -> list[int]:
        """The image that is asked for, then others of its class in an order drawn for the key."""
        rng = np.random.default_rng((self._seed, epoch, position, _REPLACE))
        forged = self._items[index].forged
        drawn = rng.permutation(len(self._items))
        others = [int(i) for i in drawn if i != index and self._items[i].forged == forged]
        return [index, *others[:_MOST_REPLACED]]

    def _make(
        self, pixels: Pixels, masks: Pixels, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], Pixels]:
        groups = groups_of(masks)
        height, width = pixels.shape[:2]
        window = self._chooser.choose((height, width), groups, rng)
        crop = cut(pixels, masks, groups, window, self._data.lone_regions)
        crop = pad(augment(crop, self._changes, rng), self._preprocess.size)
        return channels_of(crop.pixels, self._preprocess.ela), crop.masks

    def _read(self, index: int) -> tuple[Pixels, Pixels]:
        """Pixels (H, W, 3) and masks (n, H, W) of an image."""
        if index in self._cache:
            pixels, packed, width = self._cache[index]
            return pixels, np.unpackbits(packed, axis=-1, count=width)
        case = self._items[index].case
        pixels = read_picture(case, self._data.max_pixels)[0].pixels
        height, width = pixels.shape[:2]
        masks = np.zeros((0, height, width), np.uint8)
        if case.mask is not None:
            masks = read_mask(case.mask, (height, width))[0]
            if not len(masks):
                raise Unreadable("It is forged but its mask is empty.", file=case.mask)
        packed = np.packbits(masks, axis=-1)
        if pixels.nbytes + packed.nbytes <= self._free:
            self._free -= pixels.nbytes + packed.nbytes
            self._cache[index] = (pixels, packed, width)
        return pixels, masks
