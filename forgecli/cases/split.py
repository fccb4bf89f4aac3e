"""Splits of a data set by group, alike in class, coverage and domain on all sides."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from forgecli.atomic import atomic_writer
from forgecli.cases.order import natural_key
from forgecli.errors import ForgeError, UsageError

Side = Literal["train", "validation"]
_COLUMNS = ["case_id", "side"]


@dataclass(frozen=True, slots=True)
class Member:
    """An image that is to be put on a side.

    Attributes:
        case_id: unique.
        group: members of one group are never on both sides.
        strata: what should be spread evenly, such as ``class forged`` and ``coverage 1 - 2 %``.
    """

    case_id: str
    group: str
    strata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Which images are trained on and which are validated on; case ids in natural order."""

    train: tuple[str, ...]
    validation: tuple[str, ...]

    def sides(self) -> dict[str, Side]:
        """The side of every id, in natural order."""
        side: dict[str, Side] = dict.fromkeys(self.train, "train")
        side |= dict.fromkeys(self.validation, "validation")
        return {case_id: side[case_id] for case_id in sorted(side, key=natural_key)}

    @property
    def hash(self) -> str:
        """SHA-256 of the ids with their sides; two splits are the same if this is."""
        lines = sorted(f"{case_id}\t{side}\n" for case_id, side in self.sides().items())
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def split_by_share(members: Iterable[Member], share: float, seed: int) -> Split:
    """Put about `share` of the members aside for validation.

    The same members, share and seed give the same split, whatever the order of the members.

    Raises:
        UsageError: there are fewer than two groups.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share is between 0 and 1. Got: {share}")
    # Validation is side 0: where all is equal it is served first, and with it its rare strata.
    side_of = _allocate(members, np.array([share, 1 - share]), seed)
    return _split(side_of, 0)


def split_by_fold(members: Iterable[Member], folds: int, seed: int) -> list[Split]:
    """A split for each of `folds` parts, which is validated on while the others are trained on.

    Raises:
        UsageError: there are fewer groups than folds.
    """
    if folds < 2:
        raise ValueError(f"there are two folds or more. Got: {folds}")
    part_of = _allocate(members, np.full(folds, 1 / folds), seed)
    return [_split(part_of, fold) for fold in range(folds)]


def shares(members: Iterable[Member], split: Split) -> dict[str, tuple[int, int]]:
    """For ``all`` and each stratum, the members to train on and those to validate on."""
    train, validation = set(split.train), set(split.validation)
    counts: dict[str, list[int]] = {"all": [0, 0]}
    for member in members:
        side = (member.case_id in train, member.case_id in validation)
        for name in ("all", *member.strata):
            count = counts.setdefault(name, [0, 0])
            count[0] += side[0]
            count[1] += side[1]
    names = sorted(counts, key=lambda name: (name != "all", natural_key(name)))
    return {name: (counts[name][0], counts[name][1]) for name in names}


def write_split(file: Path, split: Split) -> None:
    """Write a split: as JSON if the file's name says so, else as CSV (case_id, side).

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_writer(file, newline="") as text:
        if file.suffix.lower() == ".json":
            document = {"hash": split.hash, "train": split.train, "validation": split.validation}
            json.dump(document, text, indent=1)
            text.write("\n")
        else:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(split.sides().items())


