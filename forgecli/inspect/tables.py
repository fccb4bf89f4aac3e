"""A summary as tables that people read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from forgecli.console import printable
from forgecli.inspect.figures import bytes_text, number, percent, spread, triple
from forgecli.inspect.rows import NOTES
from forgecli.inspect.summary import ClassSummary, Summary

_MOST_SHOWN = 3


def tables(summary: Summary) -> Iterator[Table]:
    """Counts, sizes, channels, coverage and instances."""
    classes = [each for each in summary.classes if each.images]
    yield _counts(summary, classes)
    yield _sizes(classes)
    yield _channels(classes)
    yield _samples(classes)
    if summary.coverage.images:
        yield _coverage(summary)
        yield _instances(summary)
        yield _extent(summary)


def findings(summary: Summary) -> Iterator[Text]:
    """What is wrong: every kind with its count, then the first few files, a line each."""
    for kind, found in summary.by_kind().items():
        yield Text(f"{kind}: {len(found):,}", style="dim" if kind in NOTES else "bold")
        for each in found[:_MOST_SHOWN]:
            yield Text(printable(f"  {each.path}: {each.text}"))
        if len(found) > _MOST_SHOWN:
            yield Text(f"  and {len(found) - _MOST_SHOWN:,} more", style="dim")


def _table(*headings: str) -> Table:
    """The first column to the left, the others to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", overflow="fold")
    return table


def _counts(summary: Summary, classes: Sequence[ClassSummary]) -> Table:
    table = _table("images", "count", "unreadable", "size")
    for each in classes:
        size = bytes_text(each.size)
        table.add_row(each.name, f"{each.images:,}", f"{each.unreadable:,}", size)
        for name, count in each.formats.items():
            table.add_row(f"  {name}", f"{count:,}")
    parts = [part for part in summary.parts if part]
    if len(summary.parts) > 1 or parts:
        for part, counts in summary.parts.items():
            place = f"  in {printable(part)}_images" if part else "  elsewhere"
            table.add_row(Text(place), f"{sum(counts.values()):,}")
    if summary.labelled:
        table.add_row("ids in both classes", f"{summary.twins:,}")
    if summary.against:
        other = summary.against
        there = Text(f"images in {printable(other.name)}")
        table.add_row(there, f"{other.images:,}", f"{other.unreadable:,}")
        table.add_row("  their ids here", f"{other.shared_ids:,}")
        table.add_row("  their pictures here", f"{other.shared_pictures:,}")
        if other.shared_sources:
            table.add_row("  cases here of their sources", f"{other.shared_sources:,}")
    return table


def _sizes(classes: Sequence[ClassSummary]) -> Table:
    table = _table("size in pixels", "least", "P50", "P90", "most")
    for each in classes:
        for name, values in (
            ("height", each.height),
            ("width", each.width),
            ("long side", each.long_side),
        ):
            if values:
                table.add_row(f"{each.name}: {name}", *spread(values))
        if each.megapixels:
            table.add_row(f"{each.name}: megapixels", *spread(each.megapixels, ".2f"))
    return table


def _channels(classes: Sequence[ClassSummary]) -> Table:
    table = _table("channels", "grey", "grey content", "alpha", "16 bit")
    for each in classes:
        shares = (each.grey, each.grey_content, each.alpha, each.sixteen_bit)
        table.add_row(each.name, *map(percent, shares))
    return table


def _samples(classes: Sequence[ClassSummary]) -> Table:
    table = _table("samples, 0 to 255", "red", "green", "blue")
    for each in classes:
        for what, values in (("mean", each.mean), ("std", each.std)):
            if values:
                table.add_row(f"{each.name}: {what}", *triple(values))
    return table


def _coverage(summary: Summary) -> Table:
    coverage = summary.coverage
    table = _table("covered by masks", "images", "share", "that or less")
    total = 0
    for name, count in coverage.buckets.items():
        total += count
        share, up_to = count / coverage.images, total / coverage.images
        table.add_row(name, f"{count:,}", percent(share), percent(up_to))
    return table


def _instances(summary: Summary) -> Table:
    table = _table("instances", "images", "share")
    for count, images in summary.instances.items():
        table.add_row(str(count), f"{images:,}", percent(images / summary.coverage.images))
    return table


def _extent(summary: Summary) -> Table:
    table = _table("extent of masks", "least", "P50", "P90", "P95", "most")
    table.add_row("covered, percent", *map(number, summary.coverage.percentiles.values()))
    if summary.instance_area:
        table.add_row("an instance, pixels", *spread(summary.instance_area))
    return table
