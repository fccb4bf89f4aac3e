"""The batch job on a GPU: pictures are decoded by processes and looked at in streams.

    files -> readers -> slots -> queue -> lanes (upload, resize, network, components) -> outcomes

Nothing waits for a single image: processes and lanes are polled, and whoever is free gets the next
thing. It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter

from engines.base import LaneEngine
from forgecli.detection import Status
from forgecli.errors import ForgeError, UsageError
from forgecli.predict.failures import is_memory_error, reason_of, without_result
from forgecli.predict.outcome import draws, outcome_of
from forgecli.predict.tasks import Outcome, Task, Work
from forgecli.segment.plan import SegmentPlan
from forgecli.stream.batches import PATIENCE, Frame, Queue, Waiting, up, view_and_frame
from forgecli.stream.finish import detection_of
from forgecli.stream.intake import Intake
from forgecli.stream.lane import Left
from forgecli.stream.lanes import DeviceFailed, Lanes
from forgecli.stream.slots import Slots
from forgecli.stream.trial import CANDIDATES, Trial
from kernels.cuda.device import Device

TICK = 0.2
"""Seconds between two looks at whether to stop, at most."""
_POLL = 0.0005
"""Seconds between two looks at lanes that are at work."""
_PIXELS = 1 << 22
"""Pixels of a picture that memory is set aside for; of larger ones fewer go together."""
_MOST_SHARED = 2 << 30
"""Bytes of shared memory for pictures under way."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What pictures are looked at with."""

    device: Device
    engine: LaneEngine


