"""Engines with lanes on the host, and devices that make the pipeline's life hard."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import Images, LaneEngine, Logits, Spec
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.preprocess import Preprocess
from forgecli.segment.thresholds import Thresholds
from forgecli.stream.pool import Opened
from kernels.cuda.device import Scalar
from tests.kernels.cuda.host import HostBuffer, HostDevice, HostStream

Function = Callable[[Images], Logits]


def blobs(images: Images) -> Logits:
    """Positive where a picture is bright. Steps of 4/255 and more, so that a value that is off by
    one step of 1/255 now and then could not hide."""
    return 8 * images[:, :1] + 2 * images[:, 1:2] - 7


def two_channels(images: Images) -> Logits:
    """A map for bright red and one for bright green."""
    return 9 * images[:, :2] - 7


class HostLanes(LaneEngine):
    """Applies a function to arrays at addresses of the host.

    `limit`: more images at once are more than memory holds. `broken`: called before every batch,
    and may raise.
    """

    def __init__(
        self,
        function: Function,
        *,
        lanes: int = 2,
        largest: int = 4,
        multiple: int = 8,
        size: tuple[int, int] | None = None,
        outputs: int = 1,
        limit: int | None = None,
        broken: Callable[[Images], None] | None = None,
    ) -> None:
        self.spec = Spec(multiple=multiple, size=size, outputs=outputs)
        self.lanes, self.smallest = lanes, 1
        self.largest = largest
        self._function = function
        self._limit = limit
        self._broken = broken
        self.batches: list[tuple[int, int, tuple[int, int]]] = []
        self.closed = False

    def enqueue(
        self, lane: int, images: int, logits: int, shape: tuple[int, int, int, int], stream: int
    ) -> None:
        assert 0 <= lane < self.lanes and shape[0] <= self.largest
        if self._limit is not None and shape[0] > self._limit:
            raise RuntimeError(f"CUDA out of memory: {shape}")
        seen = at(images, shape)
        if self._broken is not None:
            self._broken(seen)
        self.batches.append((lane, shape[0], shape[2:]))
        made = self._function(seen)
        at(logits, (shape[0], self.spec.outputs, *shape[2:]))[...] = made

    def close(self) -> None:
        self.closed = True


def at(address: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The floats at an address."""
    size = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * size).from_address(address)).reshape(shape)


@dataclass(eq=False)
class LateEvent:
    """Ready when it was asked often enough, and those before it in its stream are."""

    left: int
    before: LateEvent | None
    due: list[Callable[[], None]]

    def ready(self) -> bool:
        self.left -= 1
        if self.left > 0 or (self.before is not None and not self.before.ready()):
            return False
        self.wait()
        return True

    def wait(self) -> None:
        if self.before is not None:
            self.before.wait()
        self.left = 0
        while self.due:
            self.due.pop(0)()


@dataclass(eq=False)
class LateStream:
    """What it was given and is not done yet."""

    due: list[Callable[[], None]] = field(default_factory=list)
    last: LateEvent | None = None
    handle: int = 0


class LateDevice(HostDevice):
    """Work is done when the event behind it has been asked for: downloads come late, and what is
    uploaded is read late, so that memory that is given back too early is found out.

    `delays`: for each event, after how many questions it is ready; they come round again.
    """

    name = "a late device"

    def __init__(self, delays: Sequence[int] = (3, 1, 5, 2)) -> None:
        super().__init__()
        self._delays = delays
        self._events = 0
        self.streams: list[LateStream] = []

    def stream(self) -> LateStream:  # type: ignore[override]
        self.streams.append(LateStream())
        return self.streams[-1]

    def upload(self, host: NDArray[Any], to: HostBuffer, stream: Any, *, at: int = 0) -> None:
        stream.due.append(partial(super().upload, host, to, HostStream(), at=at))

    def download(self, of: HostBuffer, host: NDArray[Any], stream: Any, *, at: int = 0) -> None:
        stream.due.append(partial(super().download, of, host, HostStream(), at=at))

    def fill(self, buffer: HostBuffer, byte: int, stream: Any, *, at: int = 0,
             size: int | None = None) -> None:  # fmt: skip
        stream.due.append(partial(super().fill, buffer, byte, HostStream(), at=at, size=size))

    def launch(self, source: str, kernel: str, grid: tuple[int, int], threads: int,
               arguments: Sequence[Scalar], stream: Any) -> None:  # fmt: skip
        stream.due.append(
            partial(super().launch, source, kernel, grid, threads, arguments, HostStream())
        )

    def event(self, stream: Any) -> LateEvent:  # type: ignore[override]
        delay = self._delays[self._events % len(self._delays)]
        self._events += 1
        event = LateEvent(delay, stream.last, list(stream.due))
        stream.due.clear()
        stream.last = event
        return event

    def synchronize(self) -> None:
        for stream in self.streams:
            self.event(stream).wait()


class LateLanes(HostLanes):
    """The same engine in the streams of a `LateDevice`: it runs when the stream gets there."""

    def __init__(self, function: Function, device: LateDevice, **options: Any) -> None:
        super().__init__(function, **options)
        self._device = device

    def enqueue(
        self, lane: int, images: int, logits: int, shape: tuple[int, int, int, int], stream: int
    ) -> None:
        run = partial(super().enqueue, lane, images, logits, shape, stream)
        self._device.streams[lane].due.append(run)


def plan_of(
    *, size: int = 64, batch: int = 4, view: Any = "resize", **thresholds: Any
) -> SegmentPlan:
    """A plan without a file."""
    return SegmentPlan(
        weights=Path("none.engine"),
        sha256="",
        model="none",
        arguments={},
        engine="torch",
        device="cuda:0",
        precision="fp32",
        tta="none",
        batch=batch,
        preprocess=Preprocess(view=view, size=size),
        thresholds=Thresholds(**{"quantile": 0.99, "gate": 0.5, **thresholds}),
    )


def opens(device: HostDevice, engine: HostLanes) -> Callable[[SegmentPlan, int], Opened]:
    """Gives what there is already."""
    return lambda plan, lanes: Opened(device, engine)  # type: ignore[arg-type]
