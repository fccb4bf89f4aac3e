"""The whole of `forge inspect`: from a folder to rows and a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from forgecli.cases.layout import absolute
from forgecli.errors import UsageError
from forgecli.inspect.entries import DataSet, find_entries
from forgecli.inspect.figures import findings_text
from forgecli.inspect.relations import leaks, relations
from forgecli.inspect.rows import Finding, ImageRow, Kind
from forgecli.inspect.sources import shared_sources
from forgecli.inspect.summary import Other, Summary, summarise
from forgecli.inspect.workers import examine_all

Numbered = Iterable[tuple[int, ImageRow]]
Watch = Callable[[Numbered, int], Numbered]
"""Passes rows on while it shows how many of how many there are."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found.

    Attributes:
        rows: one per image, in natural order of their paths.
        files: images and masks by the paths that rows name them by, which are spelled for people.
    """

    rows: tuple[ImageRow, ...]
    summary: Summary
    files: Mapping[str, Path]

    @property
    def unreadable(self) -> int:
        """Images that could not be read, here and in the other data set, or whose masks could
        not."""
        other = self.summary.against
        return self.summary.unreadable + (other.unreadable if other else 0)

    @property
    def readable(self) -> int:
        """Images that could be decoded."""
        return sum(row.pixels is not None for row in self.rows)

    def verdict(self) -> str:
        """The result in a sentence."""
        summary = self.summary
        said = f"{summary.images:,} images"
        if not summary.labelled:
            said += ", none with a class (no folder authentic or forged, no masks)"
        if self.unreadable:
            said += f"; {self.unreadable:,} could not be read, or their masks could not"
        return f"{said}; {findings_text(summary.wrong)}"


def survey(
    folder: Path,
    *,
    against: Path | None = None,
    max_pixels: int,
    workers: int,
    watch: Watch = lambda rows, total: rows,
) -> Survey:
    """Look at all images and masks of a data set.

    Memory holds a row per image, a kilobyte or so, and the few images that are being looked at.

    Args:
        against: another data set, such as the test images, to look for leaks. Where it is part of
            `folder`, its images count there only.
        max_pixels: of one image; larger ones are not decoded.
        workers: processes; 0 works in this one.

    Raises:
        UsageError: a folder does not exist, or has no images.
    """
    dataset = find_entries(folder)
    other = find_entries(against) if against else None
    if other:
        dataset = _without(dataset, other)
    entries = [*dataset.entries, *(other.entries if other else ())]
    found = dict(watch(examine_all(entries, max_pixels, workers), len(entries)))
    every = [found[number] for number in range(len(entries))]
    rows, others = every[: len(dataset.entries)], every[len(dataset.entries) :]
    findings = [*dataset.findings, *relations(rows)]
    shared: list[Finding] = []
    compared = None
    if other:
        name = str(other.folder)
        shared = [*leaks(rows, others, name), *shared_sources(dataset, other)]
        compared = Other(
            name=name,
            images=len(others),
            unreadable=sum(row.unreadable for row in others),
            shared_ids=sum(each.kind is Kind.LEAK_ID for each in shared),
            shared_pictures=sum(each.kind is Kind.LEAK_PICTURE for each in shared),
            shared_sources=sum(each.kind is Kind.LEAK_SOURCE for each in shared),
        )
    summary = summarise(str(folder), rows, [*findings, *shared], compared)
    files = {entry.path: entry.image for entry in dataset.entries}
    files |= {entry.mask_path: entry.mask for entry in dataset.entries if entry.mask}
    return Survey(tuple(rows), summary, files)


def _without(dataset: DataSet, other: DataSet) -> DataSet:
    """The data set less the images that the other one names."""
    there = {absolute(entry.image) for entry in other.entries}  # a link is a file of its own
    kept = tuple(entry for entry in dataset.entries if absolute(entry.image) not in there)
    if not kept:
        raise UsageError(
            "all images are in the other data set as well.",
            file=dataset.folder,
            mend="name two folders that do not hold the same files",
        )
    return replace(dataset, entries=kept)
