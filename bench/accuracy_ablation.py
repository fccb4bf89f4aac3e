"""What each part of the match detector adds: the detector with one part off at a time.

`bench.accuracy_parts` switches the parts off. The judge and its thresholds stay those that were
fitted to the whole detector; they favour it a little. Without a judge, a region is held to be a
copy by its mean local correlation.

Stages that a part does not touch are computed once per image. Their CPU time is added to that of
every variant, so that seconds are those that it would take alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.accuracy_measure import Job, Mark, Mask, Pixels, Scene, mark, worth
from bench.accuracy_parts import JUDGE, PARTS, WHOLE, Shared, without
from bench.accuracy_recipes import AUTHENTIC, LARGEST, SEED, WAYS, authentic, forgery
from bench.judge_collect import overlap_with
from bench.sources import authentic_files, spread
from forgecli.detection import Picture
from forgecli.match import detector, search
from forgecli.match.detector import MatchDetector
from forgecli.match.features import FEATURES
from forgecli.match.judge import Judge, default_judge
from forgecli.match.search import Search
from forgecli.match.settings import MatchSettings
from kernels.rle import decode

USUAL = 0.9
"""Mean local correlation at which a region is held to be a copy where there is no judge: above that
at which a region may start to grow."""
LEVELS = (0.8, 0.85, 0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 0.995, 0.998, 1.0)
"""At which it is tried too; `figures` chooses one."""
_COPY = 0.7
"""Share of both regions that lies in one group of the truth, from which a candidate is a copy."""


class _Correlation(Judge):
    """Holds mean local correlation to be the probability of a copy."""

    def evidence(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return features[:, FEATURES.index("local_mean")]

    def probability(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(np.tanh(evidence), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a variant made of a scene.

    Attributes:
        scene: its number among all.
        mark: its method is the part that is off; for the judge, with the correlation asked for.
        copy: whether a copy is among the candidates.
    """

    scene: tuple[Any, ...]
    mark: Mark
    copy: bool


def at(level: float) -> str:
    """The name of the variant without a judge."""
    return f"{JUDGE}: {level:g}"


def looked_at(scene: Scene, name: tuple[Any, ...], parts: Sequence[str]) -> list[Looked]:
    """Let the detector look at a scene with each of the parts off, `WHOLE` first."""
    shared = Shared()
    found: list[Looked] = []
    as_it_is: list[Search] = []
    for part in parts:
        if as_it_is and not PARTS[part].matters(as_it_is[0]):
            found.append(replace(found[0], mark=replace(found[0].mark, method=part)))
            continue
        seen: list[Search] = []
        copy: bool | None = None
        for level in LEVELS if part == JUDGE else (None,):
            shared.saved = 0.0
            method = _variant(level, shared if part in (WHOLE, JUDGE) else None, seen)
            with without(PARTS[part], shared):
                made = mark(scene, part if level is None else at(level), method)
            if copy is None:
                copy = any(overlap_with(each, scene.masks) > _COPY for each in seen[0].candidates)
            made = replace(made, seconds=made.seconds + shared.saved)
            found.append(Looked(name, made, copy))
        if part == WHOLE:
            as_it_is = seen
    return found


def _variant(
    level: float | None, shared: Shared | None, seen: list[Search]
) -> Callable[[Pixels], list[Mask]]:
    """A detector whose searches are put into a list.

    Args:
        level: of the correlation; None: with the judge.
        shared: where the search itself is that of others too.
    """
    settings = MatchSettings()
    chosen = MatchDetector(settings)
    if level is not None:
        fitted = default_judge()
        judge = _Correlation(fitted.base, fitted.trees, fitted.calibration)
        every = MatchSettings(threshold=level, member_threshold=level, group_threshold=level)
        chosen = MatchDetector(every, judge)
    common = None if shared is None else shared.once("search", search.search)

    def watched(pixels: Pixels, _: MatchSettings, *more: Any, **named: Any) -> Search:
        run = common or search.search  # which may be bound to another while a part is off
        seen[:] = [run(pixels, settings, *more, **named)]  # the judge's settings do not matter here
        return seen[0]

    def look(pixels: Pixels) -> list[Mask]:
        with patch.object(detector, "search", watched):
            (found,) = chosen.detect([Picture("", pixels)])
        return [decode(each.runs, found.shape).astype(bool) for each in found.instances]

    return look