def read_split(file: Path) -> Split:
    """Read what `write_split` wrote, or what was written by hand in its form.

    Raises:
        UsageError: it is missing.
        ForgeError: it is not such a file, or an id is on both sides or twice on one.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}.", file=file) from error
    except UnicodeDecodeError as error:
        raise ForgeError("is not a text file.", file=file) from error
    pairs = _json_pairs(text) if file.suffix.lower() == ".json" else _csv_pairs(text)
    if pairs is None:
        raise ForgeError(
            "is not a split.",
            file=file,
            mend="CSV with the columns case_id and side (train or validation), "
            "or JSON with lists of ids called train and validation",
        )
    part_of = {case_id: int(side == "train") for case_id, side in pairs}
    if len(part_of) < len(pairs):
        twice, _ = Counter(case_id for case_id, _ in pairs).most_common(1)[0]
        raise ForgeError(f"has the id {twice!r} more than once.", file=file)
    return _split(part_of, 0)


def _csv_pairs(text: str) -> list[tuple[str, str]] | None:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    good = rows and rows[0] == _COLUMNS
    if not good or not all(len(row) == 2 and row[1] in get_args(Side) for row in rows[1:]):
        return None
    return [(case_id, side) for case_id, side in rows[1:]]


def _json_pairs(text: str) -> list[tuple[str, str]] | None:
    try:
        document = json.loads(text)
        sides = [(side, document[side]) for side in get_args(Side)]
    except (ValueError, KeyError, TypeError):
        return None
    pairs = [(case_id, side) for side, ids in sides if isinstance(ids, list) for case_id in ids]
    return pairs if all(isinstance(case_id, str) for case_id, _ in pairs) else None


def _split(part_of: Mapping[str, int], validation: int) -> Split:
    ids = sorted(part_of, key=natural_key)
    return Split(
        tuple(case_id for case_id in ids if part_of[case_id] != validation),
        tuple(case_id for case_id in ids if part_of[case_id] == validation),
    )


def _allocate(members: Iterable[Member], wanted: NDArray[np.float64], seed: int) -> dict[str, int]:
    """The part of every member; each part has about its wanted share of every stratum.

    Greedy: groups from the largest to the smallest, each to the part where it lessens the distance
    to the wanted counts most (after Sechidis, Tsoumakas and Vlahavas, On the stratification of
    multi-label data, 2011, with groups in place of single examples). A stratum counts relative to
    its size, so that rare ones are spread as well. Order and ties follow a hash of seed and name.
    """
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.group, []).append(member)
    if len(groups) < len(wanted):
        raise UsageError(
            f"the images form {len(groups)} group{'s' if len(groups) != 1 else ''}, too few to "
            f"split them into {len(wanted)} parts.",
            mend="add images, ask for fewer parts, or name another folder to validate on",
        )
    columns = {"all": 0}
    for name in sorted({name for group in groups.values() for m in group for name in m.strata}):
        columns.setdefault(name, len(columns))
    names = _shuffled(groups, seed)
    counts = np.zeros((len(names), len(columns)))
    for row, name in enumerate(names):
        tally = Counter(stratum for m in groups[name] for stratum in ("all", *m.strata))
        for stratum, number in tally.items():
            counts[row, columns[stratum]] = number
    part_of_group = _place(counts, wanted)
    return {
        member.case_id: int(part)
        for name, part in zip(names, part_of_group, strict=True)
        for member in groups[name]
    }


def _shuffled(names: Iterable[str], seed: int) -> list[str]:
    def drawn(name: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()

    return sorted(names, key=lambda name: (drawn(name), name))


def _place(counts: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """The part of each group: `counts` (groups, strata) of members, `wanted` (parts,) shares."""
    totals = counts.sum(axis=0)
    goal = wanted[:, None] * totals  # (parts, strata)
    have = np.zeros_like(goal)
    parts = np.empty(len(counts), np.int64)
    by_size = np.argsort(-counts[:, 0], kind="stable")
    for row in by_size:
        # By how much (have + count - goal)^2 grows, relative to the stratum and the part's share.
        growth = counts[row] * (2 * (have - goal) + counts[row]) / (goal * totals)
        parts[row] = np.argmin(growth.sum(axis=1))
        have[parts[row]] += counts[row]
    _fill_empty(parts, by_size[::-1], len(wanted))
    return parts


def _fill_empty(parts: NDArray[np.int64], small_first: Sequence[int] | NDArray[np.int64],
                count: int) -> None:  # fmt: skip
    """Give each part without a group the smallest one of a part that has others."""
    for part in range(count):
        if not (parts == part).any():
            row = next(row for row in small_first if (parts == parts[row]).sum() > 1)
            parts[row] = part
