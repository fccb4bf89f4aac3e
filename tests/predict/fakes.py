"""A detector that does what the name of the image tells it to, and the job around it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from forgecli.cases.discover import discover
from forgecli.detection import Detection, Detector, Instance, Pair, Picture
from forgecli.predict.job import MakePool, run
from forgecli.predict.outputs import Outputs
from forgecli.predict.plan import plan_rows
from forgecli.predict.pool import Pool
from forgecli.predict.settings import PredictSettings
from forgecli.predict.summary import Summary
from kernels.rle import encode

SIZE = (40, 60)


@dataclass(frozen=True)
class FakeSettings:
    """Settings of the fake, for the record of a run."""

    square: int = 8
    threshold: float = 0.5


class FakeDetector:
    """Finds what the id of a picture asks for: `flag`, `weak`, `boom`, `memory`, `segfault`,
    `killed`, `slow`, `wrong`; anything else is authentic."""

    def __init__(self, prepares: bool = True) -> None:
        self._prepares = prepares

    def prepare(self) -> None:
        if not self._prepares:
            raise RuntimeError("no such device")

    def close(self) -> None:
        pass

    def detect(self, pictures: Sequence[Picture]) -> list[Detection]:
        return [found for picture in pictures for found in self._detect(picture)]

    def _detect(self, picture: Picture) -> list[Detection]:
        name, shape = picture.case_id, picture.pixels.shape[:2]
        if "boom" in name:
            raise ValueError("a strange picture\nwith a long story")
        if "memory" in name:
            raise MemoryError
        if "segfault" in name:
            _die(signal.SIGSEGV)
        if "killed" in name:
            _die(signal.SIGKILL)
        if "slow" in name:
            time.sleep(30)
        if "pause" in name:
            time.sleep(0.3)
        if "wrong" in name:
            return []
        if "flag" in name or "weak" in name:
            return [copied(name, shape, 0.9 if "flag" in name else 0.2)]
        return [Detection(name, shape, score=0.1)]


def _die(number: int) -> None:
    """End this process. Where it has several threads, another may take the signal, and later."""
    os.kill(os.getpid(), number)
    time.sleep(10)


def copied(name: str, shape: tuple[int, int], score: float) -> Detection:
    """Two instances: a large one of two squares, and one of 8 pixels."""
    regions = [square(shape, 4, 4, 8), square(shape, 20, 30, 8)]
    small = [square(shape, 0, 0, 2), square(shape, 0, 10, 2)]
    return Detection(
        name,
        shape,
        instances=(group(shape, regions), group(shape, small)),
        score=score,
        evidence=(
            Pair(0, 0, 1, np.array([[1.0, 0, 26], [0, 1, 16]]), False, 42, 0.97),
            Pair(1, 0, 1, np.array([[-1.0, 0, 11], [0, 1, 0]]), True, 5, float("nan")),
        ),
    )


def square(shape: tuple[int, int], top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def group(shape: tuple[int, int], masks: list[np.ndarray]) -> Instance:
    return Instance(encode(np.any(masks, axis=0)), tuple(encode(mask) for mask in masks))


def unprepared() -> Detector:
    """A detector that cannot start."""
    return FakeDetector(prepares=False)


def dies_at_start() -> Detector:
    """A detector whose making ends the process."""
    os._exit(7)


@dataclass
class Voice:
    """Remembers what was said."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Watch(nullcontext):  # type: ignore[type-arg]
    """Progress that calls a function after every image."""

    def __init__(self, then: Callable[[Summary], None] = lambda summary: None) -> None:
        super().__init__()
        self.show = then


def draw(folder: Path, *names: str, shape: tuple[int, int] = SIZE) -> None:
    """Small pictures, one for each name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(len(name))
        ok, data = cv2.imencode(".png", rng.integers(0, 255, (*shape, 3), np.uint8))
        assert ok
        path.write_bytes(data.tobytes())


def job(
    folder: Path,
    output: Path,
    *,
    make: Callable[[], Detector] = partial(FakeDetector),
    voice: Voice | None = None,
    watch: Watch | None = None,
    make_pool: MakePool = Pool,
    **asked: Any,
) -> Summary:
    """The whole job but its command line."""
    settings = PredictSettings(output=output, **{"workers": 0, "threshold": 0.5, **asked})
    plan = plan_rows(discover([folder], id_from=settings.id_from), settings.sample_submission)
    outputs = Outputs.of(settings)
    outputs.check(plan, overwrite=settings.overwrite)
    return run(
        plan,
        settings,
        make,
        outputs,
        progress=watch or Watch(),
        voice=voice or Voice(),
        detector_settings=asdict(FakeSettings()),
        make_pool=make_pool,
    )
