"""From the settings to the images that are trained on and those that are validated on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from forgecli.cases.split import (
    Member,
    Split,
    read_split,
    shares,
    split_by_fold,
    split_by_share,
)
from forgecli.errors import UsageError
from forgecli.train.data import DataSettings
from forgecli.train.index import Index, Item, Progress, read_index, shared_sources


@dataclass(frozen=True, slots=True)
class Sides:
    """The two sides of a run.

    Attributes:
        train, validation: images, in natural order of ids.
        split: which is which, for the run's folder and the card. Where there are two folders, the
            ids in it begin with ``train/`` and ``validation/``.
        strata: for ``all`` and each stratum, how many images are on either side.
        left_out: images of the folders that are not used.
        lines: what a user should know: warnings, what was left out and why, and how many images
            have sources on both sides.
    """

    train: tuple[Item, ...]
    validation: tuple[Item, ...]
    split: Split
    strata: dict[str, tuple[int, int]]
    left_out: int
    lines: tuple[str, ...]


def read_sides(
    data: DataSettings,
    *,
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Sides:
    """Read the data set, or both, and split it.

    Args:
        cache: a folder for files that save reading everything again the next time.
        workers, progress: see `forgecli.train.index.read_index`.

    Raises:
        UsageError: no folder, no such fold, too few groups, a side without forged images, or a
            split that names images which are not there.
        ForgeError: `data.split` is not a split.
        OutputError: the cache cannot be written.
    """
    if data.folder is None:
        raise UsageError("no data set is named.", mend="pass --data, or set folder in [data]")
    if data.folds == 1 or data.fold >= max(1, data.folds):
        raise UsageError(
            f"fold {data.fold} of {data.folds} cannot be.",
            mend="folds is 0 or from 2 on, and fold is from 0 to folds - 1",
        )
    if data.split is not None and (data.folds or data.validation_folder is not None):
        raise UsageError(
            "split says which images are validated on, and so do folds and validation_folder.",
            mend="set one of them in [data]",
        )
    index = _read(data, data.folder, "index.json", cache, workers, progress)
    _check_forged(index.items, "train on", data.folder)
    apart = data.validation_folder is not None
    lines, left_out = list(index.lines(whole=apart)), len(index.left_out)
    if data.validation_folder is not None:
        other = _read(
            data, data.validation_folder, "index-validation.json", cache, workers, progress
        )
        lines += [f"in {data.validation_folder}: {line}" for line in other.lines(whole=True)]
        left_out += len(other.left_out)
        train, validation = index.items, other.items
        same = _files(train) & _files(validation)
        if same:
            raise UsageError(
                f"{len(same)} images are in both data sets, {min(same).name} for one.",
                file=data.validation_folder,
                mend="validate on other images, or leave out validation_folder for a split",
            )
        # The same path may be in both.
        here, there = _named("train", train), _named("validation", validation)
        split = Split(tuple(m.case_id for m in here), tuple(m.case_id for m in there))
        members = here + there
    else:
        members = index.members()
        if data.split is not None:
            split = _known(read_split(data.split), index, data.split)
            members = [m for m in members if m.case_id in split.sides()]
            if unnamed := len(index.items) - len(members):
                lines.append(f"{unnamed} images are not named in {data.split}: left out")
                left_out += unnamed
            if both := _on_both_sides(members, split):
                lines.append(
                    f"{both} groups are on both sides of {data.split}, so validation looks better "
                    "than images from elsewhere will"
                )
        elif data.folds:
            split = split_by_fold(members, data.folds, data.split_seed)[data.fold]
        else:
            split = split_by_share(members, data.validation_share, data.split_seed)
        train, validation = index.of(split.train), index.of(split.validation)
    _check_forged(train, "train on", data.folder)
    _check_forged(validation, "validate on", data.validation_folder or data.folder)
    if all(item.forged for item in train):
        lines.append(
            "there are no authentic images to train on: nothing teaches the network silence"
        )
    if shared := shared_sources(train, validation):
        lines.append(
            f"{shared} of {len(validation)} validation images share a source picture with training "
            "images, so validation looks better than images from elsewhere will"
        )
    return Sides(train, validation, split, shares(members, split), left_out, tuple(lines))


def _known(split: Split, index: Index, file: Path) -> Split:
    """The split, all of whose images are there."""
    there = {item.case.case_id for item in index.items}
    missing = [case_id for case_id in split.sides() if case_id not in there]
    if missing:
        unusable = [case_id for case_id in missing if case_id in index.left_out]
        why = f"; {len(unusable)} of them cannot be used" if unusable else ""
        raise UsageError(
            f"names {len(missing)} images that are not in the data set, {missing[0]!r} for one"
            f"{why}.",
            file=file,
            mend="take the data set that the split was made of",
        )
    return split


def _on_both_sides(members: Iterable[Member], split: Split) -> int:
    """How many groups have members on both sides."""
    sides, seen = split.sides(), dict[str, set[str]]()
    for member in members:
        seen.setdefault(member.group, set()).add(sides[member.case_id])
    return sum(len(there) > 1 for there in seen.values())


def _check_forged(items: Iterable[Item], purpose: str, folder: Path) -> None:
    if not any(item.forged for item in items):
        raise UsageError(
            f"there are no forged images with masks to {purpose}.",
            file=folder,
            mend="see forge inspect for what is in the folder",
        )


def _files(items: Iterable[Item]) -> set[Path]:
    return {item.case.image.resolve() for item in items}


def _named(side: str, items: tuple[Item, ...]) -> list[Member]:
    return [Member(f"{side}/{item.case.case_id}", item.group, item.strata) for item in items]


def _read(
    data: DataSettings,
    folder: Path,
    name: str,
    cache: Path | None,
    workers: int,
    progress: Progress | None,
) -> Index:
    return read_index(
        folder,
        cases=data.cases,
        join=data.join,
        cache=cache / name if cache is not None else None,
        max_pixels=data.max_pixels,
        workers=workers,
        progress=progress,
    )
