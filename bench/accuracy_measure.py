"""Scenes with a truth, looked at by several methods in worker processes.

A scene is made in the worker that looks at it. Every method sees the same pixels, with one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import sqrt
from multiprocessing import get_context
from statistics import fmean
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.detection import Picture
from forgecli.score.metric import score_image
from kernels.overlap import f1
from kernels.rle import decode, encode

Pixels = NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""
Mask = NDArray[np.bool_]
"""bool (H, W)."""
Method = Callable[[Pixels], list[Mask]]
"""The instances of an image, source and copies together; none: it is authentic."""

Methods = Sequence[str] | Mapping[str, Callable[[], Method]]
"""Names of `OURS` and of peers; or names, and what makes each ready in a worker."""

OURS = "forge"


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and its truth.

    Attributes:
        point: what it is counted under.
        pixels: uint8 (H, W, 3).
        masks: uint8 (N, H, W), one channel per group; N is 0 for an authentic image.
    """

    point: str
    pixels: Pixels
    masks: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a method made of a scene.

    Attributes:
        f1: pixel F1 of all its instances against all of the truth; 0 where one is empty.
        score: the metric of the competition.
        seconds: of CPU time.
    """

    point: str
    method: str
    forged: bool
    flagged: bool
    f1: float
    score: float
    seconds: float
    megapixels: float


@dataclass(frozen=True, slots=True)
class Job:
    """Scenes to make: `make` is a function of a module; it is called in a worker."""

    make: Callable[..., Sequence[Scene]]
    arguments: tuple[Any, ...]


def mark(scene: Scene, name: str, method: Method) -> Mark:
    """Let a method look at a scene."""
    started = time.process_time()
    found = method(scene.pixels)
    seconds = time.process_time() - started
    predicted = [encode(mask) for mask in found]
    union = encode(np.logical_or.reduce(found)) if found else ()
    true = [encode(np.ascontiguousarray(mask)) for mask in scene.masks > 0]
    whole = encode(scene.masks.any(axis=0)) if len(scene.masks) else ()
    return Mark(
        point=scene.point,
        method=name,
        forged=len(scene.masks) > 0,
        flagged=bool(found),
        f1=f1(np.reshape(whole, (-1, 2)), np.reshape(union, (-1, 2))),
        score=score_image(true, predicted),
        seconds=seconds,
        megapixels=scene.pixels.shape[0] * scene.pixels.shape[1] / 1e6,
    )


def ours(**changed: Any) -> Method:
    """The match detector, ready, with its defaults but for some of its settings."""
    from forgecli.match.detector import MatchDetector
    from forgecli.match.settings import MatchSettings

    detector = MatchDetector(MatchSettings(**changed))
    detector.prepare()

    def look(pixels: Pixels) -> list[Mask]:
        (found,) = detector.detect([Picture("", pixels)])
        return [decode(each.runs, found.shape).astype(bool) for each in found.instances]

    return look


_methods: dict[str, Method] = {}


def _start(methods: Methods) -> None:
    import numba

    from bench.accuracy_peers import PEERS

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    if isinstance(methods, Mapping):
        _methods.update((name, ready()) for name, ready in methods.items())
    else:
        _methods.update((name, ours() if name == OURS else PEERS[name]) for name in methods)


def _looked_at(job: Job) -> list[Mark]:
    scenes = job.make(*job.arguments)
    return [mark(scene, name, method) for scene in scenes for name, method in _methods.items()]


def marks(
    jobs: Sequence[Job],
    *,
    methods: Methods = (OURS,),
    workers: int = 2,
    tell: Callable[[str], object] = partial(print, flush=True),
) -> Iterator[Mark]:
    """What the methods made of all scenes."""
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (methods,)) as pool:
        for number, found in enumerate(pool.map(_looked_at, jobs), 1):
            if number % 50 == 0:
                tell(f"{number} of {len(jobs)}")
            yield from found


def worth(found: Sequence[Mark]) -> dict[str, Any]:
    """The figures of some marks, forged and authentic images apart."""
    forged = [one for one in found if one.forged]
    authentic = [one for one in found if not one.forged]
    hits, alarms = (sum(one.flagged for one in part) for part in (forged, authentic))
    megapixels = sum(one.megapixels for one in found)
    return {
        "forged": len(forged),
        "flagged": hits,
        "recall": _share(hits, len(forged)),
        "recall_interval": interval(hits, len(forged)),
        "f1": round(fmean(one.f1 for one in forged), 4) if forged else None,
        "score": round(fmean(one.score for one in forged), 4) if forged else None,
        "authentic": len(authentic),
        "false_positives": alarms,
        "false_positive_rate": _share(alarms, len(authentic)),
        "false_positive_interval": interval(alarms, len(authentic)),
        "cpu_seconds_per_image": round(fmean(one.seconds for one in found), 3) if found else None,
        "cpu_seconds_per_megapixel": (
            round(sum(one.seconds for one in found) / megapixels, 3) if megapixels else None
        ),
    }


def interval(hits: int, count: int) -> tuple[float, float] | None:
    """The 95 % interval of a share (Wilson 1927); None of nothing."""
    if not count:
        return None
    z = 1.96
    middle = (hits + z * z / 2) / (count + z * z)
    half = z * sqrt(hits * (count - hits) / count + z * z / 4) / (count + z * z)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def _share(hits: int, count: int) -> float | None:
    return round(hits / count, 4) if count else None
