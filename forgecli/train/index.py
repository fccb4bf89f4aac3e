"""What is in a data set, image by image: what sampling, splitting and cropping have to know."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from forgecli.cases.decode import MAX_PIXELS
from forgecli.cases.discover import discover
from forgecli.cases.failures import Unreadable
from forgecli.cases.groups import Grouping, Join, group_cases, sources_of, stem_of
from forgecli.cases.split import Member, Split
from forgecli.config import nearest
from forgecli.detection import Case, Label
from forgecli.errors import UsageError
from forgecli.score.coverage import bucket
from forgecli.train.facts import Facts, KnownFacts, Seen, look

Progress = Callable[[int, int], None]


_BARE = "no mask and no folder called authentic or forged; taken for authentic"


@dataclass(frozen=True, slots=True)
class Item:
    """An image to train or validate on.

    Attributes:
        case: its id is its path in the data set, since twins share a name. Label is never None.
        facts: see there; `domain` may be the user's.
        group: images of one group are kept on one side of a split.
        sources: pictures that it was made from, where a card tells.
    """

    case: Case
    facts: Facts
    group: str
    sources: tuple[str, ...] = ()

    @property
    def forged(self) -> bool:
        """Whether it has a copied region."""
        return self.case.label is Label.FORGED

    @property
    def strata(self) -> tuple[str, ...]:
        """What a split is to spread evenly: class, coverage and domain, the last by class."""
        strata = [f"class {self.case.label}", f"domain {self.facts.domain}, {self.case.label}"]
        if self.forged:
            strata.append(f"coverage {bucket(self.facts.coverage)}")
        return tuple(strata)


@dataclass(frozen=True, slots=True)
class Index:
    """The images of a data set that can be used, and what became of the others.

    Attributes:
        items: in natural order of ids.
        left_out: ids of images that are not used, with reasons.
        warnings: sentences, each once, with how many images it is about.
        grouping: how groups were made.
    """

    items: tuple[Item, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    grouping: Grouping = field(default_factory=lambda: Grouping({}, "names", 0))

    def members(self) -> list[Member]:
        """The items as `forgecli.cases.split` takes them."""
        return [Member(item.case.case_id, item.group, item.strata) for item in self.items]

    def of(self, ids: Iterable[str]) -> tuple[Item, ...]:
        """The items of these ids, in their order here."""
        wanted = set(ids)
        return tuple(item for item in self.items if item.case.case_id in wanted)

    def shared_sources(self, split: Split) -> int:
        """How many validation images have a source picture in common with training images."""
        return shared_sources(self.of(split.train), self.of(split.validation))

    def lines(self, *, whole: bool = False) -> Iterator[str]:
        """What a user should know of it: warnings, and what was left out, by reason.

        Args:
            whole: it stays on one side, so that how it could be split does not matter.
        """
        yield from self.warnings
        reasons: dict[str, list[str]] = {}
        for case_id, reason in self.left_out.items():
            reasons.setdefault(reason, []).append(case_id)
        for reason, ids in reasons.items():
            yield f"{_count(len(ids))} left out, {_first(ids)}: {reason}"
        if self.grouping.joined == "single sources" and not whole:
            yield (
                "images share source pictures so widely that most would be one group; only images "
                "made from one picture are grouped with their likes, and compound figures may "
                "share panels with the other side. Validate on a folder of its own to be sure"
            )


def read_index(
    folder: Path,
    *,
    cases: Path | None = None,
    join: Join = "auto",
    cache: Path | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int = 1,
    progress: Progress | None = None,
) -> Index:
    """Read every image and mask of a data set once.

    Args:
        folder: a data set, see `forgecli.cases.layout`. Images that neither folders nor masks
            give a class are left out.
        cases: a CSV file with the columns case_id and, optionally, group and domain. An id is the
            image's path in the data set, or its name without suffix, which goes for twins as well.
        join: see `forgecli.cases.groups.Join`.
        cache: a file that keeps what was read; images and masks that have the same size and time
            of change as then are not read again.
        max_pixels: larger pictures are left out.
        workers: threads that read; what takes the time releases the interpreter's lock.
        progress: is called with the images read and their number.

    Raises:
        UsageError: the folder is missing or holds no pictures, or `cases` is not such a file.
        OutputError: `cache` cannot be written.
    """
    rows = _read_rows(cases) if cases is not None else {}
    found = discover([folder], id_from="path")
    known = KnownFacts(cache)
    warnings: dict[str, list[str]] = {}
    if bare := [case.case_id for case in found if case.label is None and case.mask is None]:
        warnings[_BARE] = bare
    left_out: dict[str, str] = {}
    facts_of: dict[str, Facts] = {}
    sources: dict[str, tuple[str, ...]] = {}

    def see(case: Case) -> Seen:
        return known.seen(case, max_pixels) or known.keep(case, max_pixels, look(case, max_pixels))

    with ThreadPoolExecutor(max(1, workers)) as executor:
        for number, (case, seen) in enumerate(zip(found, executor.map(see, found), strict=True), 1):
            for text in seen.warnings:
                warnings.setdefault(text, []).append(case.case_id)
            if seen.facts is None:
                left_out[case.case_id] = seen.reason
            else:
                facts_of[case.case_id] = seen.facts
                try:
                    sources[case.case_id] = sources_of(case)
                except Unreadable as failure:
                    warnings.setdefault(failure.what, []).append(case.case_id)
            if progress is not None:
                progress(number, len(found))
    known.write()
    usable = [_labelled(case, facts_of[case.case_id]) for case in found if case.case_id in facts_of]
    row_of = _match_rows(usable, rows, warnings)
    named = {case_id: row["group"] for case_id, row in row_of.items() if row.get("group")}
    grouping = group_cases(usable, sources, named, join)
    items = []
    for case in usable:
        facts = facts_of[case.case_id]
        if domain := row_of.get(case.case_id, {}).get("domain"):
            facts = dataclasses.replace(facts, domain=domain)
        group = grouping.group_of[case.case_id]
        items.append(Item(case, facts, group, sources.get(case.case_id, ())))
    told = tuple(f"{text} ({_count(len(ids))}, {_first(ids)})" for text, ids in warnings.items())
    return Index(tuple(items), left_out, told, grouping)


def _labelled(case: Case, facts: Facts) -> Case:
    """Where no folder tells the class, the mask does: none, or an empty one, means authentic."""
    if case.label is not None:
        return case
    if facts.instances:
        return dataclasses.replace(case, label=Label.FORGED)
    return dataclasses.replace(case, label=Label.AUTHENTIC, mask=None)


def _read_rows(file: Path) -> dict[str, dict[str, str]]:
    """The rows of a user's CSV by case id."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}.", file=file) from error
    except UnicodeDecodeError as error:
        raise UsageError("is not a text file in UTF-8.", file=file) from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    known = ("case_id", "group", "domain")
    names = reader.fieldnames or []
    for name in names:
        if name not in known:
            raise UsageError(f"unknown column {name!r}.", file=file, mend=nearest(name, known))
    if "case_id" not in names:
        raise UsageError("has no column case_id.", file=file, mend="name the columns in line 1")
    rows: dict[str, dict[str, str]] = {}
    for row in _records(reader, file):
        if row["case_id"] in rows or None in row:
            raise UsageError(
                f"line {reader.line_num} repeats an id or has too many fields.", file=file
            )
        rows[row["case_id"]] = {name: (row[name] or "").strip() for name in names}
    return rows


