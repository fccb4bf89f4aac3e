"""The files of a data set: images with what their folders say of them, masks left over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forgecli.cases.discover import discover
from forgecli.cases.header import SUFFIXES
from forgecli.cases.layout import MASK_SUFFIXES, absolute, image_folder_of
from forgecli.cases.order import natural_key
from forgecli.detection import Label
from forgecli.errors import UsageError
from forgecli.inspect.rows import Finding, Kind

LAYOUT = (
    "expected are train_images/authentic, train_images/forged and train_masks (the layout of the "
    "competition and of forge synth), or images and masks, or a folder of images"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of a data set, before anything is read. For the names see `rows.ImageRow`."""

    case_id: str
    part: str
    label: str
    path: str
    image: Path
    mask: Path | None = None
    mask_path: str = ""


@dataclass(frozen=True, slots=True)
class DataSet:
    """The files of a data set.

    Attributes:
        entries: in natural order of their paths.
        findings: about masks that belong to no entry.
    """

    folder: Path
    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]


def find_entries(folder: Path) -> DataSet:
    """List a data set. Nothing is opened but folders.

    Raises:
        UsageError: there is no such folder, it cannot be listed, or holds no images.
    """
    if not folder.is_dir():
        what = "is a file, not a folder." if folder.exists() else "there is no such folder."
        raise UsageError(what, file=folder, mend=LAYOUT)
    base = absolute(folder)
    try:
        cases = discover([folder], id_from="path")
    except UsageError as error:
        if error.what.startswith("There are no pictures"):
            raise UsageError("holds no images.", file=folder, mend=LAYOUT) from None
        raise
    entries = tuple(
        Entry(
            case_id=PurePosixPath(case.case_id).stem,
            part=_part_of(case.image, base),
            label=case.label or "",
            path=case.case_id,
            image=case.image,
            mask=case.mask,
            mask_path=_below(case.mask, base) if case.mask else "",
        )
        for case in cases
        # Pictures of masks are not images, even where the folder of their images is missing.
        if not _in_mask_folder(case.image)
    )
    findings = tuple(_masks_left_over(base))
    if not entries:
        raise UsageError("holds masks but no images.", file=folder, mend=LAYOUT)
    return DataSet(folder, entries, findings)


def _part_of(image: Path, base: Path) -> str:
    """`train` for whatever is below `train_images`."""
    for parent in absolute(image).parents:
        if parent.name.endswith("_images"):
            return parent.name.removesuffix("_images")
        if parent == base:
            break
    return ""


def _below(path: Path, base: Path) -> str:
    """A path as it is shown: from the data set's folder."""
    return Path(os.path.relpath(absolute(path), base)).as_posix()


def _in_mask_folder(image: Path) -> bool:
    return image_folder_of(absolute(image).parent) is not None


def _masks_left_over(base: Path) -> Iterator[Finding]:
    """Masks that are never read, with the reason."""
    for folder in sorted(_mask_folders(base)):
        images = image_folder_of(folder)
        assert images is not None
        forged = _stems(images) | _stems(images / Label.FORGED)
        authentic = _stems(images / Label.AUTHENTIC)
        files = (each for each in folder.iterdir() if each.suffix.lower() in MASK_SUFFIXES)
        for mask in sorted(files, key=lambda path: natural_key(path.name)):
            shown = _below(mask, base)
            if mask.stem not in forged:
                reason = f"no forged image of this id in {images.name}"
                if mask.stem in authentic:
                    reason = "the only image of this id is authentic"
                yield Finding(Kind.ORPHAN, shown, reason)
            elif (read := _read_instead(mask)) != mask:
                reason = f"{read.name} is read instead" if read else "its suffix is in upper case"
                yield Finding(Kind.SECOND_MASK, shown, f"not read: {reason}")


def _read_instead(mask: Path) -> Path | None:
    """The mask that `layout.truth_of` finds for the id of this one."""
    every = (mask.with_name(mask.stem + suffix) for suffix in MASK_SUFFIXES)
    return next((each for each in every if each.is_file()), None)


def _mask_folders(base: Path) -> set[Path]:
    """Folders of masks in the data set, and beside it where it is a folder of images itself."""
    around = [base.parent, base.parent.parent] if base.name in set(Label) else [base.parent]
    found = {
        folder
        for parent in around
        for folder in _folders(parent)
        if image_folder_of(folder) in (base, base.parent)
    }
    waiting = [base]
    while waiting:
        for folder in _folders(waiting.pop()):
            if image_folder_of(folder) is not None:
                found.add(folder)
            elif not folder.is_symlink():
                waiting.append(folder)
    return found


def _folders(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.is_dir() and each.name[:1] != "."]
    except OSError:  # a neighbour that is not ours to list
        return []


def _stems(folder: Path) -> set[str]:
    try:
        return {each.stem for each in folder.iterdir() if each.suffix.lower() in SUFFIXES}
    except OSError:
        return set()
