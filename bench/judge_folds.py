"""Which sources go to which fold of the judge's fit.

Folds come first and forgeries after: each is made from the sources of one fold, so no case has a
source in two of them, and trees fitted on the other folds have seen none of what they score. With
one source of every kind but blots and gels, as here, these trees have not seen its kind either, and
a fold's figures hold few kinds: out of fold, the judge does worse than it would on new sources of
the kinds that it knows. Four folds give each one a kind of micrographs beside its blots; a fifth
would have blots alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from bench.sources import origin_of
from forgecli.synth.sources import SourceFile

FOLDS = 4


def folds_of(files: Sequence[SourceFile], count: int = FOLDS) -> dict[str, int]:
    """The fold of every origin (`bench.sources.origin_of`), from 0.

    Balanced by kind and over all: the largest origin first, each goes where its kind has least so
    far, and of folds alike in that, where there is least of anything. An origin counts with the
    root of its files, as `forge synth` draws kinds: 260 nuclei are not worth 30 times 8 tissues.
    Depends on the files alone, not on their order.

    Args:
        files: of every kind.
        count: of folds.
    """
    sizes = Counter(origin_of(file) for file in files)
    kind_of = {origin_of(file): file.kind for file in files}
    of_kind: dict[str, list[float]] = defaultdict(lambda: [0.0] * count)
    filled = [0.0] * count
    found = {}
    for origin in sorted(sizes, key=lambda name: (-sizes[name], name)):
        weight, mine = sizes[origin] ** 0.5, of_kind[kind_of[origin]]
        fold = min(range(count), key=lambda number: (mine[number], filled[number], number))
        found[origin] = fold
        mine[fold] += weight
        filled[fold] += weight
    return found


def in_folds(files: Sequence[SourceFile], folds: dict[str, int]) -> list[list[SourceFile]]:
    """The files of every fold, each in the order of `files`."""
    parts: list[list[SourceFile]] = [[] for _ in range(max(folds.values()) + 1)]
    for file in files:
        parts[folds[origin_of(file)]].append(file)
    return parts