class StreamPool:
    """Examines tasks as `forgecli.predict.pool.Pool` does, with the same outcomes.

    Args:
        work: what is done with a picture but its detection.
        size: reader processes, 1 or more.
        note: told what a user may want to know.
        stop: asked several times a second; once it says True, the work in hand is dropped.
        plan: the network and how it is used: view ``resize`` without error-level analysis, no
            test-time augmentation, instances ``merged`` or ``components``.
        streams: batches at work at the same time; None finds out what is fastest.
        open_lanes: makes the device and the engine, with so many lanes.
        patience: see `forgecli.stream.batches.PATIENCE`.
    """

    def __init__(
        self,
        work: Work,
        size: int,
        *,
        note: Callable[[str], None],
        stop: Callable[[], bool],
        plan: SegmentPlan,
        streams: int | None,
        open_lanes: Callable[[SegmentPlan, int], Opened],
        patience: float = PATIENCE,
    ) -> None:
        self._work = work
        self._size = size
        self._note = note
        self._stop = stop
        self._plan = plan
        self._streams = streams
        self._open = open_lanes
        self._patience = patience

    def examine(self, tasks: Iterator[Task]) -> Iterator[Outcome]:
        """One outcome per task, in the order in which they finish.

        Tasks are taken when a reader is free for them. Images for which memory did not suffice, of
        the host or of the GPU, are tried again at the end, one at a time with nothing beside them.

        Raises:
            ForgeError: the network, the GPU or the readers cannot start, or the GPU failed.
        """
        opened = self._opened()
        run = None
        try:
            run = _Run(self._work, self._size, self._note, self._stop, self._plan,
                       self._streams, opened, self._patience)  # fmt: skip
            again: list[Task] = []
            for task, outcome in run.drain(tasks, self._size):
                if outcome.out_of_memory:
                    again.append(task)
                else:
                    yield outcome
            if again and not self._stop():
                self._note(f"trying {len(again)} again that ran out of memory, one at a time")
                run.alone()
                for task in again:  # a reader would decode the next while the GPU is at this one
                    for _, outcome in run.drain(iter((task,)), 1):
                        yield outcome
                    if self._stop():
                        return
        except DeviceFailed as error:
            raise ForgeError(
                f"{opened.device.name} failed: {error}.",
                mend="the images that are missing may go through on another try; "
                "--workers 0 looks at one image at a time",
            ) from error
        finally:
            if run is not None:
                run.close()
            with suppress(Exception):  # a GPU that failed cannot give back what it holds
                opened.engine.close()

    def _opened(self) -> Opened:
        try:
            return self._open(self._plan, self._streams or max(CANDIDATES))
        except ImportError as error:
            raise UsageError(
                f"the GPU path needs a package that cannot be imported: {error}.",
                mend="pip install 'forgecli[gpu]', or 'forgecli[gpu-rtx]' on RTX cards",
            ) from error
        except (ValueError, RuntimeError, MemoryError, OSError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ForgeError(
                f"the network cannot be put on {self._plan.device}: {first}",
                file=self._plan.weights,
                mend="with fewer --streams it takes less memory",
            ) from error


class _Run:
    """Everything that is there while tasks are examined."""

    def __init__(
        self,
        work: Work,
        size: int,
        note: Callable[[str], None],
        stop: Callable[[], bool],
        plan: SegmentPlan,
        streams: int | None,
        opened: Opened,
        patience: float,
    ) -> None:
        self._work = work
        self._stop = stop
        self._plan = plan
        self._device = opened.device
        engine = opened.engine
        self._multiple, self._fixed = engine.spec.multiple, engine.spec.size
        images = min(plan.batch, engine.largest)
        lanes = engine.lanes if streams is None else min(streams, engine.lanes)
        under_way = 2 * size + (lanes + 1) * images
        self._slots = Slots(
            opened.device,
            size=3 * _PIXELS,
            most=min(3 * _PIXELS * under_way, _MOST_SHARED),
            note=note,
        )
        self._intake = Intake(work, size, self._slots, seen=self._seen, note=note, stop=stop)
        side = up(plan.preprocess.size, self._multiple)
        frame = self._fixed or (side, side)
        trial = Trial(lanes, perf_counter) if streams is None else Trial.of(lanes, perf_counter)
        self._queue = Queue(perf_counter, patience)
        self._lanes = Lanes(
            opened.device,
            engine,
            plan.thresholds,
            images=images,
            pixels=images * _PIXELS,
            largest=frame[0] * frame[1],
            trial=trial,
            now=perf_counter,
            note=note,
            uploaded=self._uploaded,
        )
        self._warm = False

    def drain(self, tasks: Iterator[Task], size: int) -> Iterator[tuple[Task, Outcome]]:
        """Examine tasks with so many readers."""
        self._intake.begin(tasks, size)
        if not self._warm:
            self._prepare()  # while the readers start
        while self._intake.working or self._queue or self._lanes.busy:
            yield from self._intake.feed()
            for came in self._intake.heard(self._timeout()):
                if isinstance(came, Waiting):
                    self._queue.add(came)
                else:
                    yield came
            hurry = self._intake.starved or not self._intake.reading
            for picture, error in self._lanes.fill(self._queue, hurry=hurry):
                yield self._failed(picture, error)
            for picture, left in self._lanes.poll():
                if isinstance(left, Exception):
                    yield self._failed(picture, left)
                elif (outcome := self._judged(picture, left)) is not None:
                    yield picture.task, outcome
            if self._stop():
                return

    def alone(self) -> None:
        """From now on one picture at a time, with as much memory as there is."""
        self._intake.end()
        self._lanes.alone()
        self._slots.trim()

    def close(self) -> None:
        """End the readers and give back the slots. The GPU may still be reading them."""
        self._intake.end()
        with suppress(Exception):  # it failed: nothing reads them any more
            self._device.synchronize()
        self._slots.close()

    def _prepare(self) -> None:
        """Find out now what cannot work."""
        self._warm = True
        try:
            slot = self._slots.take()
            if slot is not None:
                self._slots.give(slot)
        except MemoryError as error:
            raise ForgeError(
                f"there is no memory to decode pictures into: {error}.",
                mend="give the container more shared memory (--shm-size), or take --workers 0",
            ) from error
        try:
            self._lanes.warm(self._plan.preprocess.size, self._multiple, self._fixed, self._stop)
        except (ValueError, RuntimeError, MemoryError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ForgeError(
                f"the network cannot look at a picture: {first}.",
                file=self._plan.weights,
                mend="check size, batch and precision, or --workers 0",
            ) from error

    def _timeout(self) -> float:
        if self._lanes.busy:
            return _POLL
        due = self._queue.due()
        return TICK if due is None else min(due, TICK)

    def _seen(self, shape: tuple[int, int]) -> tuple[tuple[int, int], Frame]:
        return view_and_frame(shape, self._plan.preprocess.size, self._multiple, self._fixed)

    def _uploaded(self, picture: Waiting) -> None:
        if picture.task.overlay is None:  # an overlay would show the pixels once more
            self._release(picture)

    def _release(self, picture: Waiting) -> None:
        if picture.slot is not None:
            self._intake.give(picture.slot)
            picture.slot = None

    def _judged(self, picture: Waiting, left: Left) -> Outcome | None:
        """The outcome of a picture; None if a reader is to draw first."""
        started = perf_counter()
        case = picture.task.case
        try:
            found = detection_of(case.case_id, picture.shape, left, self._plan.thresholds)
        except Exception as error:  # noqa: BLE001 - one image never ends the batch
            return self._failed(picture, error)[1]
        seconds = {**picture.seconds, "instances": perf_counter() - started}
        detection = replace(found, warnings=picture.warnings, seconds=seconds)
        if draws(self._work, picture.task, detection):
            slot, picture.slot = picture.slot, None
            self._intake.draw(picture.task, detection, slot, perf_counter() - picture.began)
            return None
        self._release(picture)
        return outcome_of(self._work, picture.task, detection, None, since=picture.began)

    def _failed(self, picture: Waiting, error: Exception) -> tuple[Task, Outcome]:
        self._release(picture)
        task = picture.task
        reason = reason_of("detecting", error)
        failed = without_result(task.case, Status.FAILED, reason, picture.shape, picture.warnings)
        memory = is_memory_error(error)
        outcome = outcome_of(
            self._work, task, failed, None, since=picture.began, out_of_memory=memory
        )
        return task, outcome
