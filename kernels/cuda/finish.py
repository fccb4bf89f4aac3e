"""From the logits of a batch to scores and components, on a GPU, without a stall.

A finisher gives a stream all there is to do at once, and downloads what a batch of usual masks
needs; the host asks an event whether it is there. Only where masks have more runs than that, a
second download brings the others, and it is asked for in the same way. Nothing waits for a stream
or for the device.

It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.components import Components
from kernels.cuda.batch import ImageTable, Table
from kernels.cuda.components import PIECE_BYTES, ComponentFinder, split, words_of
from kernels.cuda.device import Buffer, Device, Event, Stream
from kernels.cuda.logits import LEVEL, finish, work_size
from kernels.grouped import group

MOST_RUNS = 65_536
"""Pieces (runs within a column) of a picture. A mask of a few blobs has hundreds to thousands; one
of more than this is noise."""

FIRST_PIECES = 1024
"""Of each picture of a batch, on average: these are downloaded before it is known how many there
are. They take about as long as the call."""


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What is left of a picture.

    Attributes:
        score: the logit of the pixel of `rank`, a float32 value.
        finite: whether all logits of its view are finite numbers. If not, the score means nothing.
        overflow: its mask has more than `most_runs` pieces: the picture is to be finished on the
            CPU.
        components: as `kernels.components.components(mask, connectivity, min_area)` gives them;
            None on overflow, and where logits are not finite.
    """

    score: float
    finite: bool
    overflow: bool
    components: Components | None


class Finisher:
    """The buffers of one lane, for one batch at a time.

    Args:
        images: pictures of a batch, at most.
        pixels: of all pictures of a batch together, at full size. A batch of more, or of very
            low pictures, makes room for itself, which takes a while and may be a `MemoryError`.
        most_runs: pieces (runs within a column) of a picture, at most; one of more is marked
            `Finished.overflow`. Each costs 28 bytes of the GPU's memory and 12 of pinned memory,
            for each of `images`.
        connectivity: 4 or 8.

    Raises:
        MemoryError: the device has not so much.
        ValueError: another connectivity, or a number that is out of range.
    """

    def __init__(
        self,
        device: Device,
        *,
        images: int,
        pixels: int,
        most_runs: int = MOST_RUNS,
        connectivity: int = 4,
    ) -> None:
        # A picture begins at a multiple of 4 words, and a column at a whole one.
        words = max(1, pixels // 32 + pixels // 256 + 4 * images)
        self._device = device
        self._finder = ComponentFinder(
            device, images=images, words=words, most=most_runs, connectivity=connectivity
        )
        self._words = device.allocate(4 * words)
        self._rows = device.allocate(ImageTable.itemsize * images)
        self._work = device.allocate(work_size(images))
        self._table = _view(device, ImageTable, images)
        self._levels = _view(device, LEVEL, images)
        self._found = _view(device, np.dtype(np.uint32), images, 2)
        self._copied = _view(device, np.dtype(np.int32), images * most_runs, 3)
        self._first = min(FIRST_PIECES, most_runs)  # for each picture
        self._busy = False

    @property
    def images(self) -> int:
        """Pictures of a batch, at most."""
        return self._finder.images

    def enqueue(
        self, stream: Stream, logits: Buffer, shape: tuple[int, int, int, int], table: Table
    ) -> Ticket:
        """Give a batch to a stream; returns at once.

        Args:
            logits: float32 `shape`; once the ticket is ready they may be written to again.
            shape: (N, K, h, w).
            table: (n,), n up to N, with offsets from `kernels.cuda.batch.place`; copied.

        Raises:
            RuntimeError: the results of the batch before have not been taken.
            ValueError: there is no room for so many pictures, or the table is wrong.
            MemoryError: there is no room for so many pixels.
        """
        if self._busy:
            raise RuntimeError("the results of the batch before have not been taken")
        needed = words_of(table)
        if needed > self._finder.words:
            words = self._device.allocate(4 * needed)  # first, for it may fail
            self._finder.reserve(needed)
            self._words = words
        self._finder.check(table)
        if logits.size < 4 * int(np.prod(shape, dtype=np.int64)):
            raise ValueError(f"logits {shape} do not fit into {logits.size} bytes")
        count = len(table)
        device, finder = self._device, self._finder
        self._table[:count] = table
        rows = self._table[:count]
        device.upload(rows, self._rows, stream)
        finish(device, stream, rows, self._rows, logits, shape, self._words, self._work)
        finder.enqueue(stream, self._words, rows, self._rows)
        device.download(self._work, self._levels[:count], stream)
        device.download(finder.found, self._found[:count], stream)
        device.download(finder.copied, self._copied[: count * self._first], stream)
        ticket = Ticket(self, stream, count)
        self._busy = True
        return ticket

    def _copy_others(self, stream: Stream, count: int) -> bool:
        """Ask for the pieces that the first download left out; False if there are none."""
        first, end = count * self._first, int(self._found[:count, 1].sum(dtype=np.int64))
        if end <= first:
            return False
        self._device.download(
            self._finder.copied, self._copied[first:end], stream, at=PIECE_BYTES * first
        )
        return True

    def _event(self, stream: Stream) -> Event:
        return self._device.event(stream)

    def _take(self, count: int) -> list[Finished]:
        """The results, as arrays of their own."""
        pieces = split(self._found[:count], self._copied)
        finished = []
        for row, level, (total, _), own in zip(
            self._table[:count], self._levels[:count], self._found[:count], pieces, strict=True
        ):
            finite, overflow = not level["not_finite"], int(total) > self._finder.most
            components = None
            if finite and not overflow:
                components = group(own, int(row["height"]), int(total))
            finished.append(Finished(float(level["score"]), finite, overflow, components))
        self._busy = False
        return finished


class Ticket:
    """A batch under way. `Finisher.enqueue` makes it."""

    def __init__(self, finisher: Finisher, stream: Stream, count: int) -> None:
        self._finisher, self._stream, self._count = finisher, stream, count
        self._event = finisher._event(stream)
        self._second = self._complete = self._taken = False

    def ready(self) -> bool:
        """Whether results can be had. Does not wait.

        To be asked again and again: where a second download is needed, this starts it.
        """
        if not self._complete and self._event.ready():
            self._advance()
        return self._complete

    def wait(self) -> None:
        """Wait on the host until `ready`, for callers that have nothing else to do."""
        while not self._complete:
            self._event.wait()
            self._advance()

    def results(self) -> list[Finished]:
        """One per picture, in the order of the table. Frees the finisher for the next batch.

        Raises:
            RuntimeError: not `ready`, or taken before.
        """
        if not self.ready():
            raise RuntimeError("the batch is not ready")
        if self._taken:
            raise RuntimeError("the results were taken before")
        self._taken = True
        return self._finisher._take(self._count)

    def _advance(self) -> None:
        """The event has happened: done, or on to the second download."""
        if not self._second and self._finisher._copy_others(self._stream, self._count):
            self._second = True
            self._event = self._finisher._event(self._stream)
        else:
            self._complete = True


def _view(device: Device, dtype: np.dtype[Any], *shape: int) -> NDArray[Any]:
    """Pinned memory as an array."""
    size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    return device.pinned(size).view(dtype).reshape(shape)
