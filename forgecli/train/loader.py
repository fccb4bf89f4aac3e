"""Batches of crops, read and prepared by worker processes."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from forgecli.console import warn
from forgecli.errors import ForgeError
from forgecli.segment.batch import Batch
from forgecli.segment.preprocess import Preprocess
from forgecli.stop import leave_interrupts
from forgecli.train.data import AugmentSettings, DataSettings
from forgecli.train.index import Item
from forgecli.train.samples import Key, NoSample, Sample, Samples
from forgecli.train.sampling import EpochSampler


def make_loader(
    items: Sequence[Item],
    data: DataSettings,
    augment: AugmentSettings,
    preprocess: Preprocess,
    *,
    batch: int,
    seed: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    pin: bool = False,
) -> Loader:
    """A loader of training batches.

    Args:
        items: what is trained on.
        preprocess: its `size` is the side of the square crops; a multiple of the network's.
        batch: crops of a batch on this rank.
        seed: with the epoch and a sample's position it decides everything that is drawn.
        workers: processes; 0: this one does the work, between two steps.
        rank, world: this process of distributed training, and how many there are; all of them are
            to give the same items, settings and seed.
        pin: whether batches are put into memory that a GPU can read by itself.

    Raises:
        ForgeError: there are no items.
    """
    if not items:
        raise ForgeError("there are no images to train on.")
    sampler = EpochSampler(items, data, batch=batch, seed=seed, rank=rank, world=world)
    cache_bytes = (data.cache_mb << 20) // max(1, workers)
    samples = Samples(items, data, augment, preprocess, seed=seed, cache_bytes=cache_bytes)
    return Loader(samples, sampler, workers=workers, pin=pin)


class Loader:
    """Gives the batches of one epoch after the other; see `make_loader`.

    Worker processes start with the first epoch and live until `close`.

    Attributes:
        problems: how often each file could not be read. Another image of the same class took its
            place, and a warning said so the first time.
    """

    def __init__(
        self, samples: Samples, sampler: EpochSampler, *, workers: int = 0, pin: bool = False
    ) -> None:
        self.problems: Counter[str] = Counter()
        self._sampler = sampler
        self._asked = _Asked(sampler)
        context = _context() if workers else None
        self._loader: DataLoader[Any] | None = DataLoader(
            _Collated(samples),
            sampler=self._asked,
            batch_size=None,  # a key of ours is a whole batch, which a worker makes and collates
            num_workers=workers,
            multiprocessing_context=context,
            persistent_workers=workers > 0,
            worker_init_fn=_start_worker if workers else None,
            pin_memory=pin,
            generator=torch.Generator(),  # leaves torch's global one alone
        )

    def __len__(self) -> int:
        """Batches of an epoch, the same on every rank."""
        return len(self._sampler)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on, which is how a run is resumed.

        Raises:
            ForgeError: an image and all that could take its place cannot be read, or the system
                has ended a worker process.
        """
        if self._loader is None:
            raise ValueError("the loader is closed")
        self._asked.epoch, self._asked.start = number, start
        try:
            for made in self._loader:
                self._report(made)
                yield made.batch
        except (RuntimeError, ConnectionError, EOFError) as error:
            if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                raise
            raise ForgeError(
                "a process that reads training data was ended, most likely for lack of memory.",
                mend="lower the number of workers, the batch or [data] cache_mb",
            ) from error

    def close(self) -> None:
        """End the worker processes. Harmless if repeated."""
        if self._loader is not None:
            iterator = getattr(self._loader, "_iterator", None)
            if iterator is not None and hasattr(iterator, "_shutdown_workers"):
                iterator._shutdown_workers()
            self._loader = None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _report(self, made: _Made) -> None:
        for file, reason in made.problems:
            if not self.problems[file]:
                warn(f"{file}: {reason} Another image of its class is trained on in its place.")
            self.problems[file] += 1
        if made.failed:
            file, reason = made.problems[0]
            raise ForgeError(
                f"cannot be read any more, and neither can {len(made.problems) - 1} others that "
                f"could take its place: {reason}",
                file=file,
                mend="check that the disk with the data set is still there",
            )


@dataclass(slots=True)
class _Made:
    """What a worker sends: a batch, and the files it could not read."""

    batch: Batch
    problems: tuple[tuple[str, str], ...]
    failed: bool = False

    def pin_memory(self) -> _Made:
        """Torch calls this where memory is to be pinned."""
        return _Made(self.batch.pin_memory(), self.problems, self.failed)


class _Collated(Dataset[_Made]):
    """Makes a batch from its keys. An exception would lose its type on the way, so none is sent."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __getitem__(self, keys: list[Key]) -> _Made:
        made: list[Sample] = []
        problems: list[tuple[str, str]] = []
        for key in keys:
            try:
                made.append(self._samples[key])
            except NoSample as failure:
                empty = Batch(torch.empty(0), torch.empty(0), [], [])
                return _Made(empty, failure.problems, failed=True)
            problems += made[-1].problems
        return _Made(collate(made), tuple(problems))


def collate(samples: Sequence[Sample]) -> Batch:
    """One batch of samples of one size."""
    masks = np.stack([sample.instances.any(axis=0) for sample in samples])
    return Batch(
        torch.from_numpy(np.stack([sample.image for sample in samples])),  # (N, C, H, W)
        torch.from_numpy(masks[:, None].astype(np.float32)),  # (N, 1, H, W)
        [torch.from_numpy(sample.instances) for sample in samples],  # each (n, H, W)
        [sample.case_id for sample in samples],
    )


class _Asked:
    """The keys of the epoch that is asked for. Torch iterates over it anew for each epoch."""

    def __init__(self, sampler: EpochSampler) -> None:
        self._sampler = sampler
        self.epoch = self.start = 0

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self._sampler.batches(self.epoch, self.start))

    def __len__(self) -> int:
        return max(0, len(self._sampler) - self.start)


def _context() -> Any:
    """How workers start. A fork of this process could hang in the locks of its threads."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    cast(Any, context).set_forkserver_preload([__name__])  # imports torch once for all workers
    return context


def _start_worker(number: int) -> None:
    """Called in every worker: one thread each, and Ctrl-C is left to the main process."""
    import cv2

    leave_interrupts()
    cv2.setNumThreads(1)
