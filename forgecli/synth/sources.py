"""Source images on disk: listed, split by where they come from, read when they are needed."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forgecli.cases.decode import read_picture
from forgecli.cases.inputs import find_files
from forgecli.detection import Case
from forgecli.errors import ForgeError, UsageError

_CACHE_BYTES = 256 << 20
Part = Literal["train", "test", "all"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One authentic image.

    Attributes:
        name: its path below the folder that was named, with `/` between the parts.
        kind: what it shows: the name of its folder, or the table's word for it.
        source: where it comes from (a data set, a paper): images of one source belong together.
    """

    path: Path
    name: str
    kind: str
    source: str


def list_sources(folder: Path, table: Path | None = None) -> list[SourceFile]:
    """The images of a folder, in the order of their names.

    Args:
        folder: is searched with all folders below it.
        table: a CSV with the columns file and source, and kind if it likes; file names are
            relative to the table's folder or to `folder`. Without it, the name of the folder an
            image is in stands for its kind and its source.

    Raises:
        UsageError: no such folder or table, no images, a missing column, or an image that the
            table does not name.
    """
    if not folder.is_dir():
        raise UsageError("There is no such folder.", file=folder, mend="check the path")
    paths = find_files([folder]).paths
    if not paths:
        raise UsageError(
            "There are no pictures in this folder.",
            file=folder,
            mend="name a folder with authentic PNG, JPEG, TIFF, BMP, WebP or NPY pictures",
        )
    rows = {} if table is None else _read_table(table, folder)
    found = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        own = path.parent.name if path.parent != folder else folder.resolve().name
        row = rows.get(_real(path))
        if table is not None and row is None:
            raise UsageError(
                f"does not name {name}.", file=table, mend="add a row for it, or move it elsewhere"
            )
        kind, source = (own, own) if row is None else (row.get("kind") or own, row["source"])
        found.append(SourceFile(path, name, kind, source))
    return sorted(found, key=lambda item: item.name)


def _read_table(table: Path, folder: Path) -> dict[Path, dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            rows = [{key: value or "" for key, value in row.items() if key} for row in reader]
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}.", file=table) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"is not a CSV file: {error}.", file=table) from error
    missing = [name for name in ("file", "source") if name not in columns]
    if missing:
        raise UsageError(
            f"has no column {' and no column '.join(missing)}.",
            file=table,
            mend="the columns are file,source and, if you like, kind",
        )
    found = {}
    for row in rows:
        for base in (table.parent, folder):
            found[_real(base / row["file"])] = row
    return found


def split_sources(
    files: Sequence[SourceFile],
    *,
    test_share: float = 0.3,
    by: Literal["source", "file"] = "source",
    seed: int = 0,
) -> tuple[list[SourceFile], list[SourceFile]]:
    """Split images into training and test so that no source (or no file) is in both.

    Within every kind, sources are taken in the order of a hash of their names and go to the test
    side as long as that brings it nearer to its share. A kind of which there is one source only
    stays on the training side. The split depends on the names and the seed alone, not on the order
    of the files.

    Args:
        test_share: of the files of every kind.
        by: ``file`` treats every file as a source of its own.

    Returns:
        training and test, each in the order of `files`.
    """
    if not 0 <= test_share <= 1:
        raise ValueError(f"test_share is a number from 0 to 1. Got: {test_share}")
    origin = {item.name: item.source if by == "source" else item.name for item in files}
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for item in files:
        kinds[item.kind][origin[item.name]] += 1
    test: set[str] = set()
    decided: set[str] = set()
    for kind in sorted(kinds):
        counts = kinds[kind]
        wanted = test_share * counts.total()
        taken = sum(count for source, count in counts.items() if source in test)
        for source in sorted(counts, key=lambda name: _hash(name, seed)):
            if source in decided:
                continue
            decided.add(source)
            if taken + counts[source] / 2 <= wanted and test_share > 0:
                test.add(source)
                taken += counts[source]
    return (
        [item for item in files if origin[item.name] not in test],
        [item for item in files if origin[item.name] in test],
    )


def _hash(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def digest(files: Sequence[SourceFile]) -> str:
    """Names the images and their sizes in bytes, so that another set of sources is noticed."""
    whole = hashlib.sha256()
    for item in files:
        whole.update(f"{item.name}\0{_size(item.path)}\0{item.kind}\n".encode())
    return whole.hexdigest()


class LazySources(Sequence[NDArray[np.uint8]]):
    """The pixels of source files, read when they are asked for; the last ones are kept.

    A file that cannot be read counts as an image of 1 x 1 pixel, which nothing is made of, so
    that one damaged file changes neither the others' numbers nor their forgeries.

    Attributes:
        unreadable: what was wrong, by the file's name.
    """

    def __init__(self, files: Sequence[SourceFile], cache_bytes: int = _CACHE_BYTES) -> None:
        self._files = list(files)
        self._cache: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._room = cache_bytes
        self.unreadable: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:  # type: ignore[override]
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        item = self._files[index]
        try:
            pixels = read_picture(Case(item.name, item.path))[0].pixels
        except ForgeError as error:
            self.unreadable[item.name] = error.what
            pixels = np.zeros((1, 1, 3), np.uint8)
        self._cache[index] = pixels
        self._room -= pixels.nbytes
        while self._room < 0 and len(self._cache) > 1:
            self._room += self._cache.popitem(last=False)[1].nbytes
        return pixels


def part_of(
    files: Sequence[SourceFile],
    part: Part,
    *,
    test_share: float,
    by: Literal["source", "file"] = "source",
) -> list[SourceFile]:
    """The images of one side of the split, or all of them.

    Raises:
        UsageError: that side is empty.
    """
    if part == "all":
        return list(files)
    train, test = split_sources(files, test_share=test_share, by=by)
    chosen = train if part == "train" else test
    if not chosen:
        raise UsageError(
            f"the split leaves no images for {part}.",
            mend="split by file, name sources in a table, or change the share",
        )
    return chosen


def kinds_of(files: Sequence[SourceFile]) -> Mapping[str, int]:
    """How many images there are of each kind."""
    return Counter(item.kind for item in files)


def _size(path: Path) -> int:
    """In bytes; 0 of a link that leads nowhere, which is called unreadable in its turn."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _real(path: Path) -> Path:
    """Without links. `Path.resolve` knows no end of a link to itself but an error."""
    return Path(os.path.realpath(path))
