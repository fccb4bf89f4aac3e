"""One stream of the GPU with its memory: a batch at a time, from pixels to what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.base import LaneEngine
from kernels.cuda.batch import ImageTable, Table, place
from kernels.cuda.device import Buffer, Device, Event
from kernels.cuda.finish import Finished, Finisher, Ticket
from kernels.cuda.prepare import prepare

Frame = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a picture on the host.

    Attributes:
        finished: its score and components.
        logits: float32 (K, h, w) of its view, where its components did not fit into the memory for
            them; else None.
    """

    finished: Finished
    logits: NDArray[np.float32] | None = None


@dataclass(slots=True, eq=False)
class _Room:
    """The memory of a lane, for batches of so many pixels."""

    pixels: int
    table: NDArray[np.uint8]
    rows: Buffer
    packed: Buffer
    inputs: Buffer
    logits: Buffer
    finisher: Finisher


@dataclass(slots=True, eq=False)
class _Batch:
    """A batch under way."""

    shape: tuple[int, int, int, int]
    table: Table
    uploaded: Event
    ticket: Ticket
    finished: list[Finished] | None = None
    fetched: Event | None = None
    logits: dict[int, NDArray[np.float32]] | None = None


class Lane:
    """Gives batches to a stream and polls for their end; nothing here waits.

    It has run on the host's stand-in for a GPU only.

    Args:
        device: the GPU.
        engine: the network.
        number: of this lane in the engine.
        images: pictures of a batch, at most.
        pixels: of all pictures of a batch, at most; a single one may have more.
        largest: pixels of the largest frame.
    """

    def __init__(
        self,
        device: Device,
        engine: LaneEngine,
        number: int,
        *,
        images: int,
        pixels: int,
        largest: int,
    ) -> None:
        self._device = device
        self._engine = engine
        self._number = number
        self._images = images
        self._fewest = engine.smallest
        self._pixels = pixels
        self._largest = largest
        self._stream = device.stream()
        self._room: _Room | None = None
        self._batch: _Batch | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is under way."""
        return self._batch is not None

    @property
    def images(self) -> int:
        """Pictures of a batch, at most."""
        return self._images

    def shrink(self, images: int) -> None:
        """Take fewer pictures at once from now on, and give back the memory until then."""
        if self.busy:
            raise RuntimeError("a batch is under way")
        self._pixels = max(1, self._pixels * images // self._images)
        self._images = images
        self._room = None

    def reset(self) -> None:
        """Forget the batch under way and the memory. The GPU must be done with both."""
        self._batch = self._room = None

    def send(self, pictures: Sequence[NDArray[np.uint8]], frame: Frame, table: Table) -> None:
        """Begin a batch.

        If this raises, the pictures are no longer being read, and the lane is as it was.

        Args:
            pictures: uint8 (H, W, 3), C-contiguous, pinned. They stay as they are until `uploaded`.
            frame: (h, w) of the network's input.
            table: `ImageTable` (n,), all but the offsets set.

        Raises:
            MemoryError: the GPU has not enough.
            RuntimeError: the engine refused the work.
            ValueError: a batch that this lane or its engine does not take.
        """
        if self.busy:
            raise RuntimeError("a batch is under way")
        if not 0 < len(pictures) <= self._images or len(table) != len(pictures):
            raise ValueError(f"a batch has 1 to {self._images} pictures. Got: {len(pictures)}")
        if frame[0] * frame[1] > self._largest:
            raise ValueError(f"frames have up to {self._largest} pixels. Got: {frame}")
        pixels = int((table["height"].astype(np.int64) * table["width"]).sum())
        room = self._with_room(max(pixels, self._pixels))
        spec = self._engine.spec
        try:
            self._batch = self._begun(room, pictures, frame, table, spec.channels, spec.outputs)
        except BaseException:
            self._device.event(self._stream).wait()  # the pictures may still be on their way
            raise

    def uploaded(self) -> bool:
        """Whether the pictures of the batch under way are on the GPU, or there is none."""
        return self._batch is None or self._batch.uploaded.ready()

    def results(self) -> list[Left] | None:
        """What is left of each picture, in order; None until it can be had. Then the lane is free.

        Raises:
            RuntimeError: the GPU failed.
        """
        batch = self._batch
        if batch is None:
            raise RuntimeError("no batch is under way")
        if batch.finished is None:
            if not batch.ticket.ready():
                return None
            batch.finished = batch.ticket.results()
            self._fetch(batch, batch.finished)
        if batch.fetched is not None and not batch.fetched.ready():
            return None
        maps = batch.logits or {}
        self._batch = None
        if self._room is not None and self._room.pixels > self._pixels:
            self._room = None  # one very large picture: the next needs less
        return [Left(one, maps.get(index)) for index, one in enumerate(batch.finished)]

    def _begun(
        self,
        room: _Room,
        pictures: Sequence[NDArray[np.uint8]],
        frame: Frame,
        table: Table,
        channels: int,
        outputs: int,
    ) -> _Batch:
        device, stream = self._device, self._stream
        count = max(len(pictures), self._fewest)  # what is there of other pictures fills it up
        place(table)
        rows = room.table[: table.nbytes].view(ImageTable)
        rows[:] = table
        device.upload(rows, room.rows, stream)
        for pixels, offset in zip(pictures, table["pixel_offset"].tolist(), strict=True):
            device.upload(pixels, room.packed, stream, at=offset)
        uploaded = device.event(stream)
        prepare(device, stream, rows, room.rows, room.packed, frame, room.inputs)
        self._engine.enqueue(
            self._number,
            room.inputs.pointer,
            room.logits.pointer,
            (count, channels, *frame),
            stream.handle,
        )
        shape = (count, outputs, *frame)
        ticket = room.finisher.enqueue(stream, room.logits, shape, rows)
        return _Batch(shape, table, uploaded, ticket)

    def _fetch(self, batch: _Batch, finished: Sequence[Finished]) -> None:
        """Ask for the logits of pictures whose components did not fit."""
        over = [index for index, one in enumerate(finished) if one.overflow and one.finite]
        if not over:
            return
        assert self._room is not None
        _, outputs, height, width = batch.shape
        size = outputs * height * width * 4
        batch.logits = {}
        for index in over:
            memory = self._device.pinned(size)
            self._device.download(self._room.logits, memory, self._stream, at=index * size)
            whole = memory.view(np.float32).reshape(outputs, height, width)
            row = batch.table[index]
            batch.logits[index] = whole[:, : int(row["view_height"]), : int(row["view_width"])]
        batch.fetched = self._device.event(self._stream)

    def _with_room(self, pixels: int) -> _Room:
        """Memory for a full batch of so many pixels."""
        if self._room is None or self._room.pixels < pixels:
            self._room = None  # first give back, then ask
            self._room = self._allocated(pixels)
        return self._room

    def _allocated(self, pixels: int) -> _Room:
        device, spec, images = self._device, self._engine.spec, self._images
        padding = 16 * images  # pictures begin at multiples of 16 bytes
        rows = ImageTable.itemsize * images
        frames = max(images, self._fewest) * self._largest
        inputs = device.allocate(frames * spec.channels * 4)
        device.fill(inputs, 0, self._stream)
        return _Room(
            pixels,
            table=device.pinned(rows),
            rows=device.allocate(rows),
            packed=device.allocate(pixels * 3 + padding),
            inputs=inputs,
            logits=device.allocate(frames * spec.outputs * 4),
            finisher=Finisher(device, images=images, pixels=pixels),
        )
