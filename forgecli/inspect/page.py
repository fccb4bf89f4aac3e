"""The report on a data set as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forgecli.inspect.figures import (
    NONE,
    bytes_text,
    findings_text,
    number,
    percent,
    spread,
    triple,
)
from forgecli.inspect.rows import NOTES, ImageRow
from forgecli.inspect.summary import ClassSummary, Summary
from forgecli.inspect.triptychs import Triptych
from forgecli.report import plots
from forgecli.report.page import Page

MOST_LISTED = 500
"""Findings of one kind. The index has all of them."""


def page_of(summary: Summary, rows: Sequence[ImageRow], examples: Iterable[Triptych]) -> Page:
    """Put the page together.

    Args:
        rows: of all images, for the histograms.
        examples: drawn one at a time.
    """
    page = Page(f"Data set {summary.dataset}", _lead(summary))
    classes = [each for each in summary.classes if each.images]
    _counts(page, summary, classes)
    _findings(page, summary)
    _sizes(page, classes, rows)
    _channels(page, classes)
    if summary.coverage.images:
        _coverage(page, summary, rows)
        _examples(page, examples)
    return page


def _lead(summary: Summary) -> str:
    counts = [f"{each.images:,} {each.name}" for each in summary.classes if each.images]
    wrong = findings_text(summary.wrong)
    return f"{summary.images:,} images: {', '.join(counts)}; {wrong}."


def _counts(page: Page, summary: Summary, classes: Sequence[ClassSummary]) -> None:
    page.chapter("Images")
    page.table(
        ("class", "images", "unreadable", "size"),
        [
            (each.name, f"{each.images:,}", f"{each.unreadable:,}", bytes_text(each.size))
            for each in classes
        ],
    )
    if any(summary.parts):
        page.table(
            ("set", "images"),
            [
                (f"{part}_images" if part else "elsewhere", f"{sum(counts.values()):,}")
                for part, counts in summary.parts.items()
            ],
        )
    if summary.labelled:
        page.text(f"{summary.twins:,} ids are in both classes: a picture before and after.")
    else:
        page.text(
            "No image has a class: none is in a folder called authentic or forged, and none has "
            "a mask."
        )
    if summary.against:
        other = summary.against
        page.text(
            f"Compared with {other.name} ({other.images:,} images): {other.shared_ids:,} images "
            f"here share an id with one there, {other.shared_pictures:,} are there pixel for "
            f"pixel, {other.shared_sources:,} synthetic cases are made from an image used there."
        )


def _findings(page: Page, summary: Summary) -> None:
    page.chapter("What is odd")
    if not summary.findings:
        page.text("Nothing.")
    for kind, found in summary.by_kind().items():
        about = "worth knowing" if kind in NOTES else "needs a look"
        more = f", the first {MOST_LISTED}" if len(found) > MOST_LISTED else ""
        page.table(
            ("file", ""),
            [(each.path, each.text) for each in found[:MOST_LISTED]],
            words=True,
            summary=f"{kind}: {len(found):,} ({about}{more})",
        )


def _sizes(page: Page, classes: Sequence[ClassSummary], rows: Sequence[ImageRow]) -> None:
    page.chapter("Sizes")
    header = ("", "least", "P50", "P90", "most")
    lines = [
        (f"{each.name}: {name}", *spread(values, form))
        for each in classes
        for name, values, form in (
            ("height", each.height, ",.0f"),
            ("width", each.width, ",.0f"),
            ("long side", each.long_side, ",.0f"),
            ("megapixels", each.megapixels, ".2f"),
        )
        if values
    ]
    page.table(header, lines)
    known = [row for row in rows if row.height]
    by_class = {each.name: [row for row in known if _class(row, each)] for each in classes}
    long = {
        name: [float(max(row.height, row.width)) for row in found]
        for name, found in by_class.items()
    }
    shape = {
        name: ([float(row.width) for row in found], [float(row.height) for row in found])
        for name, found in by_class.items()
    }
    page.plots(
        [
            (plots.histogram(long, "long side in pixels"), "Long side of the images."),
            (plots.scatter(shape, "width in pixels", "height in pixels"), "Width and height."),
        ]
    )


def _class(row: ImageRow, summary: ClassSummary) -> bool:
    return row.label == summary.name or (not row.label and summary.name not in _NAMED)


_NAMED = ("authentic", "forged")


def _channels(page: Page, classes: Sequence[ClassSummary]) -> None:
    page.chapter("Channels")
    page.table(
        ("class", "grey", "grey content", "alpha", "16 bit", "formats"),
        [
            (
                each.name,
                *map(percent, (each.grey, each.grey_content, each.alpha, each.sixteen_bit)),
                ", ".join(f"{count:,} {name}" for name, count in each.formats.items()) or NONE,
            )
            for each in classes
        ],
    )
    page.table(
        ("", "red", "green", "blue"),
        [
            (f"{each.name}: {what}", *triple(values))
            for each in classes
            for what, values in (("mean", each.mean), ("std", each.std))
            if values
        ],
    )
    page.text(
        "Mean and standard deviation are on the scale of 0 to 255; every image counts the same. "
        "16 bit: more than 8 bits a sample. Grey content: red, green and blue are equal."
    )
    colours = ("red", "green", "blue")
    drawn = [
        (
            plots.bars(
                {
                    each.name: dict(zip(colours, values, strict=True))
                    for each in classes
                    if (values := getattr(each, what))
                },
                "channel",
                f"{what} (0 to 255)",
            ),
            f"{said} of the channels by class.",
        )
        for what, said in (("mean", "Mean"), ("std", "Standard deviation"))
    ]
    page.plots(drawn)


def _coverage(page: Page, summary: Summary, rows: Sequence[ImageRow]) -> None:
    coverage = summary.coverage
    page.chapter("Masks")
    page.table(
        ("covered by masks", "images", "share"),
        [
            (name, f"{count:,}", percent(count / coverage.images))
            for name, count in coverage.buckets.items()
        ],
    )
    extent = [("covered, percent of the image", *map(number, coverage.percentiles.values()))]
    if summary.instance_area:
        extent.append(("an instance, pixels", *spread(summary.instance_area)))
    page.table(("", *coverage.percentiles), extent)
    marked = {name: value for name, value in coverage.percentiles.items() if name[0] == "P"}
    truths = [row.truth for row in rows if row.truth and row.truth.areas]
    values = [truth.coverage for truth in truths]
    axis = "percent of the image covered"
    instances = {"forged": {str(key): float(n) for key, n in summary.instances.items()}}
    buckets = {"forged": {key: float(n) for key, n in coverage.buckets.items()}}
    page.plots(
        [
            (
                plots.histogram({"forged": values}, axis, scale="log", lines=marked),
                "Coverage by masks, with its percentiles.",
            ),
            (
                plots.cumulative(values, axis, scale="log", lines=marked),
                "Share of forged images that are covered as much or less.",
            ),
            (plots.bars(buckets, "covered by masks", "images"), "Coverage in buckets."),
            (plots.bars(instances, "instances", "images"), "Instances of an image."),
        ]
    )


def _examples(page: Page, examples: Iterable[Triptych]) -> None:
    page.chapter("Examples, from the least covered to the most")
    for example in examples:
        row, truth = example.row, example.row.truth
        assert truth is not None
        count = len(truth.areas)
        said = f"{count} instance{'s' * (count != 1)}, {number(truth.coverage)} % covered"
        pictures = [
            (example.forged, f"forged: {row.path}, {row.width} x {row.height}"),
            (example.truth, f"truth: {said}"),
        ]
        if example.authentic is None:
            pictures[0] = (example.forged, pictures[0][1] + "; it has no authentic twin")
        else:
            pictures.insert(0, (example.authentic, "authentic twin"))
        page.strip(pictures)
