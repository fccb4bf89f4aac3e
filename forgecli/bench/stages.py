"""What one process of predict does, taken apart: decode, prepare, engine, finish.

The functions here make the steps of `forgecli.bench.crews`. They call what `forge predict` calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from engines.base import Engine, Images, Logits
from forgecli.bench.crews import Step
from forgecli.cases.decode import read_picture
from forgecli.detection import Case, Detection, Detector, Picture
from forgecli.predict.decide import flagged_instances
from forgecli.segment.plan import SegmentPlan

_ROOM = 256 << 20
"""Bytes of pictures or batches that a process keeps ready, about."""


class Seen(threading.local):
    """What an engine was asked for a picture, in this thread.

    Attributes:
        last: when its last answer was there.
        inside: seconds that it computed.
        batches: what it was given, where that is kept.
    """

    def __init__(self) -> None:
        self.last = self.inside = 0.0
        self.batches: list[Images] = []


class WatchedEngine(Engine):
    """An engine that remembers when it was asked, and for how long it computed.

    Args:
        engine: what computes.
        keep: whether the batches are kept too.

    Attributes:
        seen: of the picture that this thread is at.
    """

    def __init__(self, engine: Engine, *, keep: bool = False) -> None:
        self.spec = engine.spec
        self._engine = engine
        self._keep = keep
        self.seen = Seen()

    def forget(self) -> None:
        """Begin a new picture."""
        self.seen.last = self.seen.inside = 0.0
        self.seen.batches = []

    def infer(self, images: Images) -> Logits:
        """As the engine does it."""
        started = perf_counter()
        logits = self._engine.infer(images)
        self.seen.last = perf_counter()
        self.seen.inside += self.seen.last - started
        if self._keep:
            self.seen.batches.append(images.copy())
        return logits

    def _infer(self, images: Images) -> Logits:
        return self._engine.infer(images)


def decoding(cases: Sequence[Case]) -> Step:
    """Read and decode, nothing else."""

    def step(number: int) -> dict[str, float]:
        started = perf_counter()
        read_picture(cases[number % len(cases)])
        return {"decode": perf_counter() - started}

    return step


def detecting(cases: Sequence[Case], make: Callable[[], Detector]) -> Step:
    """The detector on pictures that lie ready in memory."""
    detector = make()
    detector.prepare()
    pictures = _ready(cases)

    def step(number: int) -> dict[str, float]:
        started = perf_counter()
        detector.detect([pictures[number % len(pictures)]])
        return {"detect": perf_counter() - started}

    return step


def computing(cases: Sequence[Case], plan: SegmentPlan, at_once: int = 1) -> Step:
    """The engine on input that lies ready: exactly the batches that the detector would give it.

    A GPU gets each picture as a batch of equal ones, for that is how it is fed; copies to it and
    from it are part of the time. Up to `at_once` threads may call the step at the same time.
    """
    engine = opened(plan, at_once)
    watched = WatchedEngine(engine, keep=True)
    detector = _detector(plan, watched)
    ready: list[list[Images]] = []
    several = 1
    for picture in _ready(cases):
        watched.forget()
        detector.detect([picture])
        several = plan.batch if plan.device != "cpu" and len(watched.seen.batches[0]) == 1 else 1
        ready.append([np.repeat(batch, several, axis=0) for batch in watched.seen.batches])
        if sum(batch.nbytes for batches in ready for batch in batches) > _ROOM:
            break

    def step(number: int) -> dict[str, float]:
        started = perf_counter()
        for batch in ready[number % len(ready)]:
            engine.infer(batch)
        return {"engine": perf_counter() - started, "images": several}

    return step


def all_of_segment(cases: Sequence[Case], plan: SegmentPlan, at_once: int = 1) -> Step:
    """Everything from the file to the text of its row, for up to `at_once` threads."""
    from kernels.rle import annotation_to_text

    watched = WatchedEngine(opened(plan, at_once))
    detector = _detector(plan, watched)

    def step(number: int) -> dict[str, float]:
        started = perf_counter()
        picture, _ = read_picture(cases[number % len(cases)])
        decoded = perf_counter()
        watched.forget()
        (detection,) = detector.detect([picture])
        _text(detection, plan.thresholds.gate, annotation_to_text)
        ended = perf_counter()
        return {
            "decode": decoded - started,
            "prepare": watched.seen.last - decoded - watched.seen.inside,
            "engine": watched.seen.inside,
            "finish": ended - watched.seen.last,
        }

    return step


def all_of(cases: Sequence[Case], make: Callable[[], Detector], threshold: float) -> Step:
    """The same for any detector, with the stages that it names itself."""
    from kernels.rle import annotation_to_text

    detector = make()
    detector.prepare()

    def step(number: int) -> dict[str, float]:
        started = perf_counter()
        picture, _ = read_picture(cases[number % len(cases)])
        decoded = perf_counter()
        (detection,) = detector.detect([picture])
        detected = perf_counter()
        _text(detection, threshold, annotation_to_text)
        ended = perf_counter()
        known = {stage: spent for stage, spent in detection.seconds.items() if spent > 0}
        rest = max(detected - decoded - sum(known.values()), 0.0)
        return {"decode": decoded - started, **known, "other": rest + ended - detected}

    return step


def opened(plan: SegmentPlan, at_once: int = 1) -> Engine:
    """The engine of a plan, as the detector opens it."""
    from forgecli.segment.opening import open_planned

    return open_planned(plan, at_once=at_once)


def _detector(plan: SegmentPlan, engine: Engine) -> Detector:
    from forgecli.segment.detector import SegmentDetector

    detector = SegmentDetector(plan, engine)
    detector.prepare()
    return detector


def _text(detection: Detection, threshold: float, text: Callable[..., str]) -> str:
    flagged = flagged_instances(detection, threshold=threshold, min_area=0)
    return text([instance.runs for instance in flagged]) if flagged else ""


def _ready(cases: Sequence[Case]) -> list[Picture]:
    """Decoded pictures, as many as there is room for."""
    pictures: list[Picture] = []
    room = _ROOM
    for case in cases:
        picture, _ = read_picture(case)
        room -= picture.pixels.nbytes
        if pictures and room < 0:
            break
        pictures.append(picture)
    return pictures
