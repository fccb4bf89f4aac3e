"""Search forgeries, their twins and authentic images for what the judge is fitted on.

A candidate is a copy if both its regions lie in one group of the truth. What was searched is kept
in a file as it grows, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files as package_files
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.drawn import DRAWN, drawn
from bench.judge_folds import FOLDS, folds_of, in_folds
from bench.judge_samples import Samples, Searched, SearchedCase, joined
from bench.sources import DUSTY, authentic_files, origin_of, photographs, spread
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.match.candidates import Candidate
from forgecli.match.features import FEATURES
from forgecli.match.operating import kind_of_image
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from forgecli.synth import Recipe, generate
from forgecli.synth.library import is_blot
from forgecli.synth.sources import LazySources, SourceFile, digest

LARGEST = 1_500_000
"""Pixels: larger images are left out of the fit, for time."""

SMALLEST = 60
"""Pixels: nothing is drawn on photographs with a shorter side."""

KEEP_EVERY = 50
"""Cases between two writes of the file."""

_SEARCHES = ("forgecli/match", "forgecli/synth", "kernels")
_JUDGES = frozenset(
    {
        "calibration", "detector", "edge", "edge_statistics", "empty_ground", "group", "judge",
        "members", "whole_panels",
    }
)  # fmt: skip
"""Of forgecli/match: what comes after the candidates."""
_ASIDE = frozenset({"settings", "inverted"})
"""The settings, whose values count and not their text; and what is off by default."""
_JUDGEMENT = frozenset(
    {
        "false_positive_rate", "threshold", "member_threshold", "group_threshold", "whole_panel",
        "ground_contrast", "ground_spread", "ground_inside", "ground_beyond", "ground_least",
        "edge_odds", "edge_blur", "edge_least", "edge_most", "edge_crumbs",
    }
)  # fmt: skip
"""Settings of what comes after the candidates."""

_CACHE_BYTES = 48 << 20
"""Of decoded sources, for each fold and process."""


@dataclass(frozen=True, slots=True)
class Task:
    """A forgery to make and search with its twin, or an authentic image to search.

    Attributes:
        fold: whose sources a forgery is made of, or that an authentic image belongs to.
        seed: of a forgery, or of what is drawn; empty for an authentic image.
        file: the authentic image.
        drawn: whether an authentic image is to be drawn (`bench.drawn`).
    """

    fold: int
    seed: tuple[int, ...] = ()
    file: SourceFile | None = None
    drawn: bool = False

    @property
    def name(self) -> str:
        """Says all that decides what comes of it, beside `made_with`."""
        if self.file is not None:
            return f"authentic {self.file.name}"
        what = DRAWN if self.drawn else "forgery"
        return " ".join((what, *(str(number) for number in self.seed)))


def tasks_of(
    files: Sequence[SourceFile],
    folds: Mapping[str, int],
    forgeries: int,
    per_kind: int,
    seed: int,
    drawings: int = 0,
) -> list[Task]:
    """Forgeries and drawn images, equally many of every fold, and authentic images, at most so many
    of each kind.

    Their order is drawn by a hash: what is left takes as long, each, as what was done, and samples
    of half the tasks are like those of all.
    """
    tasks = [Task(index % FOLDS, (seed, index)) for index in range(forgeries)]
    tasks += [Task(index % FOLDS, (seed, index), drawn=True) for index in range(drawings)]
    tasks += [Task(folds[origin_of(file)], file=file) for file in spread(list(files), per_kind)]
    return sorted(tasks, key=lambda task: hashlib.sha256(task.name.encode()).digest())


def made_with(files: Sequence[SourceFile], folds: Mapping[str, int]) -> dict[str, str]:
    """What must be the same for kept samples to be of use, by name, hashed. How many forgeries and
    images were asked for need not be: every case has the name of its task."""
    parts: dict[str, object] = {
        "features": list(FEATURES),
        "settings of the detector": {
            name: value
            for name, value in dataclasses.asdict(MatchSettings()).items()
            if name not in _JUDGEMENT
        },
        "settings of synth": dataclasses.asdict(Recipe()),
        "kinds.json": package_files("forgecli.match").joinpath("kinds.json").read_text("utf-8"),
        "source images": [digest(files), digest(photographs(list(files))), LARGEST],
        "code": _code(),
        "folds": [FOLDS, sorted(folds.items())],
    }
    return {
        name: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        for name, value in parts.items()
    }


def _code() -> str:
    """A hash of what searches and what forges. What only judges candidates is left out."""
    whole = hashlib.sha256()
    for package in _SEARCHES:
        for file in sorted((Path(__file__).parents[1] / package).glob("*.py")):
            if file.stem not in _JUDGES | _ASIDE:
                whole.update(f"{package}/{file.name}\0".encode() + file.read_bytes())
    whole.update((Path(__file__).parent / "drawn.py").read_bytes())
    return whole.hexdigest()


def overlap_with(candidate: Candidate, masks: NDArray[np.uint8]) -> float:
    """Share of the worse of two regions that lies inside the group that holds most of both.

    Args:
        candidate: two regions.
        masks: uint8 (N, H, W), the groups of the truth.
    """
    best = 0.0
    for mask in masks.astype(bool):
        shares = []
        for region in (candidate.first, candidate.second):
            window = region.window
            part = mask[window.top : window.bottom, window.left : window.right]
            shares.append(np.count_nonzero(part & region.mask) / max(region.area, 1))
        best = max(best, min(shares))
    return best


def searched(pixels: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Searched:
    """The candidates of an image, and what they are. No masks: it is authentic."""
    found = search(pixels, MatchSettings())
    overlap = np.array([overlap_with(candidate, masks) for candidate in found.candidates], float)
    features = found.features.astype(np.float64)
    return Searched(features, overlap, len(masks) > 0, kind_of_image(found.layout))


_library: list[tuple[LazySources, list[SourceFile]]] = []
"""In a worker: what forgeries of every fold are made from."""


def _start() -> None:
    import numba

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    files = authentic_files()[0]
    for part in in_folds(files, folds_of(files)):
        mine = photographs(part)
        _library.append((LazySources(mine, _CACHE_BYTES), mine))


def _work(task: Task) -> SearchedCase:
    if task.drawn:
        return _drawn(task)
    return _forgery(task) if task.file is None else _authentic(task, task.file)


def _forgery(task: Task) -> SearchedCase:
    sources, files = _library[task.fold]
    nothing = SearchedCase(task.name, task.fold, (), ())
    try:
        # Kinds are drawn alike: gels beside blots would make two forgeries of three blots.
        kinds = ["blot" if is_blot(file.kind) else file.kind for file in files]
        made = generate(np.random.default_rng(task.seed), sources, Recipe(), kinds)
    except ForgeError:
        return nothing
    if made.image.shape[0] * made.image.shape[1] > LARGEST:
        return nothing
    used = tuple(dict.fromkeys(origin_of(files[index]) for index in made.card["sources"]))
    images = searched(made.image, made.masks), searched(made.twin, made.masks[:0])
    return SearchedCase(task.name, task.fold, used, images)


def _drawn(task: Task) -> SearchedCase:
    sources, files = _library[task.fold]
    rng = np.random.default_rng(task.seed)
    # What repeats is drawn: no photograph is shown twice, and none with dust on the optics.
    clean = [number for number, file in enumerate(files) if file.source not in DUSTY]
    order = iter(rng.permutation(clean).tolist())
    used: list[str] = []

    def photograph(side: int) -> NDArray[np.uint8]:
        while min((pixels := sources[(number := next(order))]).shape[:2]) < SMALLEST:
            pass
        used.append(origin_of(files[number]))
        height, width = min(side, pixels.shape[0]), min(side, pixels.shape[1])
        top, left = (int(rng.integers(n + 1)) for n in
                     (pixels.shape[0] - height, pixels.shape[1] - width))  # fmt: skip
        return pixels[top : top + height, left : left + width]

    try:
        pixels = drawn(rng, photograph)
    except StopIteration:  # too few photographs in this fold
        return SearchedCase(task.name, task.fold, (), ())
    image = replace(searched(pixels, np.zeros((0, *pixels.shape[:2]), np.uint8)), kind=DRAWN)
    return SearchedCase(task.name, task.fold, tuple(dict.fromkeys(used)), (image,))


def _authentic(task: Task, file: SourceFile) -> SearchedCase:
    nothing = SearchedCase(task.name, task.fold, (), ())
    try:
        pixels = read_picture(Case(file.name, file.path))[0].pixels
    except ForgeError:
        return nothing
    if pixels.shape[0] * pixels.shape[1] > LARGEST:
        return nothing
    none = np.zeros((0, *pixels.shape[:2]), np.uint8)
    return SearchedCase(task.name, task.fold, (origin_of(file),), (searched(pixels, none),))


def collect(
    forgeries: int,
    per_kind: int,
    seed: int,
    workers: int,
    keep: Path | None = None,
    drawings: int = 0,
) -> Samples:
    """Search forgeries, their twins and authentic images of the sources to fit on.

    Args:
        forgeries: to make; those that are too large are left out.
        per_kind: authentic images of every kind, at most.
        seed: of the forgeries.
        workers: processes.
        keep: an .npz that is read if it is there, and written as the search goes on. It may hold
            more than is asked for.
        drawings: images with drawn look-alikes (`bench.drawn`) to make.

    Raises:
        SystemExit: the file was made with other settings, features or sources, or a fold has no
            images to make forgeries of.
    """
    files = authentic_files()[0]
    folds = folds_of(files)
    if not all(photographs(part) for part in in_folds(files, folds)):
        raise SystemExit("too few sources: a fold has no photographs to make forgeries of")
    tasks = tasks_of(files, folds, forgeries, per_kind, seed, drawings)
    key = made_with(files, folds)
    done: dict[str, SearchedCase] = {}
    if keep is not None and keep.exists():
        done = {case.task: case for case in Samples.read(keep, key).cases()}
    to_do = [task for task in tasks if task.name not in done]
    if to_do:
        with ProcessPoolExecutor(workers, get_context("spawn"), _start) as pool:
            found = _said(pool.map(_work, to_do), len(to_do))
            while part := list(islice(found, KEEP_EVERY)):
                done |= {case.task: case for case in part}
                if keep is not None:
                    joined(done.values()).write(keep, key)
    return joined(case for task in tasks if (case := done[task.name]).images)


def _said(cases: Iterator[SearchedCase], total: int) -> Iterator[SearchedCase]:
    """The same, with a line on stderr from time to time."""
    started = time.monotonic()
    for number, case in enumerate(cases, 1):
        yield case
        if number % 20 == 0 or number == total:
            rate = number / (time.monotonic() - started)
            left = (total - number) / rate / 60.0
            print(
                f"{number} of {total} cases, {rate:.2f} a second, {left:.0f} min left",
                file=sys.stderr,
                flush=True,
            )
