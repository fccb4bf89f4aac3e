"""Source images that two synthetic data sets share, by the cards that `forge synth` writes."""

from __future__ import annotations

from collections.abc import Iterator

from forgecli.cases.failures import Unreadable
from forgecli.cases.groups import sources_of
from forgecli.detection import Case
from forgecli.inspect.entries import DataSet
from forgecli.inspect.rows import Finding, Kind


def shared_sources(dataset: DataSet, other: DataSet) -> Iterator[Finding]:
    """Cards of one data set that name a source image which a card of the other names as well.

    Different forgeries made from one image share all that is not forged. Nothing is found where
    either set has no cards.
    """
    there: dict[str, str] = {}
    for card, sources in _cards(other):
        for source in sources:
            there.setdefault(source, card)
    for card, sources in _cards(dataset):
        for source in sources:
            if source in there:
                yield Finding(
                    Kind.LEAK_SOURCE,
                    card,
                    f"made from {source}, as {there[source]} of {other.folder}",
                )
                break


def _cards(dataset: DataSet) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The name of every card, and the sources it names; twins share one."""
    seen = set()
    for entry in dataset.entries:
        card = f"cards/{entry.image.stem}.json"
        if card in seen:
            continue
        seen.add(card)
        try:
            yield card, sources_of(Case(entry.path, entry.image))
        except Unreadable:
            continue  # whatever it is, it is no card
