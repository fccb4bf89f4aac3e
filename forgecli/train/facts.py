"""What reading an image and its mask tells, and a file that saves reading them again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forgecli.atomic import atomic_writer
from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.cases.masks import read_mask
from forgecli.detection import Case, Label
from forgecli.train.domain import domain_of
from forgecli.train.regions import extent_of, regions_of

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What reading an image and its mask told.

    Attributes:
        height, width: pixels.
        domain: see `domain_of`.
        instances: groups of regions that share content; 0 for an authentic image.
        coverage: share of the image that its mask covers, in percent.
        extent: the side of the smallest square that shows two regions of a group, relative to the
            image's long side; the least of all groups; 0 for an authentic image.
    """

    height: int
    width: int
    domain: str
    instances: int = 0
    coverage: float = 0.0
    extent: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The outcome for one image.

    Attributes:
        facts: None if it cannot be used.
        reason: why it cannot.
        warnings: what is odd about its files.
    """

    facts: Facts | None
    reason: str = ""
    warnings: tuple[str, ...] = ()


def look(case: Case, max_pixels: int) -> Seen:
    """Read an image and its mask. Does not raise for what is in the files."""
    if case.label is Label.FORGED and case.mask is None:
        return Seen(None, "it is forged but has no mask")
    try:
        picture, warnings = read_picture(case, max_pixels)
        height, width = picture.pixels.shape[:2]
        facts = Facts(height, width, domain_of(picture.pixels))
        if case.mask is None:
            return Seen(facts, warnings=tuple(warnings))
        masks, more = read_mask(case.mask, (height, width))
    except (Unreadable, TooLarge) as failure:
        return Seen(None, failure.what)
    if not len(masks) and case.label is None:
        return Seen(facts, warnings=tuple(warnings + more))
    if not len(masks):
        return Seen(None, "it is forged but its mask is empty", tuple(warnings + more))
    coverage = float(masks.any(axis=0).mean()) * 100
    extent = min(extent_of(regions_of(mask)) for mask in masks) / max(height, width)
    facts = dataclasses.replace(
        facts, instances=len(masks), coverage=round(coverage, 4), extent=round(extent, 4)
    )
    return Seen(facts, warnings=tuple(warnings + more))


class KnownFacts:
    """What earlier runs read, by names, sizes and times of change of an image's files.

    Args:
        file: where it is kept; None: nowhere.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._before = self._read() if file is not None else {}
        self._now: dict[str, Any] = {}

    def seen(self, case: Case, max_pixels: int) -> Seen | None:
        """What is known of the case, if it is what it was."""
        key = _state(case, max_pixels) if self._before else ""
        entry = self._before.get(key)
        if not key or entry is None:
            return None
        try:
            facts = Facts(**entry["facts"])
            seen = Seen(facts, warnings=tuple(entry["warnings"]))
        except (TypeError, KeyError):  # of another version, or not ours: it is read again
            return None
        self._now[key] = entry
        return seen

    def keep(self, case: Case, max_pixels: int, seen: Seen) -> Seen:
        """Remember it, unless it could not be read: that may be mended."""
        key = _state(case, max_pixels) if self._file is not None else ""
        if key and seen.facts is not None:
            self._now[key] = {
                "facts": dataclasses.asdict(seen.facts),
                "warnings": list(seen.warnings),
            }
        return seen

    def write(self) -> None:
        """Write what was asked for since the start, if it is not what the file holds.

        Raises:
            OutputError: it cannot be written.
        """
        if self._file is not None and self._now != self._before:
            with atomic_writer(self._file) as text:
                json.dump({"format": _FORMAT, "images": self._now}, text)

    def _read(self) -> dict[str, Any]:
        """Nothing where there is no file of this version: it only saves time."""
        assert self._file is not None
        try:
            document = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            return {}
        images = document.get("images")
        return images if isinstance(images, dict) else {}


def _state(case: Case, max_pixels: int) -> str:
    """Names, sizes and times of an image's files; empty where they cannot be had."""
    parts = [str(case.label), str(max_pixels)]
    try:
        for path in (case.image, case.mask):
            if path is not None:
                status = path.stat()
                parts += [str(path.resolve()), str(status.st_size), str(status.st_mtime_ns)]
    except (OSError, RuntimeError):
        return ""
    return "\t".join(parts)
