"""What the judge is fitted on: the candidates of forgeries, of their twins, of authentic images.

A candidate is a copy if both its regions lie in one group of the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.sources import SPLIT_BY_FILE, authentic_files, photographs, spread
from forgecli.cases.decode import read_picture
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.match.candidates import Candidate
from forgecli.match.features import FEATURES
from forgecli.match.operating import kind_of_image
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from forgecli.synth import Recipe, generate
from forgecli.synth.sources import LazySources, SourceFile

LARGEST = 1_500_000
"""Pixels: larger images are left out of the fit, for time."""


@dataclass
class Samples:
    """Candidates of many images, a row each.

    Attributes:
        names: (features,), of the columns.
        features: float64 (n, features).
        overlap: float64 (n,), share of the worse region inside the best group of the truth.
        image: int64 (n,), which image a row comes from.
        case: int64 (images,), forgery and twin share one.
        forged: bool (images,).
        kind: str (images,), as `kind_of_image` names it.
        sources: str (s,): where images come from.
        of: bool (cases, s): which sources a case was made of.
        home: int64 (cases,): its source, or the first of them.
    """

    names: NDArray[np.str_]
    features: NDArray[np.float64]
    overlap: NDArray[np.float64]
    image: NDArray[np.int64]
    case: NDArray[np.int64]
    forged: NDArray[np.bool_]
    kind: NDArray[np.str_]
    sources: NDArray[np.str_]
    of: NDArray[np.bool_]
    home: NDArray[np.int64]

    def write(self, path: Path) -> None:
        """Keep them, as an .npz without pickle."""
        with path.open("wb") as file:  # given a name, NumPy would add a suffix
            np.savez_compressed(file, **vars(self))

    @classmethod
    def read(cls, path: Path) -> Samples:
        """Those that were kept.

        Raises:
            SystemExit: other features were measured then.
        """
        with np.load(path, allow_pickle=False) as kept:
            samples = cls(**{name: kept[name] for name in kept.files})
        if samples.names.tolist() != list(FEATURES):
            raise SystemExit(f"{path} holds other features than are measured now: remove it")
        return samples


@dataclass(frozen=True, slots=True)
class Searched:
    """One image, searched: features (n, features), overlap (n,), as in `Samples`."""

    features: NDArray[np.float64]
    overlap: NDArray[np.float64]
    forged: bool
    kind: str


@dataclass(frozen=True, slots=True)
class SearchedCase:
    """Images that belong together, and the sources they were made of."""

    sources: tuple[str, ...]
    images: tuple[Searched, ...]


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


def source_of(file: SourceFile) -> str:
    """What a file must not share with another fold: its source, or, as on the held-out side, the
    file itself where there is only one source of its kind."""
    return file.name if file.source in SPLIT_BY_FILE else file.source


def searched(pixels: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Searched:
    """The candidates of an image, and what they are. No masks: it is authentic."""
    found = search(pixels, MatchSettings())
    overlap = np.array([overlap_with(candidate, masks) for candidate in found.candidates], float)
    return Searched(found.features, overlap, len(masks) > 0, kind_of_image(found.layout))


_library: tuple[LazySources, list[SourceFile]] | None = None


def _start() -> None:
    import numba

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    global _library
    files = photographs(authentic_files()[0])
    _library = LazySources(files), files


def _forgery(task: tuple[int, int]) -> SearchedCase | None:
    assert _library is not None
    sources, files = _library
    try:
        made = generate(
            np.random.default_rng(task), sources, Recipe(), [file.kind for file in files]
        )
    except ForgeError:
        return None
    if made.image.shape[0] * made.image.shape[1] > LARGEST:
        return None
    used = tuple(dict.fromkeys(source_of(files[index]) for index in made.card["sources"]))
    images = searched(made.image, made.masks), searched(made.twin, made.masks[:0])
    return SearchedCase(used, images)


def _authentic(file: SourceFile) -> SearchedCase | None:
    try:
        pixels = read_picture(Case(file.name, file.path))[0].pixels
    except ForgeError:
        return None
    if pixels.shape[0] * pixels.shape[1] > LARGEST:
        return None
    none = np.zeros((0, *pixels.shape[:2]), np.uint8)
    return SearchedCase((source_of(file),), (searched(pixels, none),))


def collect(forgeries: int, per_kind: int, seed: int, workers: int) -> Samples:
    """Search forgeries, their twins and authentic images of the sources to fit on.

    Args:
        forgeries: to make; those that are too large are left out.
        per_kind: authentic images of every kind, at most.
        seed: of the forgeries.
        workers: processes.
    """
    chosen = spread(authentic_files()[0], per_kind)
    with ProcessPoolExecutor(workers, get_context("spawn"), _start) as pool:
        made = pool.map(_forgery, [(seed, index) for index in range(forgeries)])
        authentic = pool.map(_authentic, chosen)
        cases = [
            *_said(made, "forgeries", forgeries),
            *_said(authentic, "authentic images", len(chosen)),
        ]
    return joined([case for case in cases if case is not None])


def _said(
    cases: Iterator[SearchedCase | None], what: str, total: int
) -> Iterator[SearchedCase | None]:
    for number, case in enumerate(cases, 1):
        if number % 20 == 0:
            print(f"{number} of {total} {what}", flush=True)
        yield case


def joined(cases: Sequence[SearchedCase]) -> Samples:
    """Many cases as arrays."""
    images = [(number, image) for number, case in enumerate(cases) for image in case.images]
    sources = sorted({source for case in cases for source in case.sources})
    of = np.array([[source in case.sources for source in sources] for case in cases], bool)
    return Samples(
        names=np.array(FEATURES),
        features=np.concatenate([image.features for _, image in images]).astype(np.float64),
        overlap=np.concatenate([image.overlap for _, image in images]).astype(np.float64),
        image=np.repeat(np.arange(len(images)), [len(image.overlap) for _, image in images]),
        case=np.array([number for number, _ in images], np.int64),
        forged=np.array([image.forged for _, image in images], bool),
        kind=np.array([image.kind for _, image in images]),
        sources=np.array(sources),
        of=of,
        home=np.array([sources.index(case.sources[0]) for case in cases], np.int64),
    )