def jobs(of_each_way: int, per_kind: int) -> list[Job]:
    """Forgeries of every way alike, those of `bench.accuracy --only recipes`, and authentic images
    of every kind; all of held-out sources."""
    files = spread(authentic_files()[1], per_kind)
    return [
        *(Job(forgery, (way, number)) for number in range(of_each_way) for way in WAYS),
        *(Job(authentic, (file.name, file.path, file.kind)) for file in files),
    ]


def _start() -> None:
    import numba

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    MatchDetector().prepare()


def _done(job: Job, parts: Sequence[str]) -> list[Looked]:
    scenes = job.make(*job.arguments)
    return [
        each
        for twin, scene in enumerate(scenes)
        for each in looked_at(scene, (*job.arguments, twin), parts)
    ]


def ablated(
    asked: Sequence[Job],
    parts: Sequence[str] = tuple(PARTS),
    *,
    workers: int = 2,
    tell: Callable[[str], object] = partial(print, flush=True),
) -> list[Looked]:
    """What all variants made of all scenes."""
    found = []
    with ProcessPoolExecutor(workers, get_context("spawn"), _start) as pool:
        for number, part in enumerate(pool.map(partial(_done, parts=parts), asked), 1):
            if number % 10 == 0:
                tell(f"{number} of {len(asked)}")
            found += part
    return found


def figures(found: Sequence[Looked]) -> dict[str, Any]:
    """For every part what `worth` says without it, against the whole detector, image by image.

    Without a judge there are two lines: at `USUAL`, and at that which flags no more
    authentic images than the judge does, chosen on these very images, which favours it.
    """
    by_name: dict[str, list[Looked]] = {}
    for one in found:
        by_name.setdefault(one.mark.method, []).append(one)
    whole = by_name[WHOLE]
    allowed = _alarms(whole)
    levels = [level for level in LEVELS if at(level) in by_name]
    fair = next((level for level in levels if _alarms(by_name[at(level)]) <= allowed), None)
    lines = []
    for name, part in PARTS.items():
        if name != JUDGE:
            if name in by_name:
                lines.append(_line(name, part.instead, by_name[name], whole))
            continue
        for level in dict.fromkeys((USUAL, fair)):
            if level in levels:
                said = f"{part.instead} over {level:g}"
                if level == fair:
                    said += ": no more false positives than with the judge"
                lines.append(_line(name, said, by_name[at(level)], whole))
    return {
        "seed": SEED,
        "forged": sum(one.mark.forged for one in whole),
        "largest_pixels": LARGEST,
        "parts": lines,
    }


def _alarms(found: Sequence[Looked]) -> int:
    return sum(one.mark.flagged and not one.mark.forged for one in found)


def _line(
    name: str, instead: str, found: Sequence[Looked], whole: Sequence[Looked]
) -> dict[str, Any]:
    before = {one.scene: one.mark.flagged for one in whole if one.mark.forged}
    now = {one.scene: one.mark.flagged for one in found if one.mark.forged}
    plain = [one.mark.point.startswith(AUTHENTIC) for one in found]
    return {
        "off": name,
        "instead": instead,
        **worth([one.mark for one in found]),
        "copy_among_candidates": sum(one.copy for one in found if one.mark.forged),
        "lost": sum(before[scene] and not now[scene] for scene in now),
        "gained": sum(now[scene] and not before[scene] for scene in now),
        "twins": sum(not p and not one.mark.forged for one, p in zip(found, plain, strict=True)),
        "flagged_twins": _alarms([one for one, p in zip(found, plain, strict=True) if not p]),
        "authentic_images": sum(plain),
        "flagged_authentic_images": _alarms(
            [one for one, p in zip(found, plain, strict=True) if p]
        ),
        "recall_by_way": {
            way: worth([one.mark for one in found if one.mark.point == way])["recall"]
            for way in WAYS
        },
    }
