"""What is wrong between images: twins, duplicates, leaks between sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from forgecli.detection import Label
from forgecli.inspect.rows import Finding, ImageRow, Kind

PathedRows = Sequence[ImageRow]


def ids_in_both_classes(rows: Iterable[ImageRow]) -> int:
    """How many ids of a set are there before and after they were forged."""
    classes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        classes[row.part, row.case_id].add(row.label)
    return sum({Label.AUTHENTIC, Label.FORGED} <= found for found in classes.values())


def relations(rows: PathedRows) -> Iterator[Finding]:
    """What is wrong between images of one data set.

    Two pictures are the same if their pixels are, after decoding to 8-bit RGB; files that cannot be
    decoded, if their bytes are. Every finding is about the later of two images, and names the
    earlier one; an authentic image is earlier than a forged one.
    """
    yield from _twins(rows)
    yield from _shared_ids(rows)
    yield from _duplicates(rows)


def leaks(rows: PathedRows, others: PathedRows, name: str) -> Iterator[Finding]:
    """Images of `rows` that are in another data set as well, by id or by content.

    Args:
        name: of the other data set, for people.
    """
    by_id: dict[str, ImageRow] = {}
    by_content: dict[str, ImageRow] = {}
    for other in others:
        by_id.setdefault(other.case_id, other)
        if _content(other):
            by_content.setdefault(_content(other), other)
    for row in rows:
        if row.case_id in by_id:
            yield Finding(Kind.LEAK_ID, row.path, f"{by_id[row.case_id].path} of {name}")
        twin = by_content.get(_content(row))
        if twin:
            yield Finding(Kind.LEAK_PICTURE, row.path, f"{_same(row, twin)} of {name}")


def _twins(rows: PathedRows) -> Iterator[Finding]:
    authentic = {
        (row.part, row.case_id): row for row in rows if row.label == Label.AUTHENTIC and row.height
    }
    for row in rows:
        twin = authentic.get((row.part, row.case_id))
        if row.label != Label.FORGED or not row.height or not twin:
            continue
        if (row.height, row.width) != (twin.height, twin.width):
            yield Finding(
                Kind.TWIN_SIZE,
                row.path,
                f"{row.width} x {row.height}; {twin.path} is {twin.width} x {twin.height}",
            )
        elif _content(row) == _content(twin):
            yield Finding(Kind.TWIN_SAME, row.path, _same(row, twin))
        if _form(row) != _form(twin):
            # A network would learn the file's form and not the forgery.
            yield Finding(Kind.TWIN_FORM, row.path, f"{_form(row)}; {twin.path} is {_form(twin)}")


def _shared_ids(rows: PathedRows) -> Iterator[Finding]:
    """Ids that stand for two images in one class, or for images of two sets."""
    first: dict[tuple[str, str, str], ImageRow] = {}
    home: dict[str, ImageRow] = {}
    for row in rows:
        if row.label:
            # Without classes and masks an id is a name, and folders may well repeat it.
            other = first.setdefault((row.part, row.label, row.case_id), row)
            if other is not row:
                yield Finding(Kind.SAME_ID, row.path, f"{other.path} has the same id")
        other = home.setdefault(row.case_id, row)
        if other.part != row.part:
            yield Finding(Kind.LEAK_ID, row.path, f"{other.path} has the same id")


def _duplicates(rows: PathedRows) -> Iterator[Finding]:
    groups: dict[str, list[ImageRow]] = defaultdict(list)
    for row in rows:
        if _content(row):
            groups[_content(row)].append(row)
    for group in groups.values():
        for index, row in enumerate(group):
            found = _duplicate(row, group[:index])
            if found:
                yield found


def _duplicate(row: ImageRow, earlier: Sequence[ImageRow]) -> Finding | None:
    """How a picture is there again, by the worst of what that means."""
    for other in earlier:
        if other.part != row.part:
            return Finding(Kind.LEAK_PICTURE, row.path, _same(row, other))
    for other in earlier:
        if other.label != row.label:
            if other.case_id == row.case_id:
                return None  # a forged image and its twin: told by `_twins`
            return Finding(Kind.BOTH_CLASSES, row.path, _same(row, other))
    return Finding(Kind.DUPLICATE, row.path, _same(row, earlier[0])) if earlier else None


def _form(row: ImageRow) -> str:
    """What kind of picture it is, whatever it shows."""
    colours = f"{row.channels} channel{'s' * (row.channels != 1)} of {row.bits} bits"
    if row.pixels and row.channels > 2:
        colours += ", grey content" if row.pixels.grey else ", coloured content"
    return f"{row.format}, {colours}"


def _content(row: ImageRow) -> str:
    """What two images must share to be the same; empty where nothing is known."""
    if row.pixels:
        return row.pixels.content
    return row.sha256 if row.size else ""


def _same(row: ImageRow, other: ImageRow) -> str:
    what = "same file" if row.sha256 == other.sha256 else "same pixels in another file"
    return f"{what}: {other.path}"
