"""From what a user names to files: single files, folders, patterns, lists."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forgecli.cases.formats.header import SUFFIXES
from forgecli.cases.layout import is_mask_folder
from forgecli.errors import UsageError


@dataclass(slots=True)
class Files:
    """The files behind the inputs.

    Attributes:
        paths: in the order found.
        roots: the folders and files that the inputs named, for ids made of paths.
        ignored: how many files of a folder were passed over, by suffix.
    """

    paths: list[Path] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def find_files(inputs: Sequence[str | Path]) -> Files:
    """Expand what a user names.

    A file that is named is taken whatever its suffix. Of a folder or a pattern, the files with a
    picture's suffix are taken, with folders below it; links are followed, hidden files and masks
    of a data set are left out. `@FILE` is a list of files and folders, one a line, and `-` is such
    a list on standard input; blank lines and lines that begin with `#` are skipped, names hold for
    the current folder, and a name that does not exist stays a file, so that it is reported.

    Raises:
        UsageError: a file, folder or list does not exist, or a pattern matches nothing.
    """
    files = Files()
    seen: set[tuple[int, int]] = set()
    for named in inputs:
        text = os.fspath(named)
        path = Path(text)
        if _is_folder(path):
            _take_folder(path, files, seen)
        elif os.path.lexists(path):
            _take_file(path, files)
        elif text == "-":
            _take_list(sys.stdin.buffer.read(), "standard input", files, seen)
        elif text.startswith("@"):
            _take_list(_read_list(Path(text[1:])), text[1:], files, seen)
        elif glob.has_magic(text):
            _take_pattern(text, files, seen)
        else:
            raise UsageError("There is no such file or folder.", file=text, mend="check the path")
    return files


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link to itself, a name that is too long
        return False


def _take_file(path: Path, files: Files) -> None:
    files.paths.append(path)
    files.roots.append(path.parent)


def _take_folder(folder: Path, files: Files, seen: set[tuple[int, int]]) -> None:
    files.roots.append(folder)
    for path in _walk(folder, seen):
        _take_if_picture(path, files)


def _take_if_picture(path: Path, files: Files) -> None:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        files.paths.append(path)
    else:
        files.ignored[suffix] += 1


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Files below `folder`, each folder once however many links lead to it."""
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            status = current.stat()
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise UsageError(
                f"The folder cannot be listed: {error.strerror}.",
                file=current,
                mend="Give yourself permission to read it, or name the folders that you can read.",
            ) from None
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = current / entry.name
            if _is_folder(path):
                if not is_mask_folder(path):
                    below.append(path)
            else:
                yield path
        pending += reversed(below)


def _take_pattern(pattern: str, files: Files, seen: set[tuple[int, int]]) -> None:
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (patterns with a root)
    if not matches:
        raise UsageError(
            f"Nothing matches the pattern {pattern}.",
            mend="check it from the current folder; ** stands for any folders between",
        )
    for match in matches:
        path = Path(match)
        if _is_folder(path):
            # `**` names the folders on its way as well; its files are matches themselves.
            if not pattern.endswith("**"):
                _take_folder(path, files, seen)
        elif not any(is_mask_folder(parent) for parent in path.parents):
            _take_if_picture(path, files)
            files.roots.append(path.parent)


def _read_list(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The list cannot be read: {error.strerror}.",
            file=path,
            mend="name a file with one path a line, as @list.txt",
        ) from None


def _take_list(content: bytes, name: str, files: Files, seen: set[tuple[int, int]]) -> None:
    content = content.removeprefix(b"\xef\xbb\xbf")
    # Names may hold line breaks; `find -print0` writes such lists.
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    before = len(files.paths)
    for line in lines:
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        path = Path(os.fsdecode(line))
        if _is_folder(path):
            _take_folder(path, files, seen)
        else:
            _take_file(path, files)
    if len(files.paths) == before:
        raise UsageError(
            "The list names no pictures.", file=name, mend="write one path of a picture a line"
        )