def _records(reader: csv.DictReader[str], file: Path) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num} is not CSV: {error}.", file=file) from error


def _match_rows(
    cases: Sequence[Case], rows: Mapping[str, dict[str, str]], warnings: dict[str, list[str]]
) -> dict[str, dict[str, str]]:
    """The user's row for each case id; rows and cases without the other are warned of."""
    matched, used = {}, set()
    for case in cases:
        for key in (case.case_id, stem_of(case)):
            if key in rows:
                matched[case.case_id] = rows[key]
                used.add(key)
                break
    if idle := [key for key in rows if key not in used]:
        warnings["The CSV file names cases that are not in the data set, or are not used."] = idle
    if rows and (missing := [case.case_id for case in cases if case.case_id not in matched]):
        warnings["The CSV file does not name the case."] = missing
    return matched


def _count(number: int) -> str:
    return f"{number} image{'s' if number != 1 else ''}"


def _first(ids: Sequence[str]) -> str:
    return f"the first is {ids[0]!r}" if len(ids) > 1 else repr(ids[0])


def shared_sources(train: Iterable[Item], validation: Iterable[Item]) -> int:
    """How many validation images have a source picture in common with training images."""
    trained = {source for item in train for source in item.sources}
    return sum(not trained.isdisjoint(item.sources) for item in validation)


def count_labels(items: Iterable[Item]) -> Counter[Label]:
    """Images of each class."""
    return Counter(Label.FORGED if item.forged else Label.AUTHENTIC for item in items)
