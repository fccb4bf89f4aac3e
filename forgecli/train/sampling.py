"""The order in which an epoch shows the images: balanced, seeded, cut into slices for each rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forgecli.train.data import SamplingSettings
from forgecli.train.index import Item

_ORDER = 0x0EDE  # keeps these draws apart from those of crops, which use the same seed and epoch


def weights_of(items: Sequence[Item], settings: SamplingSettings) -> NDArray[np.float64]:
    """How often each image is to be drawn, relative to the others; float64 (n,), sum 1."""
    forged = np.array([item.forged for item in items], bool)
    small = forged & (np.array([item.facts.coverage for item in items]) < settings.small_below)
    weights = np.where(small, settings.small_weight, 1.0)
    share = settings.forged_share
    for chosen, part in ((forged, share), (~forged, 1 - share)):
        if chosen.any() and not chosen.all():
            weights[chosen] *= part / weights[chosen].sum()
    return np.asarray(weights / weights.sum())


def epoch_order(
    weights: NDArray[np.float64],
    length: int,
    *,
    seed: int,
    epoch: int,
    classes: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Which images an epoch shows, in which order.

    Systematic sampling: an image whose expected number of draws is 1.4 is drawn once or twice,
    never 0 or 3 times, so an epoch still shows nearly all images. Which ones are drawn once more
    changes with the epoch, and depends on nothing but the arguments.

    Args:
        weights: float64 (n,), sum 1.
        length: samples of the epoch.
        classes: bool (n,); with it, each class has its share to within one sample as well.

    Returns:
        int64 (length,), indices into `weights`.
    """
    rng = np.random.default_rng((seed, epoch, _ORDER))
    shuffled = rng.permutation(len(weights))
    if classes is not None:
        shuffled = shuffled[np.argsort(classes[shuffled], kind="stable")]
    edges = np.cumsum(weights[shuffled])
    ticks = (np.arange(length) + rng.random()) / length * edges[-1]
    drawn = shuffled[np.minimum(np.searchsorted(edges, ticks, side="right"), len(weights) - 1)]
    return np.asarray(rng.permutation(drawn), np.int64)


def epoch_length(images: int, settings: SamplingSettings, batch: int, world: int) -> int:
    """Samples of an epoch on all ranks together: whole batches on each.

    A last batch of one or two crops would make poor statistics for batch normalisation, and
    ranks with unequal numbers of batches would wait for each other forever.
    """
    step = batch * world
    return -(-(settings.epoch_samples or images) // step) * step


class EpochSampler:
    """The batches of one rank in an epoch, as keys that say all a worker has to know.

    A key is (epoch, position, index): the position in the order of all ranks, and the image. What
    is drawn for a sample depends on the seed and its key alone, neither on the worker that makes
    it, nor on how many there are.

    Args:
        batch: samples of a batch of one rank.
        rank, world: this process, and how many there are. Batch k of all ranks together holds the
            positions that batch k of one process would hold, had it `world` times the size.
    """

    def __init__(
        self,
        items: Sequence[Item],
        settings: SamplingSettings,
        *,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._weights = weights_of(items, settings)
        self._classes = np.array([item.forged for item in items], bool)
        self._length = epoch_length(len(items), settings, batch, world)
        self._batch, self._seed, self._rank, self._world = batch, seed, rank, world

    def __len__(self) -> int:
        """Batches of an epoch of this rank."""
        return self._length // (self._batch * self._world)

    def batches(self, epoch: int, start: int = 0) -> list[list[tuple[int, int, int]]]:
        """The keys of each batch from batch `start` on."""
        order = epoch_order(
            self._weights, self._length, seed=self._seed, epoch=epoch, classes=self._classes
        )
        own = range(self._rank, self._length, self._world)
        keys = [(epoch, position, int(order[position])) for position in own]
        firsts = range(start * self._batch, len(keys), self._batch)
        return [keys[first : first + self._batch] for first in firsts]
