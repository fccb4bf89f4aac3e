"""What the judge is fitted on: the candidates of many images, in arrays and in a file."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgecli.atomic import Draft
from forgecli.match.features import FEATURES

_MADE_WITH = "made_with"


@dataclass(frozen=True, slots=True)
class Searched:
    """One image, searched.

    Attributes:
        features: float64 (n, features), a row per candidate.
        overlap: float64 (n,), share of a candidate's worse region inside the best group of the
            truth; 0 in an authentic image.
        forged: whether the image is.
        kind: as `kind_of_image` names it.
    """

    features: NDArray[np.float64]
    overlap: NDArray[np.float64]
    forged: bool
    kind: str


@dataclass(frozen=True, slots=True)
class SearchedCase:
    """Images that belong together: a forgery and its twin, or an authentic image alone.

    Attributes:
        task: what was to be made and searched, by name.
        fold: that its sources belong to.
        sources: what it was made of, as `bench.sources.origin_of` names it.
        images: none where nothing came of the task.
    """

    task: str
    fold: int
    sources: tuple[str, ...]
    images: tuple[Searched, ...]


@dataclass
class Samples:
    """Candidates of many images, a row each.

    Attributes:
        names: (features,), of the columns.
        features: float64 (n, features).
        overlap: float64 (n,), as in `Searched`.
        image: int64 (n,), which image a row comes from.
        case: int64 (images,), forgery and twin share one.
        forged: bool (images,).
        kind: str (images,).
        task: str (cases,).
        fold: int64 (cases,).
        sources: str (s,): where images come from.
        of: bool (cases, s): which sources a case was made of.
    """

    names: NDArray[np.str_]
    features: NDArray[np.float64]
    overlap: NDArray[np.float64]
    image: NDArray[np.int64]
    case: NDArray[np.int64]
    forged: NDArray[np.bool_]
    kind: NDArray[np.str_]
    task: NDArray[np.str_]
    fold: NDArray[np.int64]
    sources: NDArray[np.str_]
    of: NDArray[np.bool_]

    def cases(self) -> list[SearchedCase]:
        """One by one, as they were before `joined`."""
        starts = np.searchsorted(self.image, np.arange(len(self.case) + 1))
        images: list[list[Searched]] = [[] for _ in self.task]
        for number, case in enumerate(self.case):
            rows = slice(starts[number], starts[number + 1])
            images[case].append(
                Searched(
                    self.features[rows],
                    self.overlap[rows],
                    bool(self.forged[number]),
                    str(self.kind[number]),
                )
            )
        return [
            SearchedCase(
                str(task), int(self.fold[case]),
                tuple(self.sources[self.of[case]].tolist()), tuple(images[case]),
            )
            for case, task in enumerate(self.task)
        ]  # fmt: skip

    def without_forgeries_of(self, sources: Collection[str]) -> Samples:
        """All cases but the forgeries, and their twins, that were made of one of these sources."""
        return joined(
            case
            for case in self.cases()
            if not set(case.sources) & set(sources) or not any(i.forged for i in case.images)
        )

    def write(self, path: Path, made_with: Mapping[str, str]) -> None:
        """Keep them, as an .npz without pickle. A file that is there is replaced as a whole.

        Args:
            made_with: what must be the same for them to be of use: names and hashes.
        """
        packed = io.BytesIO()
        keys = json.dumps(dict(made_with), sort_keys=True)
        arrays: dict[str, Any] = {**vars(self), _MADE_WITH: np.array(keys)}
        np.savez_compressed(packed, **arrays)
        draft = Draft(path)
        try:
            draft.write(packed.getvalue())
            draft.commit()
        finally:
            draft.discard()

    @classmethod
    def read(cls, path: Path, made_with: Mapping[str, str]) -> Samples:
        """Those that were kept.

        Raises:
            SystemExit: they were made with something else; says with what.
        """
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        then = json.loads(str(arrays.pop(_MADE_WITH, "{}")))
        other = sorted(
            name for name in {*then, *made_with} if then.get(name) != made_with.get(name)
        )
        if other or arrays["names"].tolist() != list(FEATURES):
            what = ", ".join(other) or "features"
            raise SystemExit(
                f"{path} was made with another state of: {what}. Remove it, or name another file"
            )
        return cls(**arrays)


def joined(cases: Iterable[SearchedCase]) -> Samples:
    """Many cases as arrays."""
    cases = list(cases)
    images = [(number, image) for number, case in enumerate(cases) for image in case.images]
    sources = sorted({source for case in cases for source in case.sources})
    rows = [image.features for _, image in images]
    return Samples(
        names=np.array(FEATURES),
        features=np.concatenate([np.zeros((0, len(FEATURES))), *rows]),
        overlap=np.concatenate([np.zeros(0), *(image.overlap for _, image in images)]),
        image=np.repeat(np.arange(len(images)), [len(image.overlap) for _, image in images]),
        case=np.array([number for number, _ in images], np.int64),
        forged=np.array([image.forged for _, image in images], bool),
        kind=np.array([image.kind for _, image in images], np.str_),
        task=np.array([case.task for case in cases], np.str_),
        fold=np.array([case.fold for case in cases], np.int64),
        sources=np.array(sources, np.str_),
        of=np.array([[s in case.sources for s in sources] for case in cases], bool),
    )
