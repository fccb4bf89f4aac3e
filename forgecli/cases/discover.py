"""Cases behind what a user names: an id, a picture, and the truth where a data set has one."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from forgecli.cases.inputs import Files, find_files
from forgecli.cases.layout import absolute, truth_of
from forgecli.cases.order import natural_key
from forgecli.console import note
from forgecli.detection import Case
from forgecli.errors import UsageError


def discover(
    inputs: Sequence[str | Path], *, id_from: Literal["name", "path"] = "name"
) -> list[Case]:
    """The cases behind files, folders, patterns and lists (see `inputs.find_files`).

    Args:
        inputs: what the user names, in any mix.
        id_from: "name" makes the id from the file's name without its suffix, as the competition
            does; "path" takes the path below the deepest folder that holds all inputs, with
            its suffix, `/` between its parts.

    Returns:
        cases in natural order of their ids. Label and mask are set where the folders are those of
        a data set (see `layout`). A file reached in two ways is one case. How many files with
        other suffixes were passed over is told on stderr.

    Raises:
        UsageError: an input does not exist, there are no pictures, or two of them share an id.
    """
    files = find_files(inputs)
    if files.ignored:
        note(_ignored(files))
    if not files.paths:
        raise UsageError(
            "There are no pictures in " + ", ".join(os.fspath(i) for i in inputs) + ".",
            mend="Name files, or folders that hold PNG, JPEG, TIFF, BMP, WebP or NPY pictures.",
        )
    base = _common_folder(files.roots) if id_from == "path" else None
    cases: dict[str, Case] = {}
    for path in files.paths:
        case_id = _printable(path.stem) if id_from == "name" else _id(path, base)
        other = cases.get(case_id)
        if other is None:
            mask, label = truth_of(path)
            cases[case_id] = Case(case_id, path, mask, label)
        elif os.path.realpath(other.image) != os.path.realpath(path):
            raise UsageError(
                f"Two pictures have the id {case_id!r}: {other.image} and {path}.",
                mend="Add --id-from path, which makes ids of paths."
                if id_from == "name"
                else "Rename one of them.",
            )
    return sorted(cases.values(), key=lambda case: natural_key(case.case_id))


def _common_folder(roots: Sequence[Path]) -> Path | None:
    """The deepest folder that holds all; None where they lie on different drives."""
    try:
        return Path(os.path.commonpath([absolute(root) for root in roots]))
    except ValueError:
        return None


def _id(path: Path, base: Path | None) -> str:
    """The path below `base`, or all of it without one, as text that can be written as UTF-8."""
    below = absolute(path) if base is None else absolute(path).relative_to(base)
    return _printable(below.as_posix())


def _printable(text: str) -> str:
    # Systems differ in how they spell an accent, and some allow names that are no text.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return unicodedata.normalize("NFC", text)


def _ignored(files: Files) -> str:
    kinds = ", ".join(
        f"{count} {suffix or 'without a suffix'}" for suffix, count in files.ignored.most_common(5)
    )
    total = files.ignored.total()
    files_of = "files" if total > 1 else "file"
    return f"{total} {files_of} of kinds that forge does not read passed over ({kinds})"
