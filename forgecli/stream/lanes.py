"""All lanes: which of them gets the next batch, and what to do when memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import sleep

import numpy as np

from engines.base import LaneEngine
from forgecli.predict.failures import is_memory_error
from forgecli.segment.instances import logit, rank_of
from forgecli.segment.thresholds import Thresholds
from forgecli.stream.batches import Queue, Waiting, view_and_frame
from forgecli.stream.lane import Lane, Left
from forgecli.stream.trial import Trial
from kernels.cuda.batch import Table, table_of
from kernels.cuda.device import Device


class DeviceFailed(RuntimeError):
    """The GPU, or its driver, does not work any more. All that was on it is lost."""


@dataclass(slots=True, eq=False)
class _Sent:
    pictures: list[Waiting]
    at: float
    released: bool = False


class Lanes:
    """Batches out, what is left of pictures back.

    Where the GPU's memory does not suffice, batches are halved and tried again, and stay that
    small. At one picture it is the picture that fails. A batch that fails for another reason is
    taken apart, so that only the picture that is to blame fails.

    Args:
        device, engine: the GPU and the network.
        thresholds: how logits become a score and components.
        images: pictures of a batch, at most.
        pixels: of all pictures of a batch, at most; a single one may have more.
        largest: pixels of the largest frame.
        trial: says how many lanes are used.
        now: a clock in seconds.
        note: told what a user may want to know.
        uploaded: told of pictures whose pixels are on the GPU.
    """

    def __init__(
        self,
        device: Device,
        engine: LaneEngine,
        thresholds: Thresholds,
        *,
        images: int,
        pixels: int,
        largest: int,
        trial: Trial,
        now: Callable[[], float],
        note: Callable[[str], None],
        uploaded: Callable[[Waiting], None],
    ) -> None:
        self._device, self._engine = device, engine
        self._thresholds = thresholds
        self._limit = np.float32(logit(thresholds.pixel))
        self._images = min(images, engine.largest)
        self._pixels = pixels
        self._trial = trial
        self._now = now
        self._note = note
        self._uploaded = uploaded
        self._sent: dict[Lane, _Sent] = {}
        self._proven: set[Lane] = set()  # have had memory
        self._apart: list[Waiting] = []
        self._lanes = [
            Lane(device, engine, number, images=self._images, pixels=pixels, largest=largest)
            for number in range(engine.lanes)
        ]

    @property
    def busy(self) -> bool:
        """Whether any lane is at work, or pictures are to be tried one by one."""
        return bool(self._sent or self._apart)

    def fill(self, queue: Queue, *, hurry: bool) -> Iterator[tuple[Waiting, Exception]]:
        """Give batches to the lanes that are free.

        Args:
            queue: gives pictures; gets back those that could not go.
            hurry: see `Queue.take`.

        Yields:
            pictures that failed, and why.

        Raises:
            DeviceFailed: the GPU is of no use any more.
        """
        for lane in self._lanes[: self._trial.lanes]:
            while not lane.busy:
                if lane.images > self._images:
                    lane.shrink(self._images)
                if self._apart:
                    pictures = [self._apart.pop(0)]
                else:
                    pictures = queue.take(self._images, self._pixels, hurry=hurry)
                if not pictures:
                    return
                error = self._send(lane, pictures)
                if error is None:
                    break
                self._alive(error)
                if is_memory_error(error) and self._without(lane, pictures):
                    queue.back(pictures)
                    return  # the lanes have changed
                if len(pictures) == 1:
                    yield pictures[0], error
                elif is_memory_error(error):
                    queue.back(pictures)
                    self._halve(len(pictures))
                else:
                    self._apart += pictures

    def poll(self) -> Iterator[tuple[Waiting, Left | Exception]]:
        """The pictures of the batches that have ended. Does not wait.

        Raises:
            DeviceFailed: the GPU is of no use any more.
        """
        for lane, sent in list(self._sent.items()):
            found: list[Left | Exception]
            try:
                self._release(lane, sent)
                left = lane.results()
                if left is None:
                    continue
                found = list(left)
            except Exception as error:  # noqa: BLE001 - one batch never ends the others
                self._alive(error)
                lane.reset()
                found = [error] * len(sent.pictures)
            del self._sent[lane]
            if self._trial.came(len(found)):
                self._note(self._trial.as_text())
            for picture, one in zip(sent.pictures, found, strict=True):
                picture.seconds["detect"] = self._now() - sent.at
                yield picture, one

    def warm(
        self, size: int, multiple: int, fixed: tuple[int, int] | None, stop: Callable[[], bool]
    ) -> None:
        """Look at a small picture, so that what cannot work is known now. Waits for its end.

        Args:
            size, multiple, fixed: see `forgecli.stream.batches.view_and_frame`.
            stop: asked while it waits.

        Raises:
            Exception: what the engine or the GPU raise.
        """
        shape = (48, 64)
        noise = self._device.pinned(shape[0] * shape[1] * 3)
        noise[:] = np.random.default_rng(0).integers(0, 255, noise.size, np.uint8)
        view, frame = view_and_frame(shape, size, multiple, fixed)
        table = table_of([shape], [view])
        table["limit"] = self._limit
        lane = self._lanes[0]
        lane.send([noise.reshape(*shape, 3)], frame, table)
        while lane.results() is None and not stop():
            sleep(0.001)

    def alone(self) -> None:
        """From now on one picture at a time, with as much memory as there is."""
        self._images, self._pixels = 1, 1
        del self._lanes[1:]
        self._lanes[0].shrink(1)
        self._trim()
        self._trial = Trial.of(1, self._now)

    def _send(self, lane: Lane, pictures: list[Waiting]) -> Exception | None:
        pixels = []
        for picture in pictures:
            assert picture.slot is not None
            pixels.append(picture.slot.pixels(picture.shape))
        now = self._now()
        try:
            lane.send(pixels, pictures[0].frame, self._table(pictures))
        except Exception as error:  # noqa: BLE001 - sorted out by the caller
            return error.with_traceback(None)  # its frames hold pixels, and with them slots
        for picture in pictures:
            picture.seconds["wait"] = now - picture.arrived
        self._sent[lane] = _Sent(pictures, now)
        self._proven.add(lane)
        self._trial.sent()
        return None

    def _table(self, pictures: list[Waiting]) -> Table:
        table = table_of([one.shape for one in pictures], [one.view for one in pictures])
        table["rank"] = [rank_of(self._thresholds.quantile, one.pixels) for one in pictures]
        table["limit"] = self._limit
        table["min_area"] = min(self._thresholds.min_area, np.iinfo(np.int32).max)
        return table

    def _release(self, lane: Lane, sent: _Sent) -> None:
        if not sent.released and lane.uploaded():
            sent.released = True
            for picture in sent.pictures:
                self._uploaded(picture)

    def _alive(self, error: Exception) -> None:
        """Find out whether an error was the GPU's end."""
        try:
            self._device.synchronize()
        except Exception as end:  # noqa: BLE001 - whatever the driver's binding raises
            raise DeviceFailed(_first_line(end)) from error

    def _without(self, lane: Lane, pictures: list[Waiting]) -> bool:
        """Give up a lane that gets no memory while others have theirs; whether that was so."""
        number = self._lanes.index(lane)
        usual = sum(picture.pixels for picture in pictures) <= self._pixels
        if not number or not usual or any(one in self._proven for one in self._lanes[number:]):
            return False
        lane.reset()
        del self._lanes[number:]
        self._trial.cap(number)
        self._note(f"the GPU's memory holds {number} streams: going on with these")
        return True

    def _halve(self, images: int) -> None:
        self._images = max(1, images // 2)
        self._pixels = max(1, self._pixels // 2)
        self._note(
            f"the GPU's memory does not hold {images} images at once: {self._images} from now on"
        )
        for lane in self._lanes:
            if not lane.busy:  # the others when they are free
                lane.shrink(self._images)
        self._trim()

    def _trim(self) -> None:
        """What one library gave back is the other's to take."""
        self._device.trim()
        if not self._sent:
            self._engine.trim()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
